"""The table of legs: one row a leg, shared by the Python side and the kernels.

Ports and addresses are kept as they stand in a ``sockaddr_in``, so that a kernel hands a row's
own bytes to ``sendto`` and compares two words to know a packet's source.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from media.limits import JITTER_FRAMES_MAX, PLAY_FILES_MAX
from media.timing import FRAME_SAMPLES

LegTable = NDArray[np.void]
LegRow = Any
"""One row inside a kernel: a numba record, written through."""
Sample = Any
"""A 32-bit number inside a kernel: eight of them fit where four of Python's integers do."""

RING_SAMPLES: Final = JITTER_FRAMES_MAX * FRAME_SAMPLES
MISSING: Final = -32768
"""What a jitter buffer holds where nothing arrived; neither law decodes to it."""

LEG: Final = np.dtype(
    [
        # Who it is, and what is wanted of it (written by the Python side)
        ("fd", np.int32),
        ("rtcp_fd", np.int32),
        ("connected", np.uint8),
        ("sending", np.uint8),
        ("muted", np.uint8),
        ("latch", np.uint8),
        ("law", np.uint8),
        ("payload_type", np.uint8),
        ("event_payload_type", np.int16),
        ("out_ssrc", np.uint32),
        ("out_timestamp_base", np.uint32),
        # A sockaddr_in: family and port, address, padding
        ("peer_port", np.uint32),
        ("peer_ip", np.uint32),
        ("peer_zero", np.uint64),
        ("signalled_port", np.uint32),
        ("signalled_ip", np.uint32),
        # The stream that is received
        ("latched", np.uint8),
        ("started", np.uint8),
        ("event_started", np.uint8),
        ("talking", np.uint8),
        ("ssrc", np.uint32),
        ("last_tick", np.int64),
        ("sequence_high", np.int64),
        ("sequence_first", np.int64),
        ("sequences_seen", np.int64),
        ("sequence_probe", np.int32),
        ("event_timestamp", np.uint32),
        ("transit", np.uint32),
        ("jitter", np.float32),
        # The jitter buffer
        ("play_timestamp", np.uint32),
        ("play_at", np.int32),
        ("mix_at", np.int32),
        ("concealed_run", np.int32),
        ("window_packets", np.int32),
        ("window_slack", np.int32),
        ("window_late", np.int32),
        ("late_ticks", np.int32),
        ("late_tick", np.int64),
        ("extra_frames", np.int32),
        # What is sent
        ("out_sequence", np.uint16),
        ("out_marker", np.uint8),
        ("digit", np.uint8),
        ("gain", np.float32),
        # What is played
        ("play_files", np.int32),
        ("play_file", np.int32),
        ("play_offset", np.int64),
        ("play_samples", np.int64),
        ("play_loop", np.uint8),
        # Statistics
        ("packets_in", np.int64),
        ("packets_out", np.int64),
        ("section_packets", np.int64),
        ("lost_before", np.int64),
        ("late", np.int64),
        ("duplicates", np.int64),
        ("discarded", np.int64),
        ("refused", np.int64),
        ("concealed_frames", np.int64),
        ("send_errors", np.int64),
    ],
    align=True,
)
LEG_BYTES: Final = LEG.itemsize
_fields = LEG.fields
assert _fields is not None
PEER_OFFSET: Final = int(_fields["peer_port"][1])
SOCKADDR_BYTES: Final = 16


def new_legs(rows: int) -> LegTable:
    """Return an empty table (dtype LEG, [rows])."""
    return np.zeros(rows, LEG)


def new_rings(rows: int) -> NDArray[np.int16]:
    """Return empty jitter buffers (int16 [rows, RING_SAMPLES])."""
    return np.full((rows, RING_SAMPLES), MISSING, np.int16)


def new_plays(rows: int) -> NDArray[np.int64]:
    """Return empty play queues (int64 [rows, PLAY_FILES_MAX, 2]: address, samples)."""
    return np.zeros((rows, PLAY_FILES_MAX, 2), np.int64)


def address_words(ip: str, port: int) -> tuple[int, int]:
    """Return the first two words (family and port, address) of an IPv4 ``sockaddr_in``.

    Raises OSError when ``ip`` is not an IPv4 address in dotted form.
    """
    family = socket.AF_INET.to_bytes(2, sys.byteorder)
    port_word = int.from_bytes(family + port.to_bytes(2, "big"), sys.byteorder)
    return port_word, int.from_bytes(socket.inet_aton(ip), sys.byteorder)


def address_text(port_word: int, ip_word: int) -> tuple[str, int]:
    """Return the address (ip, port) of two such words."""
    port = int.from_bytes(int(port_word).to_bytes(4, sys.byteorder)[2:], "big")
    return socket.inet_ntoa(int(ip_word).to_bytes(4, sys.byteorder)), port
