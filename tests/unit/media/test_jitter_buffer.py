"""What an unreliable network does to a stream, and what is heard of it (RFC 3550)."""

import numpy as np
import pytest

from media.limits import JITTER_EXTRA_FRAMES_MAX, PACKETS_A_LEG_A_TICK_MAX
from media.messages import LegStatistics
from tests.kit import g711, tones

from .conftest import FRAME, Party, Rig

TONE = 500.0


@pytest.fixture
def pair(rig: Rig) -> tuple[Rig, Party, Party]:
    return rig, rig.open("anne", "r"), rig.open("bruno", "r")


def frame_of(number: int) -> np.ndarray:
    return tones.tone(TONE, 0.02, first_sample=number * FRAME)


def statistics(rig: Rig, name: str = "anne") -> LegStatistics:
    return rig.plane.statistics_of(name)


def run(rig: Rig, anne: Party, bruno: Party, frames: int, lost: set[int]) -> np.ndarray:
    """Let anne say frames without those that are lost; return what bruno hears."""
    bruno.packets()
    for number in range(frames):
        if number in lost:
            anne.pass_by()
        else:
            anne.say(frame_of(number))
        rig.tick()
    return bruno.hears()


def test_a_stream_starts_two_frames_late_and_stays_there(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    heard = run(rig, anne, bruno, 200, set())
    assert tones.onset(heard, TONE) == pytest.approx(2 * FRAME, abs=20)
    late = heard[2 * FRAME :].astype(int) - g711.decode(
        g711.encode(np.concatenate([frame_of(n) for n in range(198)]), "PCMU"), "PCMU"
    )
    assert np.abs(late).max() == 0  # not a sample lost, doubled or changed in 4 s


def test_packets_out_of_order_are_put_in_order(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    bruno.packets()
    for number in range(0, 100, 2):
        first, second = number, number + 1
        early, late = (
            anne.rtp(g711.encode(frame_of(n), "PCMU"), sequence=1000 + n, timestamp=160 * n)
            for n in (first, second)
        )
        anne.send(late) if number else anne.send(early)
        rig.tick()
        anne.send(early) if number else anne.send(late)
        rig.tick()
    heard = bruno.hears()[10 * FRAME :]
    assert tones.level_dbfs(heard, TONE) == pytest.approx(-16, abs=0.2)
    assert statistics(rig).lost == 0
    assert statistics(rig).late == 0


def test_duplicates_are_taken_once(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    for number in range(50):
        packet = anne.rtp(g711.encode(frame_of(number), "PCMU"))
        anne.send(packet)
        anne.send(packet)
        anne.pass_by()
        rig.tick()
    assert statistics(rig).duplicates == 50
    assert statistics(rig).packets_in == 50
    assert tones.level_dbfs(bruno.hears()[5 * FRAME :], TONE) == pytest.approx(-16, abs=0.2)


def test_a_lost_packet_is_concealed_and_counted(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    heard = run(rig, anne, bruno, 60, {20, 40})
    gap = heard[22 * FRAME : 23 * FRAME]
    assert -26 < tones.loudness_dbfs(gap) < -18  # the frame before, at half its level
    assert statistics(rig).lost == 2
    assert statistics(rig).concealed_frames == 2


def test_a_long_gap_becomes_silence(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    heard = run(rig, anne, bruno, 60, set(range(20, 40)))
    assert tones.loudness_dbfs(heard[30 * FRAME : 40 * FRAME]) < -80
    assert tones.level_dbfs(heard[45 * FRAME :], TONE) == pytest.approx(-16, abs=0.3)
    assert statistics(rig).concealed_frames == 3


def test_late_packets_move_the_playout_back_but_only_so_far(
    pair: tuple[Rig, Party, Party],
) -> None:
    """Bursts every 200 ms: the delay grows to what they need, within its bound."""
    rig, anne, bruno = pair
    for number in range(300):
        anne.say(frame_of(number)) if number < 20 else None
        if number >= 20 and number % 5 == 4:
            for n in range(number - 4, number + 1):
                anne.say(frame_of(n))
        rig.tick()
    assert tones.level_dbfs(bruno.hears()[200 * FRAME :], TONE) == pytest.approx(-16, abs=0.5)
    most_ms = (2 + JITTER_EXTRA_FRAMES_MAX) * 20
    assert statistics(rig).delay_ms <= most_ms <= 200


def test_a_burst_does_not_leave_the_delay_higher(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    run(rig, anne, bruno, 50, set())
    rig.tick(8)  # the network holds back 160 ms
    for number in range(50, 58):
        anne.say(frame_of(number))
    run(rig, anne, bruno, 300, set())  # 6 s of a steady network
    delays = []
    for number in range(30):
        anne.say(frame_of(number) if number != 10 else np.full(FRAME, 30_000, np.int16))
        rig.tick()
        if np.abs(bruno.hears().astype(int)).max(initial=0) > 20_000:
            delays.append(number - 10)
    assert delays[0] <= 3


def test_a_sender_whose_clock_is_fast_or_slow_makes_no_delay_grow(
    pair: tuple[Rig, Party, Party],
) -> None:
    """1,000 ppm either way over 100 s (200 ppm is the most that crystals do)."""
    for drift in (-1, 1):
        rig, anne, bruno = pair
        for number in range(5_000):
            if not (drift < 0 and number % 1000 == 999):
                anne.say(frame_of(number))
            if drift > 0 and number % 1000 == 999:
                anne.say(frame_of(number))
            rig.tick()
            bruno.packets()
        assert statistics(rig).delay_ms <= 80


def test_another_ssrc_is_a_new_stream(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    run(rig, anne, bruno, 30, set())
    anne.ssrc, anne.sequence, anne.timestamp = 77, 9, 4_000_000_000
    heard = run(rig, anne, bruno, 50, set())
    assert tones.level_dbfs(heard[5 * FRAME :], TONE) == pytest.approx(-16, abs=0.3)
    assert statistics(rig).lost == 0


def test_sequence_numbers_and_timestamps_wrap(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    anne.sequence, anne.timestamp = 65_520, 2**32 - 160 * 10
    heard = run(rig, anne, bruno, 60, set())
    assert tones.level_dbfs(heard[5 * FRAME :], TONE) == pytest.approx(-16, abs=0.2)
    assert statistics(rig).lost == 0
    assert statistics(rig).concealed_frames == 0


@pytest.mark.parametrize("packet_ms", [10, 30, 40, 60])
def test_packets_of_any_length_are_taken(pair: tuple[Rig, Party, Party], packet_ms: int) -> None:
    rig, anne, bruno = pair
    sound = tones.tone(TONE, 2.4)
    size, sent = 8 * packet_ms, 0
    for tick in range(100):
        while sent + size <= (tick + 1) * FRAME:
            anne.say(sound[sent : sent + size])
            sent += size
        rig.tick()
    heard = bruno.hears()[20 * FRAME :]
    assert tones.level_dbfs(heard, TONE) == pytest.approx(-16, abs=0.3)


def test_the_law_may_change_within_a_call(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    run(rig, anne, bruno, 20, set())
    anne.law = "PCMA"
    heard = run(rig, anne, bruno, 50, set())
    assert tones.level_dbfs(heard[5 * FRAME :], TONE) == pytest.approx(-16, abs=0.3)


def test_silence_suppression_resumes_in_time(pair: tuple[Rig, Party, Party]) -> None:
    """A talk spurt after 2 s of nothing: sequence goes on, timestamps leapt (RFC 3551 4.1)."""
    rig, anne, bruno = pair
    run(rig, anne, bruno, 20, set())
    rig.tick(100)
    anne.timestamp += 100 * FRAME
    heard = run(rig, anne, bruno, 30, set())
    assert tones.level_dbfs(heard[5 * FRAME :], TONE) == pytest.approx(-16, abs=0.3)
    assert statistics(rig).lost == 0


def test_a_flood_is_read_in_portions(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, _ = pair
    for number in range(2 * PACKETS_A_LEG_A_TICK_MAX):
        anne.say(frame_of(number))
    rig.tick()
    assert statistics(rig).packets_in == PACKETS_A_LEG_A_TICK_MAX


def test_jitter_is_measured(pair: tuple[Rig, Party, Party]) -> None:
    rig, anne, bruno = pair
    run(rig, anne, bruno, 50, set())
    assert statistics(rig).jitter_ms == 0
    for number in range(100):
        if number % 2:
            anne.say(frame_of(number))
            anne.say(frame_of(number + 1))
        rig.tick()
    assert 5 < statistics(rig).jitter_ms < 25
