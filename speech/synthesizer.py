"""What the house asks of a text-to-speech engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Mark:
    """A ``<mark>``: its name, and where in the audio it is reached."""

    name: str
    offset_ms: int


@dataclass(frozen=True)
class Spoken:
    """A spoken text: its file, its marks in the order they are reached, and its length.

    ``warnings`` tell what in the text could not be followed (an unknown value, a language
    without a voice inside the text), one sentence each.
    """

    file: Path
    marks: tuple[Mark, ...]
    duration_ms: int
    warnings: tuple[str, ...]


class Synthesizer(Protocol):
    """Turns SSML into files: WAV, 16-bit, mono, 8000 Hz.

    ``ssml`` is what stands inside ``<speak>``, well-formed and escaped; ``language`` its
    xml:lang (``fr-FR``).
    """

    async def speak(self, ssml: str, *, language: str) -> Path:
        """The file that says ``ssml``; raises `speech.errors.SpeechError`."""
        ...

    def cached(self, ssml: str, *, language: str) -> Path | None:
        """The same file if it exists already, without waiting; None otherwise."""
        ...
