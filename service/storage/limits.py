"""Limits of the storage, each with its unit in its name."""

# Works waiting for the writer; one more is refused with `Overloaded`. At the few
# thousand writes a second that a small machine does, a full queue is seconds of delay.
WORKS_QUEUED_MAX = 10_000

# Works that share one commit. More would only make the first of them wait longer.
WORKS_PER_COMMIT_MAX = 256

# Threads, each with a connection, for works that read.
READERS_MAX = 2

# How long to wait for another process that is writing to the same file.
BUSY_WAIT_MS_MAX = 5_000
