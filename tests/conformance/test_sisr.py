"""SISR 1.0 clause by clause: each file of ``sisr/`` is a grammar and what inputs mean by it.

What stands in a file is told by ``tests.kit.grammar_case``.
"""

from pathlib import Path

import pytest

from tests.kit.grammar_case import GrammarCase, check, read_cases

FOLDER = Path(__file__).with_name("sisr")
CASES = read_cases(FOLDER)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_clause(case: GrammarCase) -> None:
    check(case)


def test_there_are_clauses() -> None:
    assert len(list(FOLDER.glob("*.toml"))) >= 90
