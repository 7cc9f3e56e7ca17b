"""Telephone events as they are received (RFC 4733).

A digit counts at the first packet of its event that arrives, whichever of the event's packets
that is: the others carry the same timestamp.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from media.compilation import kernel
from media.legs import LegRow
from media.rtp import octet, read_u32, wrapped_32

NO_DIGIT: Final = -1

_EVENT_BYTES: Final = 4
_DIGIT_CODES: Final = 16
_RESTART_SAMPLES: Final = 80_000


@kernel
def take_event(leg: LegRow, packet: NDArray[np.uint8], begin: int, end: int) -> int:
    """Return the event code (0 to 15) of a digit not reported before, else NO_DIGIT.

    An event is known by its timestamp (RFC 4733 2.5.1.2): an equal or an older one has been
    reported. One more than ten seconds older means the sender's timestamps began anew.
    """
    if end - begin < _EVENT_BYTES:
        leg.discarded += 1
        return NO_DIGIT
    timestamp = read_u32(packet, 4)
    if leg.event_started:
        ahead = wrapped_32(timestamp - leg.event_timestamp)
        if -_RESTART_SAMPLES < ahead <= 0:
            return NO_DIGIT
    leg.event_started = 1
    leg.event_timestamp = timestamp
    code = octet(packet, begin)
    return code if code < _DIGIT_CODES else NO_DIGIT
