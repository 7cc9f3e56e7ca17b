"""Prompts: what is heard, in which order, and how they end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from media.audiofile import wav_bytes
from media.limits import PLAY_FILES_MAX, PROMPT_FILE_BYTES_MAX
from media.messages import Answer, PlayEnded, Stop
from tests.kit import tones

from .conftest import FRAME, Rig, Samples

Wav = Callable[[Samples], object]


def ends(events: list[Answer]) -> list[PlayEnded]:
    return [one for one in events if isinstance(one, PlayEnded)]


def test_files_are_played_in_order_without_a_gap(rig: Rig, wav: Wav) -> None:
    anne = rig.open("anne")
    sound = tones.tone(500, 1.0)
    rig.play("anne", wav(sound[:3001]), wav(sound[3001:3050]), wav(sound[3050:]), play_id=7)
    events = rig.tick(50)
    assert ends(events) == [PlayEnded("anne", 7, completed=True, played_ms=1000)]
    wrong = anne.hears().astype(int) - sound
    assert np.abs(wrong).max() < 300  # what mu-law does to this level
    assert rig.plane.prompts_mapped == 0


def test_a_prompt_stops_within_a_tick(rig: Rig, wav: Wav) -> None:
    anne = rig.open("anne")
    rig.play("anne", wav(tones.tone(500, 5.0)))
    rig.tick(10)
    anne.packets()
    rig.plane.apply(Stop("anne"))
    (end,) = ends(rig.tick())
    assert (end.completed, end.played_ms) == (False, 200)
    assert tones.loudness_dbfs(anne.hears()) < -60
    rig.plane.apply(Stop("anne"))  # nothing plays: nothing ends
    assert ends(rig.tick(2)) == []


def test_another_prompt_takes_the_place_of_the_one_that_plays(rig: Rig, wav: Wav) -> None:
    anne = rig.open("anne")
    rig.play("anne", wav(tones.tone(500, 5.0)), play_id=1)
    rig.tick(5)
    rig.play("anne", wav(tones.tone(900, 0.2)), play_id=2)
    anne.packets()
    events = ends(rig.tick(20))
    assert [(one.play_id, one.completed) for one in events] == [(1, False), (2, True)]
    heard = anne.hears()
    assert tones.level_dbfs(heard[: 10 * FRAME], 900) == pytest.approx(-16, abs=0.3)
    assert tones.level_dbfs(heard[: 10 * FRAME], 500) < -50


def test_a_loop_goes_on_until_it_is_stopped(rig: Rig, wav: Wav) -> None:
    anne = rig.open("anne")
    rig.play("anne", wav(tones.tone(500, 0.1)), loop=True)
    assert ends(rig.tick(100)) == []
    assert tones.level_dbfs(anne.hears(), 500) == pytest.approx(-16, abs=0.3)


def test_only_the_leg_that_is_played_to_hears_it_over_the_room(rig: Rig, wav: Wav) -> None:
    for name in ("anne", "bruno", "chloe"):
        rig.open(name, "r")
    rig.play("anne", wav(tones.tone(500, 2.0)))
    heard, _ = rig.talk(50, {"bruno": tones.tone(900, 1.0)})
    late = slice(5 * FRAME, None)
    assert tones.level_dbfs(heard["anne"][late], 500) == pytest.approx(-16, abs=0.5)
    assert tones.level_dbfs(heard["anne"][late], 900) == pytest.approx(-16, abs=0.5)
    assert tones.level_dbfs(heard["chloe"][late], 500) < -60
    assert tones.level_dbfs(heard["bruno"][late], 500) < -60


def test_a_file_that_cannot_be_played_is_told_with_its_reason(rig: Rig, tmp_path: Path) -> None:
    rig.open("anne")
    whole = wav_bytes(tones.tone(500, 0.5))
    stereo = bytearray(whole)
    stereo[22] = 2
    bad = {
        "gone.wav": (None, "No such file"),
        "text.wav": (b"hello, this is no sound at all", "not a WAV"),
        "stereo.wav": (bytes(stereo), "mono"),
        "cut.wav": (whole[:2000], "cut off"),
        "empty.wav": (b"", "0 bytes"),
    }
    for name, (data, reason) in bad.items():
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        rig.play("anne", path)
        (end,) = ends(rig.tick())
        assert not end.completed
        assert reason in end.error, name
        assert name in end.error
    assert rig.plane.prompts_mapped == 0


def test_no_sound_at_all_ends_at_once(rig: Rig, wav: Wav) -> None:
    rig.open("anne")
    rig.play("anne", wav(np.zeros(0, np.int16)))
    assert [one.completed for one in ends(rig.tick())] == [True]


def test_limits_of_playing(rig: Rig, wav: Wav, tmp_path: Path) -> None:
    rig.open("anne")
    one = wav(tones.tone(500, 0.02))
    rig.play("anne", *[one] * PLAY_FILES_MAX)
    assert ends(rig.tick(PLAY_FILES_MAX))[0].completed
    rig.play("anne", *[one] * (PLAY_FILES_MAX + 1))
    assert "PLAY_FILES_MAX" in ends(rig.tick())[0].error
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.write(wav_bytes(tones.tone(500, 0.1)))
        file.truncate(PROMPT_FILE_BYTES_MAX + 1)
    rig.play("anne", large)
    assert "PROMPT_FILE_BYTES_MAX" in ends(rig.tick())[0].error
