"""Digits as telephone events (RFC 4733), as they are sent."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from media.errors import BadRequest
from media.limits import DIGITS_QUEUED_MAX
from media.timing import FRAME_SAMPLES

DIGITS: Final = "0123456789*#ABCD"
"""Digits by event code (RFC 4733 3.2)."""
_UPDATES: Final = 4
_ENDS: Final = 3
_GAP_TICKS: Final = 5
_VOLUME: Final = 10  # -10 dBm0, RFC 4733 2.3.4


@dataclass(frozen=True)
class EventPacket:
    """What one telephone-event packet carries besides the stream's numbers."""

    payload: bytes
    age_samples: int
    """How long ago the event began: its timestamp is the tick's less this."""
    marker: bool


def event_payload(code: int, duration_samples: int, *, end: bool) -> bytes:
    """Return the 4 octets of an event (RFC 4733 2.3)."""
    return bytes((code, end << 7 | _VOLUME)) + duration_samples.to_bytes(2, "big")


class DigitSender:
    """The digits one leg has to send: 100 ms each, 140 ms apart, the end told three times."""

    def __init__(self) -> None:
        self._digits: deque[int] = deque()
        self._step = 0

    def add(self, digits: str) -> None:
        """Queue digits; raises BadRequest for a character that is none, or too many."""
        bad = [digit for digit in digits if digit not in DIGITS]
        if bad:
            raise BadRequest(f"{bad[0]!r} is not a digit; use {DIGITS}")
        if len(self._digits) + len(digits) > DIGITS_QUEUED_MAX:
            raise BadRequest(
                f"{len(self._digits) + len(digits)} digits would wait, at most"
                f" {DIGITS_QUEUED_MAX} may (DIGITS_QUEUED_MAX); send them in parts"
            )
        self._digits.extend(DIGITS.index(digit) for digit in digits)

    @property
    def done(self) -> bool:
        """Whether nothing is left to send."""
        return not self._digits

    def step(self) -> EventPacket | None:
        """Return what to send in this tick instead of audio; None in the gaps and after all."""
        if not self._digits:
            return None
        step, self._step = self._step, self._step + 1
        if step >= _UPDATES + _ENDS:
            if step == _UPDATES + _ENDS + _GAP_TICKS - 1:
                self._digits.popleft()
                self._step = 0
            return None
        duration = min(step, _UPDATES) * FRAME_SAMPLES + FRAME_SAMPLES
        return EventPacket(
            event_payload(self._digits[0], duration, end=step >= _UPDATES),
            step * FRAME_SAMPLES,
            marker=step == 0,
        )
