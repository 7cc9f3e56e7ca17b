"""G.711: both laws as tables, exact to the recommendation's decision and output values.

A 16-bit sample is 4 units of the mu-law's 14-bit scale and 8 of the A-law's 13-bit scale.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Codec = Literal["PCMU", "PCMA"]

ULAW: Final = 0
"""Row of the tables that holds the mu-law (and RTP payload type 0, RFC 3551 6)."""
ALAW: Final = 1
"""Row of the tables that holds the A-law (RTP payload type 8, RFC 3551 6)."""
LAWS: Final[dict[Codec, int]] = {"PCMU": ULAW, "PCMA": ALAW}

_ULAW_BIAS = 132
_ULAW_PEAK = 32635


def _decode_table() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32)
    table = np.zeros((2, 256), np.int16)

    bits = code ^ 0xFF  # G.711 table 2: all bits of the character signal are inverted
    exponent, mantissa = (bits >> 4) & 7, bits & 15
    magnitude = (((mantissa << 3) + _ULAW_BIAS) << exponent) - _ULAW_BIAS
    table[ULAW] = np.where(bits & 0x80, -magnitude, magnitude)

    bits = code ^ 0x55  # G.711 table 1: the even bits are inverted
    exponent, mantissa = (bits >> 4) & 7, bits & 15
    # The middle of the interval: half a step of 16 above its lower decision value.
    linear = (mantissa << 4) + 8
    magnitude = np.where(exponent == 0, linear, (linear + 256) << np.maximum(exponent - 1, 0))
    table[ALAW] = np.where(bits & 0x80, magnitude, -magnitude)
    return table


def _floor_log2(value: NDArray[np.int32]) -> NDArray[np.int32]:
    """Exact floor of the binary logarithm of positive integers."""
    return (np.frexp(value.astype(np.float64))[1] - 1).astype(np.int32)


def _encode_table() -> NDArray[np.uint8]:
    sample = np.arange(65536, dtype=np.int32)
    sample = np.where(sample >= 32768, sample - 65536, sample)
    negative = sample < 0
    magnitude = np.abs(sample)
    table = np.zeros((2, 65536), np.uint8)

    biased = np.minimum(magnitude, _ULAW_PEAK) + _ULAW_BIAS
    exponent = _floor_log2(biased) - 7
    mantissa = (biased >> (exponent + 3)) & 15
    table[ULAW] = (np.where(negative, 0x80, 0) | (exponent << 4) | mantissa) ^ 0xFF

    clipped = np.minimum(magnitude, 32767)
    exponent = np.maximum(_floor_log2(np.maximum(clipped, 1)) - 7, 0)
    mantissa = (clipped >> np.where(exponent == 0, 4, exponent + 3)) & 15
    table[ALAW] = (np.where(negative, 0, 0x80) | (exponent << 4) | mantissa) ^ 0x55
    return table


DECODE: Final = _decode_table()
"""int16 [2, 256]: sample by law and character signal."""
ENCODE: Final = _encode_table()
"""uint8 [2, 65536]: character signal by law and ``sample & 0xFFFF``."""
DECODE.setflags(write=False)
ENCODE.setflags(write=False)


def decode(data: bytes, codec: Codec) -> NDArray[np.int16]:
    """Return the samples (int16 [n]) of G.711 octets."""
    samples: NDArray[np.int16] = DECODE[LAWS[codec]][np.frombuffer(data, np.uint8)]
    return samples


def encode(samples: NDArray[np.int16], codec: Codec) -> bytes:
    """Return the G.711 octets of samples (int16 [n])."""
    octets: NDArray[np.uint8] = ENCODE[LAWS[codec]][samples.view(np.uint16)]
    return octets.tobytes()
