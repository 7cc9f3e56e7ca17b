"""One tick of all rooms, in machine code that calls the C library itself.

A room is read, mixed and sent before the next is touched, while its samples are in the
processor's cache. Every leg is in exactly one room; one that is in no conference is alone in
its own.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from media.compilation import kernel
from media.dtmf_receive import NO_DIGIT, take_event
from media.g711 import ALAW, ULAW
from media.jitter import (
    SEQUENCE_AGAIN,
    SEQUENCE_STRAY,
    note_arrival,
    note_sequence,
    put_audio,
    skip_frames,
    start_sequence,
    take_frame,
)
from media.legs import LEG_BYTES, PEER_OFFSET, SOCKADDR_BYTES, LegRow, LegTable
from media.limits import (
    DATAGRAM_BYTES_MAX,
    EVENTS_A_TICK_MAX,
    PACKET_SAMPLES_MAX,
    PACKETS_A_LEG_A_TICK_MAX,
)
from media.mixer import SILENCE_PEAK, add_frame, encode_frame, limit, others_of
from media.rtp import (
    HEADER_BYTES,
    PACKET_BYTES,
    payload_span,
    read_u16,
    read_u32,
    write_header,
)
from media.timing import FRAME_SAMPLES, TICKS_A_SECOND

RELATCH_TICKS: Final = 2 * TICKS_A_SECOND
"""Silence of a leg's source after which another may take its place."""
DIGIT_EVENT: Final = 0
PLAY_EVENT: Final = 1
SILENCE: Final = np.array([0xFF, 0xD5], np.uint8)
"""The character signal of 0 by law (G.711 tables 1 and 2)."""

_DONT_WAIT: Final = 0x40
_RTCP_READS: Final = 4
_recvfrom: Any = types.ExternalFunction(
    "recvfrom",
    types.ssize_t(types.int32, types.intp, types.size_t, types.int32, types.intp, types.intp),
)
_sendto: Any = types.ExternalFunction(
    "sendto",
    types.ssize_t(types.int32, types.intp, types.size_t, types.int32, types.intp, types.uint32),
)
_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.size_t))


@kernel
def _is_welcome(leg: LegRow, port: int, ip: int, ssrc: int, tick: int) -> bool:
    """Decide whether a packet's source is the leg's, and latch to it (RFC 4961).

    Before the first packet any source may be the one behind the NAT. Afterwards another is
    taken only when it carries on the same stream (a NAT that was rebound), or when the leg's
    own has been silent for two seconds. Without latching only the signalled host may send.
    """
    if not leg.latch:
        return bool(ip == leg.signalled_ip)
    if port == leg.peer_port and ip == leg.peer_ip:
        leg.latched = 1
        return True
    if leg.latched and ssrc != leg.ssrc and tick - leg.last_tick < RELATCH_TICKS:
        return False
    leg.peer_port = port
    leg.peer_ip = ip
    leg.latched = 1
    return True


