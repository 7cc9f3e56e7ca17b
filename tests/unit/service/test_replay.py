"""`voicemashup replay`: the conversation of a journal, again."""

from pathlib import Path

import pytest

from service import cli

SAMPLES = Path(__file__).parents[3] / "samples"


def test_a_journal_tells_the_same_conversation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "menu.journal"
    turns = ["--say", "opening hours", "--dtmf", "2", "--transfer-result", "busy", "--dtmf", "9"]
    words = ["run", str(SAMPLES / "menu.vxml"), *turns, "--journal", str(kept)]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "We are here from nine to five." in said
    assert cli.main(["replay", str(kept)]) == 0
    assert capsys.readouterr().out == said
    assert cli.main([*words[:-1], str(tmp_path / "none" / "kept")]) == 2
    assert "none/kept: cannot be written" in capsys.readouterr().err


def test_what_is_no_journal_has_its_own_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["replay", str(tmp_path / "none")]) == 2
    assert cli.main(["replay", str(SAMPLES / "menu.vxml")]) == 2
    assert "is not a journal" in capsys.readouterr().err
