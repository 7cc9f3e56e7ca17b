"""RTP headers (RFC 3550 5.1) and the measures every stream is cut to."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from media.compilation import kernel
from media.timing import FRAME_SAMPLES

HEADER_BYTES: Final = 12
PACKET_BYTES: Final = HEADER_BYTES + FRAME_SAMPLES
"""An RTP packet with one frame of G.711."""


@kernel
def octet(packet: NDArray[np.uint8], at: int) -> int:
    """Return an octet as a number that can be shifted without loss."""
    value: int = np.int64(packet[at])  # type: ignore[assignment]  # both are int64 when compiled
    return value


@kernel
def read_u16(packet: NDArray[np.uint8], at: int) -> int:
    """Return the 16-bit number at an offset, network order."""
    return octet(packet, at) << 8 | octet(packet, at + 1)


@kernel
def read_u32(packet: NDArray[np.uint8], at: int) -> int:
    """Return the 32-bit number at an offset, network order."""
    return read_u16(packet, at) << 16 | read_u16(packet, at + 2)


@kernel
def payload_span(packet: NDArray[np.uint8], size: int) -> tuple[int, int]:
    """Return where a packet's payload begins and ends (RFC 3550 5.1, 5.3.1).

    CSRCs, a header extension and padding are left out. (0, 0) says that it is not RTP
    version 2, or that its lengths do not fit its size.
    """
    if size < HEADER_BYTES or packet[0] >> 6 != 2:
        return 0, 0
    begin = HEADER_BYTES + 4 * (packet[0] & 15)
    if packet[0] & 0x10:
        if begin + 4 > size:
            return 0, 0
        begin += 4 + 4 * read_u16(packet, begin + 2)
    end = size
    if packet[0] & 0x20:
        padding = octet(packet, size - 1)
        if padding == 0:
            return 0, 0
        end -= padding
    if begin > end:
        return 0, 0
    return begin, end


@kernel
def write_header(
    packet: NDArray[np.uint8],
    first_word: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
) -> None:
    """Write a 12-byte header; ``first_word`` is the marker bit (0x80) and payload type."""
    packet[0] = 0x80
    packet[1] = first_word
    packet[2] = sequence >> 8 & 255
    packet[3] = sequence & 255
    packet[4] = timestamp >> 24 & 255
    packet[5] = timestamp >> 16 & 255
    packet[6] = timestamp >> 8 & 255
    packet[7] = timestamp & 255
    packet[8] = ssrc >> 24 & 255
    packet[9] = ssrc >> 16 & 255
    packet[10] = ssrc >> 8 & 255
    packet[11] = ssrc & 255


@kernel
def wrapped_32(difference: int) -> int:
    """Return a difference of 32-bit counters as a signed number (RFC 3550 A.1)."""
    return ((difference + 0x80000000) & 0xFFFFFFFF) - 0x80000000
