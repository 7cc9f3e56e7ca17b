"""The sums of a room: what each leg hears is all others, limited, in its own law.

Sums are 32-bit and a leg's own samples are taken out before the limiter sees the rest; a
saturated sum could not be taken apart again.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from media.compilation import kernel
from media.legs import Sample
from media.rtp import HEADER_BYTES
from media.timing import FRAME_SAMPLES

SILENCE_PEAK: Final = 8
"""Peak level up to which a frame is silence: the least step of either law."""
LIMITER_PEAK: Final = 32000
LIMITER_RAMP: Final = 16
"""Samples (2 ms) over which the limiter takes hold."""
LIMITER_RELEASE: Final = 0.02
"""Gain the limiter gives back each tick: from a tenth to all in 0.9 s."""


@kernel
def limit(mix: NDArray[np.int32], gain: float) -> float:
    """Scale a frame (int32 [160], in place) so that it peaks at LIMITER_PEAK at most.

    ``gain`` is what the call for the frame before returned (1.0 at first); the new one is
    returned. It falls at once, over 2 ms, and rises slowly, so that many voices stay voices.
    """
    low: Sample = np.int32(0)
    high: Sample = np.int32(0)
    for index in range(FRAME_SAMPLES):
        low = min(low, mix[index])
        high = max(high, mix[index])
    peak = max(high, -low)
    if gain >= 1.0 and peak <= LIMITER_PEAK:
        return 1.0
    wanted = min(1.0, gain + LIMITER_RELEASE)
    if peak * wanted > LIMITER_PEAK:
        wanted = LIMITER_PEAK / peak
    step = (wanted - gain) / LIMITER_RAMP
    for index in range(FRAME_SAMPLES):
        now = wanted if index >= LIMITER_RAMP else gain + step * (index + 1)
        scaled = np.int32(mix[index] * now)
        mix[index] = min(max(scaled, np.int32(-32768)), np.int32(32767))
    return wanted


@kernel
def add_frame(mix: NDArray[np.int32], frame: NDArray[np.int16]) -> None:
    """Add a frame (int16 [160]) to a sum (int32 [160])."""
    for index in range(FRAME_SAMPLES):
        mix[index] += frame[index]


@kernel
def others_of(mix: NDArray[np.int32], total: NDArray[np.int32], own: NDArray[np.int16]) -> None:
    """Write the room's sum without one leg's own frame to ``mix`` (int32 [160])."""
    for index in range(FRAME_SAMPLES):
        mix[index] = total[index] - own[index]


@kernel
def encode_frame(
    packet: NDArray[np.uint8], mix: NDArray[np.int32], encode: NDArray[np.uint8]
) -> None:
    """Write a limited frame behind a packet's header; ``encode`` is one law's table."""
    for index in range(FRAME_SAMPLES):
        packet[HEADER_BYTES + index] = encode[mix[index] & 0xFFFF]
