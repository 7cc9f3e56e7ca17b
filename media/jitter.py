"""The jitter buffer of one leg: a ring of decoded samples, addressed by RTP timestamp.

Addressing by timestamp (not by sequence number) takes any packet length, silence suppression
and telephone events, which use up sequence numbers without using up time.

The play-out point moves 160 samples a tick and no faster. A stream starts two frames behind its
first packet. Packets that come late again and again push the point back a frame at a time (the
last frame is heard twice), at most JITTER_EXTRA_FRAMES_MAX; when for two seconds every packet
had a frame more to spare than the start gave it, the point skips forward. So delay follows what
the network needs and neither a burst, a faster sender clock nor a stalled machine leaves it
higher. What is missing is the frame before at half the level, three times, then silence.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from media.compilation import kernel
from media.legs import MISSING, RING_SAMPLES, LegRow, Sample
from media.limits import JITTER_EXTRA_FRAMES_MAX
from media.rtp import wrapped_32
from media.timing import FRAME_SAMPLES

START_SAMPLES: Final = 2 * FRAME_SAMPLES
"""Play-out delay a stream starts with."""
WINDOW_PACKETS: Final = 100
"""Packets over which the spare time of a stream is judged."""
LATE_TO_STRETCH: Final = 2
"""Late packets in a window that push the play-out point back a frame."""
LATE_TICKS_TO_RESTART: Final = 3
"""Ticks in a row with nothing but late packets after which the stream is started afresh."""
CONCEALED_FRAMES_MAX: Final = 3
SEQUENCE_JUMP_MAX: Final = 3000
"""Sequence numbers a stream may leap forward without proof (RFC 3550 A.1, MAX_DROPOUT)."""
MISORDER_MAX: Final = 100
"""Sequence numbers a packet may come behind (RFC 3550 A.1, MAX_MISORDER)."""
SEEN_BITS: Final = 62

SEQUENCE_NEW: Final = 0
SEQUENCE_AGAIN: Final = 1
SEQUENCE_STRAY: Final = 2

NO_PROBE: Final = -1


@kernel
def start_sequence(leg: LegRow, ring: NDArray[np.int16], sequence: int, ssrc: int) -> None:
    """Begin a stream at a packet: another SSRC, or a proven jump (RFC 3550 A.1, 8.2)."""
    if leg.started:
        leg.lost_before += lost_in_section(leg)
    leg.started = 1
    leg.ssrc = ssrc
    leg.sequence_first = sequence
    leg.sequence_high = sequence - 1
    leg.sequences_seen = 0
    leg.sequence_probe = NO_PROBE
    leg.section_packets = 0
    leg.event_started = 0
    leg.play_at = -1
    ring[:] = MISSING


@kernel
def lost_in_section(leg: LegRow) -> int:
    """Return the packets lost since the stream last started (RFC 3550 A.3), not below 0."""
    lost: int = leg.sequence_high - leg.sequence_first + 1 - leg.section_packets
    return max(0, lost)


@kernel
def note_sequence(leg: LegRow, sequence: int) -> int:
    """Enter a packet's sequence number: new, seen before, or a leap that is not proven yet.

    Two packets that follow each other prove a leap (RFC 3550 A.1); the second is answered
    SEQUENCE_STRAY with ``sequence_probe`` equal to its own number.
    """
    ahead = ((sequence - leg.sequence_high + 0x8000) & 0xFFFF) - 0x8000
    if ahead > SEQUENCE_JUMP_MAX or ahead <= -MISORDER_MAX:
        return SEQUENCE_STRAY
    if ahead > 0:
        if ahead > SEEN_BITS:
            leg.sequences_seen = 1
        else:
            mask = (np.int64(1) << SEEN_BITS) - 1
            leg.sequences_seen = ((leg.sequences_seen << ahead) | 1) & mask
        leg.sequence_high += ahead
    elif -ahead < SEEN_BITS:
        bit = np.int64(1) << -ahead
        if leg.sequences_seen & bit:
            return SEQUENCE_AGAIN
        leg.sequences_seen |= bit
    leg.sequence_probe = NO_PROBE
    leg.section_packets += 1
    return SEQUENCE_NEW


@kernel
def note_arrival(leg: LegRow, timestamp: int, tick: int, first: bool) -> None:
    """Update the interarrival jitter in samples (RFC 3550 A.8), to the tick's precision."""
    transit = (tick * FRAME_SAMPLES - timestamp) & 0xFFFFFFFF
    if not first:
        change = abs(wrapped_32(transit - leg.transit))
        leg.jitter += (np.float32(change) - leg.jitter) / np.float32(16)
    leg.transit = transit


@kernel
def start_playout(leg: LegRow, ring: NDArray[np.int16], timestamp: int) -> None:
    """Set the play-out point two frames before a timestamp, and empty the buffer."""
    ring[:] = MISSING
    leg.play_timestamp = (timestamp - START_SAMPLES) & 0xFFFFFFFF
    leg.play_at = 0
    leg.concealed_run = CONCEALED_FRAMES_MAX
    leg.window_packets = 0
    leg.window_slack = RING_SAMPLES
    leg.window_late = 0
    leg.late_ticks = 0
    leg.late_tick = -1
    leg.extra_frames = 0


@kernel
def _shift(leg: LegRow, frames: int) -> None:
    """Move the play-out point by frames; backward repeats what was played last."""
    leg.play_timestamp = (leg.play_timestamp + frames * FRAME_SAMPLES) & 0xFFFFFFFF
    leg.play_at = (leg.play_at + frames * FRAME_SAMPLES) % RING_SAMPLES


