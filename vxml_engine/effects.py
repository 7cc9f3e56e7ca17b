"""What a session asks of its platform (effects), and what it is answered (outcomes).

``Session.run()`` is a generator: it yields an effect, the driver performs it and sends the
outcome in.  All values are frozen; times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from vxml_engine.collector import Collected, CollectSettings, InputCollector
from vxml_engine.grammar.network import Network

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


Segment = Speech | AudioFile


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt; with ``bargein`` a key stops it and all that follow it."""

    segments: tuple[Segment, ...]
    bargein: bool


# --- Effects


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch ``url`` (absolute, no fragment).

    For ``get`` the fields are already in the address and ``fields`` is empty; for ``post`` they
    are to be sent as ``enctype``.  Answered with ``Fetched`` or ``FetchFailed``.
    """

    url: str
    method: Literal["get", "post"]
    fields: tuple[tuple[str, str], ...]
    enctype: str
    timeout_s: float
    purpose: Literal["document", "script", "grammar"]


@dataclass(frozen=True, slots=True)
class Play:
    """Play to the end.  Answered with ``Played`` or ``HungUp``."""

    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """Play ``prompts`` while collecting keys.  Answered with ``Collected`` or ``HungUp``."""

    prompts: tuple[Prompt, ...]
    networks: tuple[Network, ...]
    settings: CollectSettings

    def collector(self) -> InputCollector:
        """A new collector for this input, to be fed with keys and the time."""
        bargein = tuple(prompt.bargein for prompt in self.prompts)
        return InputCollector(self.networks, self.settings, bargein)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Connect the caller to ``dest`` after playing ``prompts``.

    ``bridge`` False: hand the call over and be done.  ``max_time_s`` 0: no limit.  With
    ``networks``, keys of the caller that match end a bridged transfer
    (``near_end_disconnect`` with the keys).  Answered with ``Transferred``,
    ``TransferFailed`` or ``HungUp`` (the caller has gone).
    """

    dest: str
    bridge: bool
    connect_timeout_s: float
    max_time_s: float
    caller: str | None
    aai: str
    prompts: tuple[Prompt, ...]
    networks: tuple[Network, ...]
    settings: CollectSettings

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


Effect = Fetch | Play | Collect | Transfer | Disconnect | Log

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
    | HungUp
    | Transferred
    | TransferFailed
    | Disconnected
    | None
)
