"""Every bound of this room, with its unit in its name."""

from __future__ import annotations

SSML_BYTES_MAX = 65_536
"""One request's text, as UTF-8, with its markup."""

WORDS_BYTES_MAX = 196_608
"""The same text once its say-as are words: a figure becomes many letters."""

AUDIO_SECONDS_MAX = 600
"""One prompt, once spoken; stops a text of pauses from filling memory and disk."""

QUEUE_REQUESTS_MAX = 256
"""Requests waiting for a process, over all of them."""

REQUEST_SECONDS_MAX = 10.0
"""One synthesis; after it the process is taken to hang and is ended."""

START_SECONDS_MAX = 15.0
"""From starting a process to its first message."""

CLOSE_SECONDS_MAX = 2.0
"""From closing a process's input to its end; after it the process is killed."""

PROCESSES_MAX = 16
"""Speech processes in one pool."""

FRAME_BYTES_MAX = 262_144
"""One message between the service and a speech process."""

CACHE_BYTES_MAX = 512 * 1024 * 1024
"""All cached audio, unless configured otherwise."""

MARKS_MAX = 1000
"""Marks in one text."""

WARNINGS_MAX = 20
"""Warnings kept of one text."""

WARNING_CHARS_MAX = 300
"""Characters of one warning."""

DURATIONS_MAX = 8
"""Elements of one text that are fitted to a duration, each spoken once more to measure it."""