@kernel
def take_packet(
    leg: LegRow,
    ring: NDArray[np.int16],
    packet: NDArray[np.uint8],
    size: int,
    source: NDArray[np.uint32],
    decode: NDArray[np.int16],
    tick: int,
) -> int:
    """Take one datagram for a leg; return the code of a digit that begins with it, or NO_DIGIT.

    ``packet`` is uint8 [DATAGRAM_BYTES_MAX], ``source`` its sockaddr_in as uint32 [4],
    ``decode`` int16 [2, 256].
    """
    begin, end = payload_span(packet, size)
    if begin == 0:
        leg.discarded += 1
        return NO_DIGIT
    payload_type = packet[1] & 0x7F
    is_event = payload_type == leg.event_payload_type
    law = ULAW
    if payload_type == ALAW * 8:
        law = ALAW
    elif payload_type == leg.payload_type:
        law = leg.law
    elif payload_type != 0 and not is_event:
        leg.discarded += 1
        return NO_DIGIT
    if end == begin or end - begin > PACKET_SAMPLES_MAX:
        leg.discarded += 1
        return NO_DIGIT
    ssrc = read_u32(packet, 8)
    if not _is_welcome(leg, source[0], source[1], ssrc, tick):
        leg.refused += 1
        return NO_DIGIT
    sequence = read_u16(packet, 2)
    timestamp = read_u32(packet, 4)
    first = not leg.started or ssrc != leg.ssrc
    if first or (sequence == leg.sequence_probe):
        start_sequence(leg, ring, sequence, ssrc)
        first = True
    leg.last_tick = tick
    verdict = note_sequence(leg, sequence)
    if verdict == SEQUENCE_AGAIN:
        leg.duplicates += 1
        return NO_DIGIT
    if verdict == SEQUENCE_STRAY:
        leg.sequence_probe = (sequence + 1) & 0xFFFF
        leg.discarded += 1
        return NO_DIGIT
    leg.packets_in += 1
    if is_event:
        return take_event(leg, packet, begin, end)
    note_arrival(leg, timestamp, tick, first)
    put_audio(leg, ring, packet, begin, end, timestamp, decode[law], tick)
    return NO_DIGIT


@kernel
def _receive(
    leg: LegRow,
    ring: NDArray[np.int16],
    packet: NDArray[np.uint8],
    source: NDArray[np.uint32],
    decode: NDArray[np.int16],
    tick: int,
    row: int,
    events: NDArray[np.int32],
    count: int,
) -> int:
    """Read what waits at a leg's ports; return how many events there are now."""
    source_bytes = np.empty(1, np.uint32)
    for _ in range(PACKETS_A_LEG_A_TICK_MAX):
        source_bytes[0] = SOCKADDR_BYTES
        size = _recvfrom(
            leg.fd,
            packet.ctypes.data,
            DATAGRAM_BYTES_MAX,
            _DONT_WAIT,
            source.ctypes.data,
            source_bytes.ctypes.data,
        )
        if size < 0:
            break
        if not leg.connected:
            continue
        code = take_packet(leg, ring, packet, size, source, decode, tick)
        if code != NO_DIGIT:
            count = _note_event(events, count, row, DIGIT_EVENT, code)
    if (tick + row) % TICKS_A_SECOND == 0:
        for _ in range(_RTCP_READS):
            if _recvfrom(leg.rtcp_fd, packet.ctypes.data, 1, _DONT_WAIT, 0, 0) < 0:
                break
    return count


@kernel
def _note_event(events: NDArray[np.int32], count: int, row: int, kind: int, value: int) -> int:
    if count < EVENTS_A_TICK_MAX:
        events[count, 0] = row
        events[count, 1] = kind
        events[count, 2] = value
    return count + 1


@kernel
def take_prompt(leg: LegRow, plays: NDArray[np.int64], prompt: NDArray[np.int16]) -> bool:
    """Write the next frame of what a leg is played to ``prompt`` (int16 [160]).

    ``plays`` is the leg's queue (int64 [files, 2]: address of mapped samples, how many). Files
    follow each other to the sample; what is beyond the last is 0. True when it has ended.
    """
    filled = 0
    while filled < FRAME_SAMPLES and leg.play_file < leg.play_files:
        left = plays[leg.play_file, 1] - leg.play_offset
        part = min(left, FRAME_SAMPLES - filled)
        if part > 0:
            _memcpy(
                prompt.ctypes.data + 2 * filled,
                plays[leg.play_file, 0] + 2 * leg.play_offset,
                2 * part,
            )
            filled += part
            leg.play_offset += part
        if part == left:
            leg.play_offset = 0
            leg.play_file += 1
            if leg.play_loop and leg.play_file == leg.play_files:
                leg.play_file = 0
    leg.play_samples += filled
    prompt[filled:] = 0
    return bool(leg.play_file == leg.play_files)


