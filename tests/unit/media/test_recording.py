"""What a leg's party says is recorded: what of it, how long, and what ends it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from media import recording
from media.errors import BadRequest
from media.limits import RECORDING_S_MAX
from media.messages import Answer, RecordingEnded, StartRecording, StopRecording
from media.prompts import find_chunks
from tests.kit import tones
from tests.unit.media.conftest import Rig


def start(rig: Rig, file: Path, name: str = "ada", **more: float) -> None:
    times = {"max_s": 60.0, "timeout_s": 5.0, "final_silence_s": 2.0} | more
    rig.plane.apply(StartRecording(name, str(file), **times))


def ended(events: list[Answer]) -> list[RecordingEnded]:
    return [event for event in events if isinstance(event, RecordingEnded)]


def end_of(rig: Rig, events: list[Answer]) -> RecordingEnded:
    """Return the one recording's end, once its file is written."""
    rig.plane.settle()
    (end,) = ended(events + rig.tick())
    return end


def sound_of(file: Path) -> NDArray[np.int16]:
    data = file.read_bytes()
    begin, end = find_chunks(data)[b"data"]
    assert end == len(data)
    return np.frombuffer(data[begin:end], "<i2")


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_what_is_said_is_in_the_file(rig: Rig, tmp_path: Path, law: str) -> None:
    rig.open("ada", law=law)
    start(rig, tmp_path / "a.wav")
    rig.talk(50, {"ada": tones.tone(440, 1.0, dbfs=-16)})
    rig.plane.apply(StopRecording("ada"))
    end = end_of(rig, [])
    assert end == RecordingEnded("ada", "stopped", 50 * 160, True)
    sound = sound_of(tmp_path / "a.wav")
    assert len(sound) == end.samples
    assert tones.level_dbfs(sound[1600:], 440) == pytest.approx(-16, abs=1)


def test_others_and_what_is_played_are_not_recorded(rig: Rig, tmp_path: Path, wav) -> None:  # type: ignore[no-untyped-def]
    rig.open("ada", "room")
    rig.open("bob", "room")
    rig.play("ada", wav(tones.tone(1000, 1.0)))
    start(rig, tmp_path / "a.wav")
    rig.talk(50, {"ada": tones.tone(440, 1.0), "bob": tones.tone(700, 1.0)})
    rig.plane.apply(StopRecording("ada"))
    end_of(rig, [])
    sound = sound_of(tmp_path / "a.wav")[1600:]
    assert tones.level_dbfs(sound, 440) > -20
    assert max(tones.level_dbfs(sound, 700), tones.level_dbfs(sound, 1000)) < -50


def test_silence_after_speech_ends_it(rig: Rig, tmp_path: Path) -> None:
    rig.open("ada")
    start(rig, tmp_path / "a.wav", final_silence_s=1.0)
    pause = np.zeros(45 * 160, np.int16)  # too short to be the end
    sound = np.concatenate([tones.tone(440, 0.5), pause, tones.tone(440, 0.5)])
    _, events = rig.talk(200, {"ada": np.concatenate([sound, np.zeros(105 * 160, np.int16)])})
    end = end_of(rig, events)
    assert (end.reason, end.spoken) == ("final_silence", True)
    assert end.samples / 8000 == pytest.approx(0.5 + 0.9 + 0.5 + 1.0, abs=0.1)


@pytest.mark.parametrize("sending", [True, False])
def test_nobody_speaks_and_there_is_no_file(rig: Rig, tmp_path: Path, sending: bool) -> None:
    rig.open("ada")
    start(rig, tmp_path / "a.wav", timeout_s=1.0)
    events = rig.talk(49)[1] if sending else rig.tick(49)
    assert ended(events) == []
    assert ended(rig.tick()) == [RecordingEnded("ada", "no_input", 0, False)]
    assert not (tmp_path / "a.wav").exists()


def test_a_click_is_no_speech(rig: Rig, tmp_path: Path) -> None:
    rig.open("ada")
    start(rig, tmp_path / "a.wav", timeout_s=1.0, final_silence_s=0.2)
    sound = np.zeros(51 * 160, np.int16)
    sound[2000:2100] = 20_000
    _, events = rig.talk(51, {"ada": sound})
    assert [end.reason for end in ended(events)] == ["no_input"]


def test_the_time_is_up(rig: Rig, tmp_path: Path) -> None:
    rig.open("ada")
    start(rig, tmp_path / "a.wav", max_s=0.5)
    _, events = rig.talk(30, {"ada": tones.tone(440, 0.6)})
    assert end_of(rig, events) == RecordingEnded("ada", "max_time", 4000, True)


def test_no_recording_is_longer_than_the_limit(rig: Rig, tmp_path: Path) -> None:
    rig.open("ada")
    start(rig, tmp_path / "a.wav", max_s=1e6, timeout_s=1e6, final_silence_s=1e6)
    end = end_of(rig, rig.tick(round(RECORDING_S_MAX * 50)))
    assert (end.reason, end.samples) == ("max_time", RECORDING_S_MAX * 8000)


def test_a_leg_that_ends_leaves_what_was_said(rig: Rig, tmp_path: Path) -> None:
    rig.open("ada")
    start(rig, tmp_path / "a.wav")
    rig.talk(25, {"ada": tones.tone(440, 0.5)})
    rig.close("ada")
    assert end_of(rig, []) == RecordingEnded("ada", "stopped", 4000, True)
    assert len(sound_of(tmp_path / "a.wav")) == 4000


def test_a_leg_is_recorded_once_at_a_time(rig: Rig, tmp_path: Path) -> None:
    rig.open("ada")
    start(rig, tmp_path / "a.wav")
    with pytest.raises(BadRequest, match="already"):
        start(rig, tmp_path / "b.wav")
    rig.tick()
    rig.plane.apply(StopRecording("ada"))
    rig.plane.apply(StopRecording("ada"))
    assert end_of(rig, []).samples == 160


def test_too_many_recordings_fail_by_name(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "RECORDINGS_MAX", 1)
    rig.open("ada")
    rig.open("bob")
    start(rig, tmp_path / "a.wav")
    start(rig, tmp_path / "b.wav", "bob")
    (end,) = ended(rig.tick())
    assert (end.leg_id, end.reason) == ("bob", "failed")
    assert "RECORDINGS_MAX" in end.error


def test_a_file_that_cannot_be_written_is_told(rig: Rig, tmp_path: Path) -> None:
    rig.open("ada")
    start(rig, tmp_path / "nowhere" / "a.wav", max_s=0.1)
    end = end_of(rig, rig.tick(6))
    assert (end.reason, end.samples) == ("failed", 0)
    assert "No such file" in end.error
