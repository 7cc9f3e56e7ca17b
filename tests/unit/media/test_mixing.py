"""Who hears whom, and how loud."""

import numpy as np
import pytest

from media.messages import Join, Leave, Mute
from tests.kit import tones

from .conftest import FRAME, Rig

SETTLE = 4  # frames until the play-out delay has passed
HZ = {"anne": 450.0, "bruno": 640.0, "chloe": 910.0}


def all_talk(rig: Rig, frames: int = 50) -> dict[str, np.ndarray]:
    sounds = {name: tones.tone(HZ[name], frames * 0.02) for name in rig.parties}
    heard, _ = rig.talk(frames, sounds)
    return {name: sound[SETTLE * FRAME :] for name, sound in heard.items()}


def test_everyone_hears_all_others_and_not_themselves(rig: Rig) -> None:
    for name in HZ:
        rig.open(name, "r")
    heard = all_talk(rig)
    for listener in HZ:
        for speaker in HZ:
            level = tones.level_dbfs(heard[listener], HZ[speaker])
            if listener == speaker:
                assert level < -60
            else:
                assert level == pytest.approx(-16, abs=0.3)


def test_laws_meet_in_one_room(rig: Rig) -> None:
    rig.open("anne", "r", law="PCMU")
    rig.open("bruno", "r", law="PCMA")
    heard = all_talk(rig)
    assert tones.level_dbfs(heard["anne"], HZ["bruno"]) == pytest.approx(-16, abs=0.3)
    assert tones.level_dbfs(heard["bruno"], HZ["anne"]) == pytest.approx(-16, abs=0.3)


def test_rooms_do_not_hear_each_other_and_who_is_in_none_hears_nothing(rig: Rig) -> None:
    rig.open("anne", "one")
    rig.open("bruno", "two")
    rig.open("chloe")
    for sound in all_talk(rig).values():
        assert tones.loudness_dbfs(sound) < -60


def test_a_muted_leg_hears_but_is_not_heard(rig: Rig) -> None:
    rig.open("anne", "r")
    rig.open("bruno", "r")
    rig.plane.apply(Mute("anne", True))
    heard = all_talk(rig)
    assert tones.level_dbfs(heard["bruno"], HZ["anne"]) < -60
    assert tones.level_dbfs(heard["anne"], HZ["bruno"]) == pytest.approx(-16, abs=0.3)
    rig.plane.apply(Mute("anne", False))
    assert tones.level_dbfs(all_talk(rig)["bruno"], HZ["anne"]) == pytest.approx(-16, abs=0.3)


def test_who_leaves_or_moves_is_heard_no_more(rig: Rig) -> None:
    for name in HZ:
        rig.open(name, "r")
    rig.plane.apply(Leave("chloe"))
    rig.plane.apply(Join("bruno", "other", False))
    for sound in all_talk(rig).values():
        assert tones.loudness_dbfs(sound) < -60
    rig.plane.apply(Join("chloe", "other", False))
    heard = all_talk(rig)
    assert tones.level_dbfs(heard["bruno"], HZ["chloe"]) == pytest.approx(-16, abs=0.3)


def test_a_crowd_is_limited_and_not_clipped(rig: Rig) -> None:
    """Eight loud voices sum far above full scale; nobody's own voice is in what they hear."""
    names = [f"p{n}" for n in range(8)]
    for name in names:
        rig.open(name, "r")
    hz = {name: 300.0 + 130 * n for n, name in enumerate(names)}
    loud = {name: tones.tone(hz[name], 2.0, dbfs=-6) for name in names}
    heard, _ = rig.talk(100, loud)
    for name in names:
        sound = heard[name][SETTLE * FRAME :]
        assert np.abs(sound.astype(int)).max() <= 32_256
        assert tones.level_dbfs(sound, hz[name]) < -38
        others = [tones.level_dbfs(sound, hz[other]) for other in names if other != name]
        assert max(others) - min(others) < 1.5
        # A clipped sum's harmonics would stand 20 dB below it.
        assert tones.level_dbfs(sound, 2 * hz[names[0]] + 37) < -45


def test_the_limiter_lets_go_again(rig: Rig) -> None:
    for name in HZ:
        rig.open(name, "r")
    loud = {name: tones.tone(HZ[name], 0.5, dbfs=-1) for name in ("bruno", "chloe")}
    rig.talk(25, loud)
    rig.talk(60)  # 1.2 s of silence
    heard, _ = rig.talk(50, {"bruno": tones.tone(HZ["bruno"], 1.0)})
    assert tones.level_dbfs(heard["anne"][SETTLE * FRAME :], HZ["bruno"]) == pytest.approx(
        -16, abs=0.5
    )


def test_a_room_of_sixty_hears_the_one_who_speaks(rig: Rig) -> None:
    for number in range(60):
        rig.open(f"p{number}", "r")
    heard, _ = rig.talk(20, {"p7": tones.tone(500, 0.4)})
    for name, sound in heard.items():
        level = tones.level_dbfs(sound[SETTLE * FRAME :], 500)
        assert (level < -60) if name == "p7" else (level == pytest.approx(-16, abs=0.3))


def test_on_hold_nothing_is_sent(rig: Rig) -> None:
    anne, bruno = rig.open("anne", "r"), rig.open("bruno", "r")
    rig.talk(5)
    rig.connect(anne, sending=False)
    rig.talk(5)
    anne.packets(), bruno.packets()
    rig.tick(3)
    assert anne.packets() == []
    assert len(bruno.packets()) == 3
    rig.connect(anne)
    rig.tick(3)
    assert len(anne.packets()) == 3


def test_packets_are_numbered_in_row_and_in_time(rig: Rig) -> None:
    anne = rig.open("anne", "r")
    rig.tick(10)
    packets = anne.packets()
    assert [one.sequence - packets[0].sequence for one in packets] == list(range(10))
    assert [(one.timestamp - packets[0].timestamp) & 0xFFFFFFFF for one in packets] == [
        160 * n for n in range(10)
    ]
    assert [one.marker for one in packets] == [True] + [False] * 9
    assert {len(one.payload) for one in packets} == {160}


def test_ticks_that_were_left_out_are_time_that_passed(rig: Rig) -> None:
    """A stalled machine must not make anybody hear late for good."""
    anne, bruno = rig.open("anne", "r"), rig.open("bruno", "r")
    rig.talk(10)
    for _ in range(5):  # 100 ms without a tick: the packets wait at the port
        anne.say(np.zeros(FRAME, np.int16))
        bruno.say(np.zeros(FRAME, np.int16))
    rig.now += 5
    pulse = np.full(FRAME, 16_000, np.int16)
    delays = []
    for frame in range(12):
        anne.say(pulse if frame == 4 else np.zeros(FRAME, np.int16))
        bruno.say(np.zeros(FRAME, np.int16))
        rig.tick()
        if np.abs(bruno.hears().astype(int)).max(initial=0) > 8_000:
            delays.append(frame - 4)
    assert delays
    assert 1 <= delays[0] <= 3