@kernel
def skip_frames(leg: LegRow, ring: NDArray[np.int16], frames: int) -> None:
    """Move the play-out point forward, forgetting what is passed over."""
    if leg.play_at < 0:
        return
    if frames * FRAME_SAMPLES >= RING_SAMPLES:
        ring[:] = MISSING
    else:
        for frame in range(-1, frames):
            at = (leg.play_at + frame * FRAME_SAMPLES) % RING_SAMPLES
            ring[at : at + FRAME_SAMPLES] = MISSING
    _shift(leg, frames)


@kernel
def _note_late(leg: LegRow, ring: NDArray[np.int16], timestamp: int, tick: int) -> None:
    leg.late += 1
    leg.window_late += 1
    if leg.late_tick == tick:
        return
    leg.late_tick = tick
    leg.late_ticks += 1
    if leg.late_ticks >= LATE_TICKS_TO_RESTART:
        start_playout(leg, ring, timestamp)
    elif leg.window_late >= LATE_TO_STRETCH and leg.extra_frames < JITTER_EXTRA_FRAMES_MAX:
        leg.extra_frames += 1
        _shift(leg, -1)


@kernel
def _judge_window(leg: LegRow, ring: NDArray[np.int16]) -> None:
    spare = (leg.window_slack - START_SAMPLES) // FRAME_SAMPLES
    if spare >= 1:
        skip_frames(leg, ring, spare)
        leg.extra_frames = max(0, leg.extra_frames - spare)
    leg.window_packets = 0
    leg.window_slack = RING_SAMPLES
    leg.window_late = 0


@kernel
def put_audio(
    leg: LegRow,
    ring: NDArray[np.int16],
    packet: NDArray[np.uint8],
    begin: int,
    end: int,
    timestamp: int,
    decode: NDArray[np.int16],
    tick: int,
) -> None:
    """Decode a packet's payload into the buffer, or count it as late.

    ``ring`` is the leg's (int16 [RING_SAMPLES]), ``decode`` one law's table (int16 [256]).
    A timestamp that the buffer cannot reach starts the play-out afresh.
    """
    count = end - begin
    if leg.play_at < 0:
        start_playout(leg, ring, timestamp)
    slack = wrapped_32(timestamp - leg.play_timestamp)
    if slack + count > RING_SAMPLES - FRAME_SAMPLES or slack < -RING_SAMPLES:
        start_playout(leg, ring, timestamp)
        slack = START_SAMPLES
    if slack + count <= 0:
        _note_late(leg, ring, timestamp, tick)
        slack = wrapped_32(timestamp - leg.play_timestamp)
        if slack + count <= 0:
            return
    leg.window_packets += 1
    if slack < leg.window_slack:
        leg.window_slack = slack
    if leg.late_tick != tick:
        leg.late_ticks = 0
    skipped = max(0, -slack)
    at = (leg.play_at + slack + skipped) % RING_SAMPLES
    source = begin + skipped
    until_end = min(count - skipped, RING_SAMPLES - at)
    for index in range(until_end):
        ring[at + index] = decode[packet[source + index]]
    for index in range(until_end, count - skipped):
        ring[at + index - RING_SAMPLES] = decode[packet[source + index]]
    if leg.window_packets >= WINDOW_PACKETS:
        _judge_window(leg, ring)


@kernel
def take_frame(leg: LegRow, ring: NDArray[np.int16]) -> int:
    """Move one frame on; ``mix_at`` says where in the ring the frame to be heard now stands.

    Returns its peak level (0 for silence). The frame before is kept until now, for
    concealment, and forgotten here.
    """
    if leg.play_at < 0:
        return 0
    at = leg.play_at
    before = at - FRAME_SAMPLES if at >= FRAME_SAMPLES else RING_SAMPLES - FRAME_SAMPLES
    frame = ring[at : at + FRAME_SAMPLES]
    last = ring[before : before + FRAME_SAMPLES]
    low: Sample = np.int32(0)
    high: Sample = np.int32(0)
    for index in range(FRAME_SAMPLES):
        sample: Sample = np.int32(frame[index])
        low = min(low, sample)
        high = max(high, sample)
    peak: int = max(high, -low)
    if low == MISSING:
        peak = _fill(leg, frame, last)
    else:
        leg.concealed_run = 0
    last[:] = MISSING
    leg.mix_at = at
    leg.play_at = at + FRAME_SAMPLES if at + FRAME_SAMPLES < RING_SAMPLES else 0
    leg.play_timestamp = (leg.play_timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
    return peak


@kernel
def _fill(leg: LegRow, frame: NDArray[np.int16], last: NDArray[np.int16]) -> int:
    """Put something where samples are missing; return the frame's peak."""
    conceal = leg.concealed_run < CONCEALED_FRAMES_MAX
    peak = 0
    missing = 0
    for index in range(FRAME_SAMPLES):
        sample: Sample = np.int32(frame[index])
        if sample == MISSING:
            missing += 1
            sample = np.int32(0)
            if conceal and last[index] != MISSING:
                sample = np.int32(last[index]) // 2
            frame[index] = sample
        peak = max(peak, abs(sample))
    if missing < FRAME_SAMPLES:
        leg.concealed_run = 0
    elif conceal:
        leg.concealed_run += 1
        leg.concealed_frames += 1
    return peak
