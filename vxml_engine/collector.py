"""Collecting the caller's keys (VoiceXML 2.0 appendix D), without clock or thread.

The driver tells what happens (``digit``, ``prompt_started``, ``prompts_ended``,
``handle_timer``) with the time of a monotonic clock in seconds, asks ``get_timer`` when it wants
to be called next, and stops the prompts as soon as ``barged_in`` is true.  ``result`` is set as
soon as it is known, at the key that decides it where that is possible.
"""

from dataclasses import dataclass
from typing import Literal

from vxml_engine.grammar.network import Matcher, Network
from vxml_engine.limits import KEYS_MAX


@dataclass(frozen=True, slots=True)
class CollectSettings:
    """The timing properties of VoiceXML 2.0 6.3.3, in seconds; no ``termchar``: empty."""

    timeout_s: float
    interdigittimeout_s: float
    termtimeout_s: float
    termchar: str


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """What a recognizer is to know (VoiceXML 2.0 6.3.2); times in seconds, levels from 0 to 1."""

    language: str = "en-US"
    completetimeout_s: float = 0.0
    incompletetimeout_s: float = 0.0
    maxspeechtimeout_s: float = 0.0
    confidencelevel: float = 0.5
    sensitivity: float = 0.5
    speedvsaccuracy: float = 0.5
    maxnbest: int = 1
    hotword: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """The last ``<mark>`` that was played, and the seconds since (VoiceXML 2.1 4)."""

    name: str
    time_s: float


@dataclass(frozen=True, slots=True)
class Collected:
    """An input's end: ``grammar`` is the index of the network that matched, -1 when none did."""

    kind: Literal["match", "nomatch", "noinput"]
    keys: str = ""
    grammar: int = -1
    mark: Mark | None = None


class InputCollector:
    """One input: grammars in order of precedence, timing, and which prompts a key may stop."""

    def __init__(
        self, networks: tuple[Network, ...], settings: CollectSettings, bargein: tuple[bool, ...]
    ) -> None:
        self._matchers = [Matcher(network) for network in networks]
        self._settings = settings
        self._bargein = bargein
        self._protected_before = _last_protected(bargein) + 1
        self._playing: int | None = 0 if bargein else None
        self._keys = ""
        self._timer: float | None = None
        self._started = not bargein
        self.barged_in = False
        self.result: Collected | None = None

    # What the driver tells

    def prompt_started(self, index: int) -> None:
        """Prompt number ``index`` begins.

        A driver that does not tell is safe: until the prompts end, keys are then discarded if
        any of the prompts must be heard.
        """
        if self._playing is not None:
            self._playing = index

    def prompts_ended(self, now: float) -> None:
        """The last prompt has ended, or there was none: the timeout starts."""
        self._playing = None
        self._started = True
        if not self._keys and self.result is None:
            self._timer = now + self._settings.timeout_s

    def digit(self, key: str, now: float) -> None:
        """The caller has pressed ``key``."""
        if self.result is not None:
            return
        if self._playing is not None:
            if self._playing < self._protected_before:
                return  # VoiceXML 2.0 4.1.5: keys during such a prompt are discarded
            self.barged_in = True
            self._playing = None
        if key == self._settings.termchar and not self._accepted(key):
            self._finish()
            return
        self._keys += key
        for matcher in self._matchers:
            matcher.feed(key)
        self._continue(now)

    def get_timer(self) -> float | None:
        """When to call ``handle_timer``; None while there is nothing to wait for."""
        return None if self.result is not None else self._timer

    def handle_timer(self, now: float) -> None:
        """The time ``get_timer`` named has come."""
        if self.result is not None or self._timer is None or now < self._timer:
            return
        if self._keys:
            self._finish()
        else:
            self.result = Collected("noinput")

    def run_out(self, now: float) -> float:
        """Let the time pass from ``now`` on until the input has ended; returns when that is.

        For drivers whose time is virtual; the prompts must have ended.
        """
        while self.result is None:
            due = self.get_timer()
            assert due is not None, "a collector without a result waits for something"
            now = max(now, due)
            self.handle_timer(now)
        return now

    @property
    def possible(self) -> bool:
        """Whether the keys so far match a grammar, or more of them could."""
        return any(matcher.possible for matcher in self._matchers)

    # What follows from it

    def _accepted(self, key: str) -> bool:
        return any(matcher.accepts(key) for matcher in self._matchers)

    def _continue(self, now: float) -> None:
        """After a key: decide, or wait for the next one (appendix D, figures 11 to 16)."""
        settings = self._settings
        if len(self._keys) >= KEYS_MAX:
            self._finish()
        elif any(matcher.extendable for matcher in self._matchers):
            self._timer = now + settings.interdigittimeout_s
        elif any(matcher.complete for matcher in self._matchers):
            if settings.termchar and settings.termtimeout_s > 0:
                self._timer = now + settings.termtimeout_s
            else:
                self._finish()
        else:
            # No match is possible any more: what else is typed belongs to this input.
            self._timer = now + settings.interdigittimeout_s

    def _finish(self) -> None:
        for index, matcher in enumerate(self._matchers):
            if matcher.complete:
                self.result = Collected("match", self._keys, index)
                return
        self.result = Collected("nomatch", self._keys)


def _last_protected(bargein: tuple[bool, ...]) -> int:
    """The index of the last prompt that must be heard to its end, -1 when there is none."""
    return max((i for i, allowed in enumerate(bargein) if not allowed), default=-1)
