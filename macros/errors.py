"""What can go wrong with macros.

::

    MacroError
    ├── LibraryError     a macro's folder is not usable: ``path`` says which file
    └── MacroErrors      a document uses macros wrongly: every problem in it, with its line

The rules that a document can break (`Problem.rule`):

    unknown-macro        no macro has this name
    wrong-place          the macro stands where it cannot be expanded
    macro-syntax         attributes or content that <macro> or <input> do not have
    unknown-input        the macro has no input of this name
    duplicate-input      an input is given twice
    missing-input        a required input is not given
    bad-value            an input's value is not of its type
    too-many-macros      over MACROS_MAX
    expansion-too-large  over EXPANSION_CHARS_MAX or DOCUMENT_EXPANSION_CHARS_MAX
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class MacroError(Exception):
    """Any failure of this room."""


class LibraryError(MacroError):
    """The file at ``path`` cannot be part of a macro."""

    def __init__(self, path: Path, message: str) -> None:
        self.path = path
        super().__init__(f"{path}: {message}")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a document. ``line`` counts from 1; ``column`` is None if unknown."""

    line: int
    column: int | None
    rule: str
    message: str

    def __str__(self) -> str:
        where = str(self.line) if self.column is None else f"{self.line}:{self.column}"
        return f"{where}: {self.rule}: {self.message}"


class MacroErrors(MacroError):
    """A document's macros cannot be expanded; ``problems`` (at least one) in document order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        assert problems
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))

    @property
    def line(self) -> int:
        """The first problem's line."""
        return self.problems[0].line
