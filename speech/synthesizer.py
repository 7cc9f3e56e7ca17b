"""What the house asks of a text-to-speech engine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


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
