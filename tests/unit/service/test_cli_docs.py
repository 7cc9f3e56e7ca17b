"""docs/command-line.md describes every command and all that it takes."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import parser

PAGE = Path(__file__).parents[3] / "docs" / "command-line.md"


def commands(
    top: argparse.ArgumentParser, name: str = "voicemashup"
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that does something, with its parser."""
    groups = [one for one in top._actions if isinstance(one, argparse._SubParsersAction)]
    if not groups:
        yield name, top
    for group in groups:
        for word, inner in group.choices.items():
            yield from commands(inner, f"{name} {word}")


COMMANDS = dict(commands(parser()))


def chapters() -> dict[str, str]:
    """The page's chapters: heading to text."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_page_has_a_chapter_for_each_command_and_no_other() -> None:
    assert list(chapters()) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_chapter_lists_what_its_command_takes(command: str) -> None:
    listed = re.findall(r"^- `([^`]+)`:", chapters()[command], flags=re.MULTILINE)
    taken = []
    for action in COMMANDS[command]._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        assert action.help, f"{command} {action.dest} has no help"
        words = [*action.option_strings[:1]]
        if action.metavar:
            words.append(str(action.metavar))
        taken.append(" ".join(words))
    assert sorted(listed) == sorted(taken)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_can_be_shown(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([*command.split()[1:], "--help"])
    assert ended.value.code == 0
    assert command in capsys.readouterr().out
