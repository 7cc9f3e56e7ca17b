"""What a sound file tells besides its sound: marks and warnings, in a chunk of its own.

The chunk ``vmsp`` follows the samples of the WAV file, so that audio and marks are written,
found and removed as one; a player skips it.
"""

from __future__ import annotations

import wave
from pathlib import Path

import msgspec

from speech.synthesizer import Mark, Spoken

_NAME = b"vmsp"
_HEAD_BYTES = 44  # what `wave` writes before the samples
_RIFF_SIZE_AT = 4


class _Notes(msgspec.Struct, frozen=True, array_like=True):
    marks: tuple[tuple[str, int], ...]
    warnings: tuple[str, ...]


def append_notes(path: Path, marks: tuple[tuple[str, int], ...], warnings: tuple[str, ...]) -> None:
    """Add the chunk to a WAV file that `wave` wrote; ``marks`` are names and milliseconds."""
    body = msgspec.msgpack.encode(_Notes(marks, warnings))
    with path.open("r+b") as file:
        file.seek(0, 2)
        padding = b"\0" * (len(body) % 2)
        file.write(_NAME + len(body).to_bytes(4, "little") + body + padding)
        size = file.tell() - _RIFF_SIZE_AT - 4
        file.seek(_RIFF_SIZE_AT)
        file.write(size.to_bytes(4, "little"))


def read_spoken(path: Path) -> Spoken:
    """The file with its marks, warnings and length. Raises OSError or ValueError."""
    try:
        with wave.open(str(path)) as audio:
            frames, rate_hz = audio.getnframes(), audio.getframerate()
            data_bytes = frames * audio.getsampwidth() * audio.getnchannels()
        with path.open("rb") as file:
            file.seek(_HEAD_BYTES + data_bytes)
            chunk = file.read()
        if chunk[:4] != _NAME:
            raise ValueError(f"{path} has no {_NAME.decode()} chunk")
        size = int.from_bytes(chunk[4:8], "little")
        notes = msgspec.msgpack.decode(chunk[8 : 8 + size], type=_Notes)
    except (wave.Error, EOFError, msgspec.DecodeError) as error:
        raise ValueError(f"{path} is not as it was written: {error}") from error
    marks = tuple(Mark(name, offset_ms) for name, offset_ms in notes.marks)
    return Spoken(path, marks, frames * 1000 // rate_hz, notes.warnings)
