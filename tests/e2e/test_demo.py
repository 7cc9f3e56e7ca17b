"""The demo, as a stranger runs it."""

import re
import subprocess

import pytest

from tests.kit.service_process import ROOT, VOICEMASHUP


@pytest.fixture(scope="module")
def shown() -> str:
    done = subprocess.run(
        [str(VOICEMASHUP), "demo"], cwd=ROOT, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everybody_hears_all_others_and_nobody_themselves(shown: str) -> None:
    assert "Everybody heard all others, nobody themselves." in shown
    rows = re.findall(r"^ +(anne|bruno|chloe|guest) +(.*)$", shown, re.M)[-4:]
    for _, cells in rows:
        assert cells.count("not heard") == 1
        assert len(re.findall(r"-\d+\.\d", cells)) == 3
    assert len(re.findall(r"\d+ ms", shown)) >= 4  # each speaker's delay to somebody


def test_the_timeline_and_the_money_are_shown(shown: str) -> None:
    kinds = re.findall(r"^ +\d+\.\d{3} s  (\w+)", shown, re.M)
    assert kinds[:2] == ["created", "dialled"]
    assert {"answered", "conference_joined", "conference_left", "paid"} <= set(kinds)
    assert kinds[-1] == "ended"
    money = {
        name: float(value)
        for name, value in re.findall(r"^ +(earned|spent|available) +(\S+)$", shown, re.M)
    }
    assert money["earned"] > 0
    assert money["spent"] > 0
    assert money["available"] == pytest.approx(200 + money["earned"] - money["spent"])