@kernel
def _send(leg: LegRow, packet: NDArray[np.uint8], tick: int, peer: int) -> None:
    """Put a leg's own header before a payload and send it; ``peer`` is its sockaddr_in."""
    timestamp = (leg.out_timestamp_base + tick * FRAME_SAMPLES) & 0xFFFFFFFF
    marker = 0x80 if leg.out_marker else 0
    write_header(packet, marker | leg.payload_type, leg.out_sequence, timestamp, leg.out_ssrc)
    leg.out_sequence = (leg.out_sequence + 1) & 0xFFFF
    leg.out_marker = 0
    sent = _sendto(leg.fd, packet.ctypes.data, PACKET_BYTES, _DONT_WAIT, peer, SOCKADDR_BYTES)
    if sent == PACKET_BYTES:
        leg.packets_out += 1
    else:
        leg.send_errors += 1


@kernel
def tick_rooms(
    legs: LegTable,
    rings: NDArray[np.int16],
    plays: NDArray[np.int64],
    members: NDArray[np.int32],
    begins: NDArray[np.int32],
    gains: NDArray[np.float32],
    events: NDArray[np.int32],
    decode: NDArray[np.int16],
    encode: NDArray[np.uint8],
    tick: int,
    skipped: int,
) -> int:
    """Do one tick of every room; return the number of events (beyond the array's, dropped).

    Room r has the rows ``members[begins[r]:begins[r + 1]]``; ``gains`` is its limiter's state.
    ``events`` is int32 [EVENTS_A_TICK_MAX, 3]: row, kind, value. ``skipped`` ticks before this
    one were not done: their samples are passed over.
    """
    packet = np.empty(DATAGRAM_BYTES_MAX, np.uint8)
    source = np.empty(4, np.uint32)
    total = np.empty(FRAME_SAMPLES, np.int32)
    mix = np.empty(FRAME_SAMPLES, np.int32)
    heard = np.empty(FRAME_SAMPLES, np.int32)
    prompt = np.empty(FRAME_SAMPLES, np.int16)
    out = np.empty(PACKET_BYTES, np.uint8)
    shared = np.empty((2, PACKET_BYTES), np.uint8)
    shared_ready = np.empty(2, np.uint8)
    count = 0
    for room in range(len(begins) - 1):
        total[:] = 0
        talkers = 0
        shared_ready[:] = 0
        limited = False
        for index in range(begins[room], begins[room + 1]):
            row = members[index]
            leg = legs[row]
            ring = rings[row]
            if skipped:
                skip_frames(leg, ring, skipped)
            count = _receive(leg, ring, packet, source, decode, tick, row, events, count)
            leg.talking = take_frame(leg, ring) > SILENCE_PEAK and not leg.muted
            if leg.talking:
                talkers += 1
                add_frame(total, ring[leg.mix_at : leg.mix_at + FRAME_SAMPLES])
        for index in range(begins[room], begins[room + 1]):
            row = members[index]
            leg = legs[row]
            playing = leg.play_files > 0
            if playing and take_prompt(leg, plays[row], prompt):
                leg.play_files = 0
                count = _note_event(events, count, row, PLAY_EVENT, 0)
            if not leg.sending or leg.digit or leg.peer_port == 0:
                continue
            peer = legs.ctypes.data + row * LEG_BYTES + PEER_OFFSET
            law = leg.law
            if leg.talking or playing:
                if leg.talking:
                    own = rings[row, leg.mix_at : leg.mix_at + FRAME_SAMPLES]
                    others_of(mix, total, own)
                else:
                    mix[:] = total
                if playing:
                    add_frame(mix, prompt)
                leg.gain = limit(mix, leg.gain)
                encode_frame(out, mix, encode[law])
                _send(leg, out, tick, peer)
                continue
            if not shared_ready[law]:
                shared_ready[law] = 1
                if talkers == 0:
                    shared[law, HEADER_BYTES:] = SILENCE[law]
                else:
                    if not limited:
                        limited = True
                        heard[:] = total
                        gains[room] = limit(heard, gains[room])
                    encode_frame(shared[law], heard, encode[law])
            _send(leg, shared[law], tick, peer)
    return count
