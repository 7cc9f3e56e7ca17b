"""G.711, both laws, computed from the recommendation's segments."""

import numpy as np
from numpy.typing import NDArray

MU_BIAS = 33


def _mu_expanded() -> NDArray[np.int16]:
    code = ~np.arange(256) & 0xFF
    segment, step = (code >> 4) & 7, code & 15
    magnitude = ((2 * step + MU_BIAS) << segment) - MU_BIAS  # 14 bits
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16) * np.int16(4)


def _a_expanded() -> NDArray[np.int16]:
    code = np.arange(256) ^ 0x55
    segment, step = (code >> 4) & 7, code & 15
    low = 2 * step + 1
    magnitude = np.where(segment == 0, low, (low + 32) << np.maximum(segment - 1, 0))  # 13 bits
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16) * np.int16(8)


def _nearest(expanded: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Return the code of the closest value for each of the 65,536 samples, from -32,768 up."""
    order = np.argsort(expanded, kind="stable")
    values = expanded[order].astype(np.int32)
    borders = (values[1:] + values[:-1]) // 2
    return order[np.searchsorted(borders, np.arange(-32_768, 32_768), side="right")].astype(
        np.uint8
    )


EXPANDED = {"PCMU": _mu_expanded(), "PCMA": _a_expanded()}
_CODES = {name: _nearest(expanded) for name, expanded in EXPANDED.items()}
PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8}


def encode(samples: NDArray[np.int16], law: str) -> bytes:
    """Return `samples` in the `law` "PCMU" or "PCMA", one byte a sample."""
    return _CODES[law][samples.astype(np.int32) + 32_768].tobytes()


def decode(payload: bytes, law: str) -> NDArray[np.int16]:
    """Return the int16 samples of a payload."""
    return EXPANDED[law][np.frombuffer(payload, np.uint8)]
