"""SISR 1.0 clause by clause: each file of ``sisr/`` is a grammar and what inputs mean by it.

What stands in a file is told by ``tests.kit.grammar_case``.
"""

from pathlib import Path

import pytest

from tests.kit.grammar_case import check

FILES = sorted(Path(__file__).with_name("sisr").glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=[f"sisr/{file.stem}" for file in FILES])
def test_clause(file: Path) -> None:
    check(file)


def test_there_are_clauses() -> None:
    assert len(FILES) >= 90
