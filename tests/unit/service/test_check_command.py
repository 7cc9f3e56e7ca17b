"""`voicemashup check`: what it prints for files, folders and standard input, and how it ends."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from service import cli
from service.config import load
from service.house import House
from vxml_engine.check import RULES

HEAD = '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">'
GOOD = f"{HEAD}\n<form><block>Hello.</block></form>\n</vxml>\n"
WARNED = f"{HEAD}\n<form><block><exit/>never</block></form>\n</vxml>\n"
WRONG = f'{HEAD}\n<form>\n  <block cond="counter == 1"/></form>\n</vxml>\n'
KEYS = '<grammar version="1.0" root="r" mode="dtmf"><rule id="r">1</rule></grammar>'


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert cli.main(["check", *words]) == status
    return capsys.readouterr().out


def test_an_error_is_told_with_its_place_and_ends_with_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("a.vxml").write_text(WRONG)
    told = checked(capsys, "a.vxml", status=1)
    assert told == "a.vxml:3:3: undeclared-variable: 'counter' is used and not declared\n"


def test_a_warning_says_so_and_only_counts_when_strict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("a.vxml").write_text(WARNED)
    told = checked(capsys, "a.vxml")
    assert told == "a.vxml:2:14: warning: dead-code: the text behind <exit> is never said\n"
    assert checked(capsys, "a.vxml", "--strict", status=1) == told


def test_folders_are_searched_for_scripts_and_grammars(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a.vxml", "deep/b.vxml", ".hidden/c.vxml", "deep/d.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(WRONG)
    Path("deep/e.grxml").write_text(KEYS.replace("1</rule>", "x</rule>"))
    Path("deep/f.gram").write_text("#ABNF 1.0;\nroot $r;\n$r = ;\n")
    told = checked(capsys, ".", status=1)
    assert [line.split(":")[0] for line in told.splitlines()] == [
        "a.vxml",
        "deep/b.vxml",
        "deep/e.grxml",
        "deep/f.gram",
    ]
    assert "deep/e.grxml:1:1: grammar: 'x' is not a key" in told


def test_standard_input_is_checked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, rule in ((WRONG, "undeclared-variable"), (KEYS.replace("dtmf", "touch"), "grammar")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert f": {rule}: " in checked(capsys, "-", status=1)


def test_files_that_are_not_there_end_with_2_and_do_not_hide_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("a.vxml").write_text(WRONG)
    assert cli.main(["check", "none.vxml", "a.vxml"]) == 2
    out, error = capsys.readouterr()
    assert out.startswith("a.vxml:3:3:")
    assert error == "none.vxml: cannot be read: No such file or directory\n"


def test_files_beside_a_script_are_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sub").mkdir()
    Path("sub/a.vxml").write_text(
        f"{HEAD}<script src='ours.js'/><form><field><grammar src='my%20keys.grxml'/></field>"
        "<block cond='ours()'><goto next='../b.vxml#c'/></block></form></vxml>"
    )
    told = checked(capsys, "sub/a.vxml", status=1)
    assert told.count("missing-file") == 3
    Path("sub/ours.js").write_text("function ours() { return 1; }")
    Path("sub/my keys.grxml").write_text(KEYS)
    Path("b.vxml").write_text(f"{HEAD}<form id='c'/></vxml>")
    assert checked(capsys, "sub/a.vxml") == ""


def test_what_another_file_leads_to_is_reached(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.vxml").write_text(f"{HEAD}<form><block><goto next='b.vxml#c'/></block></form></vxml>")
    Path("b.vxml").write_text(f"{HEAD}<form/><form id='c'/></vxml>")
    assert "unreachable-dialog" in checked(capsys, "b.vxml")
    assert checked(capsys, "a.vxml", "b.vxml") == ""


def test_a_root_that_a_leaf_names_may_use_the_leafs_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("root.vxml").write_text(
        f"{HEAD}<catch event='error'><log><value expr='theirs'/></log></catch><form/></vxml>"
    )
    leaf = GOOD.replace("<vxml", '<vxml application="root.vxml"')
    Path("leaf.vxml").write_text(leaf)
    assert "undeclared-variable" in checked(capsys, "root.vxml", status=1)
    assert checked(capsys, "root.vxml", "leaf.vxml") == ""


def test_macros_are_expanded(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.vxml").write_text(f"{HEAD}\n<form><macro name='trnsfer'/></form></vxml>")
    assert checked(capsys, "a.vxml", status=1).startswith("a.vxml:2:1: unknown-macro: ")


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.vxml").write_text(WRONG)
    assert json.loads(checked(capsys, "--format", "json", "a.vxml", status=1)) == [
        {
            "file": "a.vxml",
            "line": 3,
            "column": 3,
            "rule": "undeclared-variable",
            "severity": "error",
            "message": "'counter' is used and not declared",
        }
    ]
    Path("a.vxml").write_text(GOOD)
    assert json.loads(checked(capsys, "--format", "json", "a.vxml")) == []


# --- SARIF 2.1.0


def one_run(text: str) -> Any:
    log = json.loads(text)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    return run


def test_as_sarif_each_result_names_its_rule_and_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Path("my a.vxml").write_text(WRONG)
    Path("b.vxml").write_text(WARNED)
    told = checked(capsys, "--format", "sarif", "my a.vxml", str(tmp_path / "b.vxml"), status=1)
    run = one_run(told)
    assert run["invocations"] == [{"executionSuccessful": True}]
    described = run["tool"]["driver"]["rules"]
    results = run["results"]
    assert [result["ruleId"] for result in results] == ["undeclared-variable", "dead-code"]
    assert [result["level"] for result in results] == ["error", "warning"]
    for result in results:
        assert described[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
    places = [result["locations"][0]["physicalLocation"] for result in results]
    assert [place["artifactLocation"]["uri"] for place in places] == [
        "my%20a.vxml",
        (tmp_path / "b.vxml").as_uri(),
    ]
    assert [place["region"] for place in places] == [
        {"startLine": 3, "startColumn": 3},
        {"startLine": 2, "startColumn": 14},
    ]


def test_as_sarif_every_rule_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.vxml").write_text(GOOD)
    run = one_run(checked(capsys, "--format", "sarif", "a.vxml"))
    driver = run["tool"]["driver"]
    assert driver["name"]
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("error", "warning")
        assert rule.get("helpUri", "https://").startswith("https://")
    assert run["results"] == []


def test_as_sarif_what_cannot_be_read_is_a_notification(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = one_run(checked(capsys, "--format", "sarif", "none.vxml", status=2))
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    (notification,) = invocation["toolExecutionNotifications"]
    assert "none.vxml" in notification["message"]["text"]


# --- What is uploaded


async def test_a_script_is_not_refused_for_what_it_means(tmp_path: Path) -> None:
    settings = load(None, {"VOICEMASHUP_NODE_DATA_FOLDER": str(tmp_path)})
    house = House(settings)
    try:
        (meant,) = house.scripts.check(WRONG.encode())
        (written,) = house.scripts.check(WRONG.replace("block", "blok").encode())
    finally:
        await house.close()
    assert (meant.rule, meant.severity) == ("undeclared-variable", "warning")
    assert (written.rule, written.severity) == ("element-unknown", "error")
