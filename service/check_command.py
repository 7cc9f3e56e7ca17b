"""`voicemashup check`: problems of scripts and grammars, as text, JSON or SARIF 2.1.0."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TextIO
from urllib.parse import quote, unquote, urlsplit

from macros import Catalog
from vxml_engine.check import RULES, Surroundings, check, check_grammar, leads_to
from vxml_engine.limits import DOCUMENT_BYTES_MAX
from vxml_engine.parser import Prepare
from vxml_engine.problems import Problem

Format = Literal["text", "json", "sarif"]
FORMATS: Final[tuple[Format, ...]] = ("text", "json", "sarif")
SUFFIXES: Final = (".vxml", ".grxml", ".gram")
"""The files that are looked for in folders."""

STDIN: Final = "-"
STDIN_NAME: Final = "<stdin>"
FOUND_NOTHING, FOUND_WRONG, UNREADABLE = 0, 1, 2

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_PAGE: Final = "docs/checking.md"


@dataclass(frozen=True, slots=True)
class Checked:
    """One file: its name as it was given, and its problems; ``fault``: why it was not read."""

    name: str
    problems: tuple[Problem, ...] = ()
    fault: str | None = None


class Disk:
    """The files around a document, by their ``file:`` address."""

    def has(self, url: str) -> bool:
        """Whether there is a file."""
        return _path(url).is_file()

    def read(self, url: str) -> bytes | None:
        """What is in the file, or its beginning where it is too long for a document."""
        try:
            with _path(url).open("rb") as opened:
                return opened.read(DOCUMENT_BYTES_MAX + 1)
        except (OSError, ValueError):
            return None


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


@dataclass(slots=True)
class _File:
    name: str
    url: str
    body: bytes
    fault: str | None = None

    @property
    def is_grammar(self) -> bool:
        if self.name.lower().endswith((".grxml", ".gram")):
            return True
        start = self.body[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
        return start.startswith((b"#ABNF", b"<grammar"))


def check_paths(paths: Sequence[str], stdin: BinaryIO, prepare: Prepare | None) -> list[Checked]:
    """Check files, the scripts and grammars in folders, and for ``-`` what is read from stdin.

    What one file refers to in another that is checked with it counts as reached.
    """
    files = [_read(name, stdin) for path in paths for name in _names(path)]
    world = _World()
    for file in files:
        if file.fault is None and not file.is_grammar:
            world.add(file)
    return [
        Checked(file.name, fault=file.fault)
        if file.fault is not None
        else Checked(file.name, tuple(world.check(file, prepare)))
        for file in files
    ]


def _names(path: str) -> Iterator[str]:
    """The file itself, or those in a folder, by name; hidden ones are left out."""
    if path == STDIN or not os.path.isdir(path):
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.normpath(os.path.join(folder, name))


def _read(name: str, stdin: BinaryIO) -> _File:
    if name == STDIN:
        return _File(STDIN_NAME, _url(STDIN_NAME), stdin.read(DOCUMENT_BYTES_MAX + 1))
    try:
        with open(name, "rb") as opened:
            return _File(name, _url(name), opened.read(DOCUMENT_BYTES_MAX + 1))
    except OSError as error:
        return _File(name, "", b"", error.strerror or str(error))


def _url(name: str) -> str:
    return Path(os.path.abspath(name)).as_uri()


@dataclass(slots=True)
class _World:
    """What the documents that are checked together know of each other."""

    disk: Disk = field(default_factory=Disk)
    entries: dict[str, set[str]] = field(default_factory=dict)
    roots: set[str] = field(default_factory=set)

    def add(self, file: _File) -> None:
        leads, root = leads_to(file.body, file.url, Surroundings(self.disk))
        for url, dialog in leads:
            if dialog is not None:
                self.entries.setdefault(url, set()).add(dialog)
        if root is not None:
            self.roots.add(root)

    def check(self, file: _File, prepare: Prepare | None) -> list[Problem]:
        entries = frozenset(self.entries.get(file.url, ()))
        around = Surroundings(self.disk, entries, is_root=file.url in self.roots)
        if file.is_grammar:
            return check_grammar(file.body, file.url, around)
        return check(file.body, file.url, prepare, around)


# --- What is told


def write_text(checked: Sequence[Checked], output: TextIO) -> None:
    """One problem a line; warnings say so before their rule."""
    for file in checked:
        for problem in file.problems:
            mark = "" if problem.severity == "error" else f"{problem.severity}: "
            where = f"{file.name}:{problem.line}:{problem.column}"
            output.write(f"{where}: {mark}{problem.rule}: {_one_line(problem.message)}\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def write_json(checked: Sequence[Checked], output: TextIO) -> None:
    """One list of objects, each a problem."""
    found = [
        {
            "file": file.name,
            "line": problem.line,
            "column": problem.column,
            "rule": problem.rule,
            "severity": problem.severity,
            "message": problem.message,
        }
        for file in checked
        for problem in file.problems
    ]
    output.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def write_sarif(checked: Sequence[Checked], output: TextIO) -> None:
    """A SARIF 2.1.0 log with one run, for editors and code hosts."""
    output.write(json.dumps(_sarif(checked), indent=2, ensure_ascii=False) + "\n")


WRITERS: Final[dict[Format, Callable[[Sequence[Checked], TextIO], None]]] = {
    "text": write_text,
    "json": write_json,
    "sarif": write_sarif,
}


def _sarif(checked: Sequence[Checked]) -> dict[str, Any]:
    unread = [file for file in checked if file.fault is not None]
    invocation: dict[str, Any] = {"executionSuccessful": not unread}
    if unread:
        invocation["toolExecutionNotifications"] = [
            {
                "level": "error",
                "message": {"text": f"{file.name} cannot be read: {file.fault}"},
                "locations": [{"physicalLocation": {"artifactLocation": _artifact(file.name)}}],
            }
            for file in unread
        ]
    driver = {
        "name": "voicemashup check",
        "version": _version(),
        "rules": [_sarif_rule(name) for name in RULES],
    }
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "invocations": [invocation],
                "results": [
                    _sarif_result(file.name, problem)
                    for file in checked
                    for problem in file.problems
                ],
            }
        ],
    }


def _sarif_rule(name: str) -> dict[str, Any]:
    rule = RULES[name]
    described: dict[str, Any] = {
        "id": name,
        "shortDescription": {"text": rule.summary},
        "help": {"text": f"{rule.summary} {_PAGE}, under {name}, says what to do."},
        "defaultConfiguration": {"level": rule.severity},
    }
    if rule.uri:
        described["helpUri"] = rule.uri
    return described


def _sarif_result(name: str, problem: Problem) -> dict[str, Any]:
    region = {"startLine": max(1, problem.line), "startColumn": max(1, problem.column)}
    location = {"physicalLocation": {"artifactLocation": _artifact(name), "region": region}}
    return {
        "ruleId": problem.rule,
        "ruleIndex": list(RULES).index(problem.rule),
        "level": problem.severity,
        "message": {"text": problem.message},
        "locations": [location],
    }


def _artifact(name: str) -> dict[str, str]:
    if os.path.isabs(name):
        return {"uri": Path(name).as_uri()}
    return {"uri": quote(Path(name).as_posix())}


def _version() -> str:
    try:
        return version("voicemashup")
    except PackageNotFoundError:
        return "0"


def run(paths: Sequence[str], *, form: Format, strict: bool) -> int:
    """The command; returns its exit status: 0, 1 with errors, 2 where a file cannot be read.

    With ``strict`` warnings count as errors do.
    """
    checked = check_paths(paths, sys.stdin.buffer, Catalog.load().expand)
    WRITERS[form](checked, sys.stdout)
    status = FOUND_NOTHING
    for file in checked:
        if file.fault is not None:
            print(f"{file.name}: cannot be read: {file.fault}", file=sys.stderr)
            status = UNREADABLE
        elif any(strict or problem.severity == "error" for problem in file.problems):
            status = max(status, FOUND_WRONG)
    return status
