"""What can go wrong between a text and its audio.

::

    SpeechError
    ├── SpeechRefused          the text cannot be spoken, whoever tries
    │   ├── UnsupportedLanguage    no voice speaks it; names those that do
    │   ├── MarkupError            not well-formed SSML; with line and column
    │   ├── TextTooLong            over SSML_BYTES_MAX, or WORDS_BYTES_MAX once in words
    │   └── AudioTooLong           over AUDIO_SECONDS_MAX once spoken
    └── SpeechUnavailable      the same text may succeed later
        ├── NotRunning             not started yet, or closed
        ├── QueueFull              over QUEUE_REQUESTS_MAX
        ├── SynthesisTimeout       over REQUEST_SECONDS_MAX; the process was ended
        └── SynthesisFailed        the engine died, did not start or reported a failure
"""

from __future__ import annotations

from collections.abc import Iterable

from speech import limits


class SpeechError(Exception):
    """Any failure of this room; its text says what, with which value, and what to do."""


class SpeechRefused(SpeechError):
    """The text itself cannot be spoken: trying again gives the same answer."""


class UnsupportedLanguage(SpeechRefused):
    """No voice for ``language``; ``supported`` holds the language tags that have one."""

    def __init__(self, language: str, supported: Iterable[str]) -> None:
        self.language = language
        self.supported = tuple(sorted(supported))
        super().__init__(
            f"no voice speaks language {language!r}: use one of {', '.join(self.supported)}"
        )


class MarkupError(SpeechRefused):
    """The text is not well-formed SSML; ``line`` and ``column`` count from 1."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        self.line = line
        self.column = column
        super().__init__(f"line {line}, column {column}: not well-formed speech markup: {reason}")


class TextTooLong(SpeechRefused):
    """The text has more bytes than one request may have."""

    def __init__(self, size_bytes: int, limit: str, most: int) -> None:
        super().__init__(
            f"text of {size_bytes} bytes is over {limit} ({most}): split it into several prompts"
        )


class AudioTooLong(SpeechRefused):
    """The text would be spoken for longer than one prompt may last."""

    def __init__(self) -> None:
        super().__init__(
            f"the spoken text is over AUDIO_SECONDS_MAX ({limits.AUDIO_SECONDS_MAX} s): "
            "shorten the text or its pauses, or split it into several prompts"
        )


class SpeechUnavailable(SpeechError):
    """Synthesis did not happen for a reason outside the text."""


class NotRunning(SpeechUnavailable):
    """The synthesizer was asked before ``start`` or after ``close``."""

    def __init__(self) -> None:
        super().__init__("the synthesizer is not running: await start() first")


class QueueFull(SpeechUnavailable):
    """As many requests as allowed wait for a process already."""

    def __init__(self) -> None:
        super().__init__(
            f"QUEUE_REQUESTS_MAX ({limits.QUEUE_REQUESTS_MAX}) texts wait to be spoken: "
            "try again, or configure more speech processes"
        )


class SynthesisTimeout(SpeechUnavailable):
    """The process did not answer in time and was ended."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"synthesis took over {seconds:g} s; its process was ended and is started again"
        )


class SynthesisFailed(SpeechUnavailable):
    """The engine could not do its work; the text says which step."""
