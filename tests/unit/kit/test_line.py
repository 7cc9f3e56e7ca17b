"""What a line heard is laid out on the sender's clock, losses and all."""

import numpy as np

from tests.kit import g711, tones
from tests.kit.line import Line, Packet


def packets(count: int, *, first: int = 0, at: float = 0.0) -> list[Packet]:
    sound = g711.encode(tones.tone(440, count * 0.02), "PCMU")
    return [
        Packet(
            at + n * 0.02,
            (first + n) & 0xFFFF,
            (first + n) * 160 & 0xFFFFFFFF,
            0,
            False,
            sound[n * 160 : n * 160 + 160],
        )
        for n in range(count)
    ]


def line_with(heard: list[Packet]) -> Line:
    line = Line("127.0.0.1")
    line.packets.extend(heard)
    return line


def test_order_and_a_turn_of_the_sequence_do_not_matter() -> None:
    heard = packets(20, first=65_530)
    heard[3], heard[4] = heard[4], heard[3]
    sound = line_with(heard).heard(0.0, 9.0)
    assert sound.lost == 0
    assert np.abs(sound.samples - tones.tone(440, 0.4)).max() < 300


def test_a_lost_packet_is_silence_and_counted() -> None:
    heard = packets(10)
    del heard[4]
    sound = line_with(heard).heard(0.0, 9.0)
    assert sound.lost == 1
    assert len(sound.samples) == 1600
    assert not sound.samples[640:800].any()


def test_a_new_source_follows_right_behind() -> None:
    heard = packets(5) + packets(5, first=40_000, at=0.1)
    sound = line_with(heard).heard(0.0, 9.0)
    assert len(sound.samples) == 1600
    assert sound.lost == 0


def test_the_beginning_of_a_tone_is_told_by_the_arrival_of_its_packet() -> None:
    quiet = bytes([0xFF]) * 160
    heard = packets(30, at=5.0)
    heard[:10] = [Packet(p.at, p.sequence, p.timestamp, 0, False, quiet) for p in heard[:10]]
    onset = line_with(heard).heard(0.0, 9.0).onset_at(440)
    assert onset is not None
    assert abs(onset - 5.2) < 0.003


def test_nothing_heard_is_nothing() -> None:
    sound = line_with([]).heard(0.0, 9.0)
    assert len(sound.samples) == 0
    assert sound.onset_at(440) is None
