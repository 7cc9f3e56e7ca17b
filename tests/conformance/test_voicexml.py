"""VoiceXML clause by clause: each file of ``voicexml20/`` and ``voicexml21/`` is a conversation.

A file names its clause and what the clause says, gives the documents, and the transcript that
must come of it (see ``tests.kit.conversation``).  Its folder is the chapter.
"""

import tomllib
from pathlib import Path

import pytest

from tests.kit.conversation import Conversation

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("voicexml2*/**/*.toml"))
FIELDS = {"clause", "says", "documents", "conversation"}
OPTIONS = {"variables", "encodings", "answers", "shows"}
"""Fields that only some have; each is an argument of ``Conversation``."""


@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}/{file.stem}" for file in FILES])
def test_clause(file: Path) -> None:
    case = tomllib.loads(file.read_text(encoding="utf-8"))
    assert FIELDS | OPTIONS >= case.keys() >= FIELDS, f"fields of {file.name}"
    expected = "\n".join(line.strip() for line in case["conversation"].strip().splitlines())
    options = {name: case[name] for name in OPTIONS & case.keys()}
    conversation = Conversation(case["documents"], expected, **options)
    conversation.run()
    assert conversation.transcript == expected, f"{case['clause']}: {case['says']}"


def test_there_are_clauses() -> None:
    assert len(FILES) >= 60
