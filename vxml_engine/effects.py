"""What a session asks of its platform (effects), and what it is answered (outcomes).

``Session.run()`` is a generator: it yields an effect, the driver performs it and sends the
outcome in.  All values are frozen; times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from vxml_engine.collector import (
    Collected,
    CollectSettings,
    InputCollector,
    Mark,
    SpeechSettings,
)
from vxml_engine.grammar.network import Network


@dataclass(frozen=True, slots=True)
class Caching:
    """How a fetch may use what was fetched before (VoiceXML 2.0 6.1); None: as HTTP says.

    ``prefetch``: it may be fetched before it is needed.
    """

    maxage_s: int | None = None
    maxstale_s: int | None = None
    prefetch: bool = False


# --- What is played


@dataclass(frozen=True, slots=True)
class Speech:
    """Text to speak: ``ssml`` is the inside of ``<speak>`` in ``language`` (RFC 5646)."""

    ssml: str
    language: str


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A recording at an absolute address; ``fallback`` is played when it cannot be fetched."""

    url: str
    fallback: tuple[Segment, ...]
    caching: Caching = Caching()


Segment = Speech | AudioFile


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt; with ``bargein`` a key stops it and all that follow it.

    With ``hotword``, speech stops it only when a grammar matches (VoiceXML 2.0 4.1.5.1).
    """

    segments: tuple[Segment, ...]
    bargein: bool
    hotword: bool = False


# --- Effects


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch ``url`` (absolute, no fragment).

    For ``get`` the fields are already in the address and ``fields`` is empty; for ``post`` they
    are to be sent as ``enctype``; a field whose value is the reference of a recording is sent as
    its audio where that is multipart.  ``audio`` is the address to be played meanwhile, after
    ``audio_delay_s`` and then for ``audio_minimum_s`` at least.  Answered with ``Fetched`` or
    ``FetchFailed``.
    """

    url: str
    method: Literal["get", "post"]
    fields: tuple[tuple[str, str], ...]
    enctype: str
    timeout_s: float
    purpose: Literal["document", "script", "grammar", "data"]
    caching: Caching = Caching()
    audio: str | None = None
    audio_delay_s: float = 0.0
    audio_minimum_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Play:
    """Play to the end.  Answered with ``Played`` or ``HungUp``."""

    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """Play ``prompts`` while collecting keys and, where ``speech`` has grammars, listening.

    ``networks`` are the grammars for keys, ``speech`` those for speech, both in order of
    precedence.  Answered with ``Collected``, ``Heard``, ``InputFailed`` or ``HungUp``.
    """

    prompts: tuple[Prompt, ...]
    networks: tuple[Network, ...]
    settings: CollectSettings
    speech: tuple[Network, ...] = ()
    speech_settings: SpeechSettings = field(default_factory=SpeechSettings)

    def collector(self) -> InputCollector:
        """A new collector for this input, to be fed with keys and the time."""
        bargein = tuple(prompt.bargein for prompt in self.prompts)
        return InputCollector(self.networks, self.settings, bargein)


@dataclass(frozen=True, slots=True)
class Record:
    """Play ``prompts`` and record (VoiceXML 2.0 2.3.6).

    With ``beep``, a tone comes before.  It ends after ``max_time_s``, ``final_silence_s`` of
    silence, any key with ``dtmf_term``, or keys that match one of ``networks``.  ``media_type``
    is empty for the platform's own.  Answered with ``Recorded``, ``InputFailed`` (``noinput``
    when nobody spoke within the timeout) or ``HungUp``.
    """

    prompts: tuple[Prompt, ...]
    beep: bool
    max_time_s: float
    final_silence_s: float
    dtmf_term: bool
    media_type: str
    networks: tuple[Network, ...]
    settings: CollectSettings


@dataclass(frozen=True, slots=True)
class Transfer:
    """Connect the caller to ``dest`` after playing ``prompts``.

    A ``bridge`` lasts until one of the parties ends it, or ``max_time_s`` (0: no limit).
    ``blind`` hands the call over and is done; ``consultation`` (VoiceXML 2.1 7) hands it over
    when the other party has answered, and tells how it failed otherwise.  With ``audio``, the
    caller hears that until the other party answers.  With ``networks``, keys of the caller that
    match end a bridge (``near_end_disconnect`` with the keys).  Answered with ``Transferred``,
    ``HandedOver``, ``TransferFailed`` or ``HungUp`` (the caller has gone).
    """

    dest: str
    kind: Literal["bridge", "blind", "consultation"]
    connect_timeout_s: float
    max_time_s: float
    caller: str | None
    aai: str
    prompts: tuple[Prompt, ...]
    networks: tuple[Network, ...]
    settings: CollectSettings
    audio: str | None = None

    def collector(self) -> InputCollector | None:
        """A collector for the keys that end the transfer; None when none do."""
        return InputCollector(self.networks, self.settings, ()) if self.networks else None


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Hang up, after all that was played; ``values`` are the namelist's (VoiceXML 2.1)."""

    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Log:
    """``<log>``.  Answered with None."""

    label: str
    text: str


Effect = Fetch | Play | Collect | Record | Transfer | Disconnect | Log

# --- Outcomes


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: ``url`` is where it came from in the end, after redirections."""

    url: str
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """No answer: ``event`` is ``error.badfetch`` or one below it."""

    event: str
    message: str


@dataclass(frozen=True, slots=True)
class Played:
    """All was played, or stopped by the platform."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The caller has gone; ``duration_s`` is the transfer's, when it was one."""

    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """What may have been said, and how sure the recognizer is, from 0 to 1."""

    text: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller has spoken: what it may have been, the most likely first."""

    utterances: tuple[Utterance, ...]
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class InputFailed:
    """No input: ``event`` tells why (``maxspeechtimeout``, ``error.unsupported.record``)."""

    event: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording: ``reference`` is what stands for it, an address ``<audio>`` can play.

    ``term_char`` is the key that ended it, if one did; ``max_time``: the time was up;
    ``hung_up``: the caller has gone meanwhile.  ``keys`` are those that matched the network of
    number ``grammar`` and ended it; -1 when none did.
    """

    reference: str
    duration_s: float
    size_bytes: int
    term_char: str = ""
    max_time: bool = False
    hung_up: bool = False
    keys: str = ""
    grammar: int = -1


TransferResult = Literal[
    "busy",
    "noanswer",
    "network_busy",
    "near_end_disconnect",
    "far_end_disconnect",
    "network_disconnect",
    "maxtime_disconnect",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class Transferred:
    """A transfer's end; ``keys`` are those that ended it, if keys did."""

    result: TransferResult
    duration_s: float
    keys: str = ""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The caller is no longer this session's: a transfer that is not a bridge has succeeded."""


@dataclass(frozen=True, slots=True)
class TransferFailed:
    """No transfer: ``event`` is ``error.connection.baddestination`` or the like."""

    event: str
    message: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Hung up as asked."""


Outcome = (
    Fetched
    | FetchFailed
    | Played
    | Collected
    | Heard
    | InputFailed
    | Recorded
    | HungUp
    | Transferred
    | HandedOver
    | TransferFailed
    | Disconnected
    | None
)
