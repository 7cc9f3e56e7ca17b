"""Tones are found at their level and their beginning, and only where they are."""

import numpy as np
import pytest

from tests.kit import g711, tones


@pytest.mark.parametrize("hz", [300.0, 440.0, 1004.0, 3300.0])
@pytest.mark.parametrize("dbfs", [-3.0, -16.0, -40.0])
def test_a_tone_is_found_at_its_level_and_nowhere_else(hz: float, dbfs: float) -> None:
    sound = tones.tone(hz, 0.5, dbfs=dbfs)
    assert tones.level_dbfs(sound, hz) == pytest.approx(dbfs, abs=0.2)
    assert tones.loudness_dbfs(sound) == pytest.approx(dbfs, abs=0.3)
    assert tones.level_dbfs(sound, hz + 120) < dbfs - 35
    assert tones.loudest_hz(sound) == pytest.approx(hz, abs=1)


def test_two_tones_are_told_apart() -> None:
    both = tones.tone(440, 0.5, dbfs=-10) + tones.tone(520, 0.5, dbfs=-30)
    assert tones.level_dbfs(both, 440) == pytest.approx(-10, abs=0.2)
    assert tones.level_dbfs(both, 520) == pytest.approx(-30, abs=0.5)


@pytest.mark.parametrize("start", [800, 1234, 4001])
def test_the_beginning_is_found_to_two_milliseconds_among_other_tones(start: int) -> None:
    sound = tones.tone(900, 1.0, dbfs=-20)
    begun = tones.tone(440, 1.0, dbfs=-12)[: 8000 - start]
    sound[start:] += begun
    found = tones.onset(sound, 440)
    assert found is not None
    assert abs(found - start) <= 16


def test_no_tone_has_no_beginning() -> None:
    assert tones.onset(tones.tone(900, 0.5), 440) is None
    assert tones.onset(tones.silence(0.5), 440) is None
    assert tones.onset(tones.silence(0.01), 440) is None


def test_a_tone_continues_where_it_was() -> None:
    whole = tones.tone(440, 0.04)
    parts = [tones.tone(440, 0.02), tones.tone(440, 0.02, first_sample=160)]
    assert np.array_equal(whole, np.concatenate(parts))


def test_silence_and_speech_are_told_apart() -> None:
    assert tones.busy_frames(tones.silence(1.0)) == 0
    assert tones.busy_frames(tones.tone(200, 1.0, dbfs=-30)) == 50
    assert tones.loudness_dbfs(tones.silence(0.1)) == tones.SILENCE_DBFS


@pytest.mark.parametrize(
    ("law", "code", "value"),
    # ITU-T G.711 tables 1a and 2a: the ends of the scales
    [("PCMU", 0x80, 32124), ("PCMU", 0x00, -32124), ("PCMU", 0xFF, 0), ("PCMA", 0xAA, 32256)],
)
def test_g711_ends_of_the_scales(law: str, code: int, value: int) -> None:
    assert g711.decode(bytes([code]), law)[0] == value
    assert g711.encode(np.array([value], np.int16), law) == bytes([code])


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_g711_keeps_a_tone(law: str) -> None:
    sound = tones.tone(1004, 0.5, dbfs=-16)
    back = g711.decode(g711.encode(sound, law), law)
    assert tones.loudness_dbfs(back - sound) < -50
