"""What callers have said to scripts: WAV files in the data folder, for as long as a session lasts.

    voicemashup://recording/ID      what stands for a recording in its script

An identifier is random and long, so that no script can guess another session's.
"""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

from service.limits import RECORDINGS_A_SESSION_MAX, RECORDINGS_BYTES_MAX

ADDRESS = "voicemashup://recording/"
MEDIA_TYPE = "audio/x-wav"
# What a script may call the form recordings have; empty is the platform's own.
MEDIA_TYPES = frozenset(("", MEDIA_TYPE, "audio/wav", "audio/wave", "audio/vnd.wave"))

_ID_BYTES = 16


class RecordingsFull(Exception):
    """No recording can be begun: a limit, by its name."""


class Recordings:
    """The recordings of all sessions of this node: linear PCM, 16 bits, mono, 8000 Hz."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}  # reference -> bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob("*.wav"):  # by a session that a crash cut off
            left.unlink()

    @property
    def kept_bytes(self) -> int:
        """Bytes of all recordings kept."""
        return sum(self._sizes.values())

    def file_of(self, reference: str) -> Path:
        """The file that belongs to a reference of this node's."""
        return self._folder / f"{reference.removeprefix(ADDRESS)}.wav"

    def find(self, reference: str) -> Path | None:
        """The file of a recording; None where there is none of that reference."""
        return self.file_of(reference) if reference in self._sizes else None

    async def read(self, reference: str) -> bytes | None:
        """Return a recording as a WAV file; None where there is none of that reference."""
        file = self.find(reference)
        return None if file is None else await asyncio.to_thread(file.read_bytes)

    def session(self) -> "SessionRecordings":
        """Return the recordings of a new session, none so far."""
        return SessionRecordings(self)

    def keep(self, reference: str) -> int:
        """Keep the file that was written for a reference; returns its bytes."""
        size = self._sizes[reference] = self.file_of(reference).stat().st_size
        return size

    async def remove(self, references: Sequence[str]) -> None:
        """Delete recordings, kept or only begun."""
        files = [self.file_of(reference) for reference in references]
        for reference in references:
            self._sizes.pop(reference, None)
        if files:
            await asyncio.to_thread(_unlink, files)


class SessionRecordings:
    """The recordings of one session; `close` deletes them."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._references: list[str] = []

    def begin(self) -> tuple[str, Path]:
        """Return a new reference and the file to write; raises `RecordingsFull`."""
        if len(self._references) >= RECORDINGS_A_SESSION_MAX:
            raise RecordingsFull(
                f"a session keeps {RECORDINGS_A_SESSION_MAX} recordings at most"
                " (RECORDINGS_A_SESSION_MAX)"
            )
        if self._recordings.kept_bytes >= RECORDINGS_BYTES_MAX:
            raise RecordingsFull(
                f"all recordings have {RECORDINGS_BYTES_MAX} bytes at most (RECORDINGS_BYTES_MAX)"
            )
        reference = ADDRESS + secrets.token_hex(_ID_BYTES)
        self._references.append(reference)
        return reference, self._recordings.file_of(reference)

    def keep(self, reference: str) -> int:
        """Keep what was written; returns its bytes."""
        return self._recordings.keep(reference)

    def give_up(self, reference: str) -> None:
        """Forget a reference for which nothing was written."""
        self._references.remove(reference)

    async def close(self) -> None:
        """Delete all that the session recorded."""
        await self._recordings.remove(self._references)


def _unlink(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
