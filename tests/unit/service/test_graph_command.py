"""`voicemashup graph`: what it writes, where, and how it ends."""

import shutil
from pathlib import Path

import pytest
from lxml import etree

from service import cli, graph_command

MENU = Path(__file__).parents[3] / "samples" / "menu.vxml"
drawn_by_graphviz = pytest.mark.skipif(
    shutil.which("dot") is None, reason="Graphviz is not installed"
)


@drawn_by_graphviz
def test_an_svg_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "menu.svg"
    assert cli.main(["graph", str(MENU), "-o", str(out)]) == 0
    root = etree.parse(out).getroot()
    texts = {text.strip() for text in root.itertext()}
    assert etree.QName(root).localname == "svg"
    assert {"menu main", "form hours", "1: opening hours", "tel:+33199000009"} <= texts


@drawn_by_graphviz
def test_without_a_file_the_svg_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["graph", str(MENU)]) == 0
    assert "<svg" in capsys.readouterr().out


def test_without_graphviz_it_is_said_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert cli.main(["graph", str(MENU)]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert "apt install graphviz" in error
    assert "--format mermaid" in error
    assert cli.main(["graph", str(MENU), "--format", "mermaid"]) == 0
    assert 'n0(("start"))' in capsys.readouterr().out


def test_a_graphviz_that_fails_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(graph_command.shutil, "which", lambda _: str(program))
    assert cli.main(["graph", str(MENU)]) == 2
    assert "broken" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "begins"), [("a.dot", "digraph"), ("a.gv", "digraph"), ("a.mmd", "---")]
)
def test_the_files_name_tells_the_format(name: str, begins: str, tmp_path: Path) -> None:
    out = tmp_path / name
    assert cli.main(["graph", str(MENU), "-o", str(out)]) == 0
    assert out.read_text().startswith(begins)


def test_the_items_are_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["graph", str(MENU), "--format", "dot"])
    assert 'transfer called",' not in capsys.readouterr().out
    cli.main(["graph", str(MENU), "--format", "dot", "--items"])
    assert 'transfer called",' in capsys.readouterr().out


def test_a_faulty_script_is_told_where_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.vxml"
    path.write_text('<vxml version="2.1">\n<fom/></vxml>')
    assert cli.main(["graph", str(path)]) == 1
    assert capsys.readouterr().err == f"{path}:2:1: element-unknown: <fom> is not known\n"


def test_what_cannot_be_read_or_written_ends_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["graph", str(tmp_path / "none.vxml")]) == 2
    out = tmp_path / "none" / "a.dot"
    assert cli.main(["graph", str(MENU), "-o", str(out)]) == 2
    assert capsys.readouterr().err.count("No such file or directory") == 2
