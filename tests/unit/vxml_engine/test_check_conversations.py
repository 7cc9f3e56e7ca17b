"""The check and the interpreter agree: what it calls unreachable is never come to.

All conversations of the conformance suite, and random ones, are held, and what the check says of
their documents is compared with what happened.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.conversation import Conversation
from tests.kit.random_documents import BASE, RandomCaller, random_documents
from vxml_engine.cache import DocumentCache
from vxml_engine.check import RULES, Surroundings, check, leads_to
from vxml_engine.interpreter import Trace
from vxml_engine.problems import Problem
from vxml_engine.session import Connection, Session

SUITE = Path(__file__).parents[2] / "conformance"
FILES = sorted(SUITE.glob("voicexml2*/**/*.toml"))
OPTIONS = ("variables", "encodings", "answers", "shows")

QUOTE = "'"
MEANT = {
    "cond-not-tested-when-filled": "its point is that a wrong condition is never evaluated",
    "subdialog-param-overrides-expr": "its point is that a wrong expression is never evaluated",
}
"""Conversations without any error, in documents that have one on purpose."""


def held(case: dict[str, object]) -> tuple[Conversation, list[Trace]]:
    seen: list[Trace] = []
    options = {name: case[name] for name in OPTIONS if name in case}
    lines = str(case["conversation"]).strip().splitlines()
    expected = "\n".join(line.strip() for line in lines)
    conversation = Conversation(case["documents"], expected, observer=seen.append, **options)  # type: ignore[arg-type]  # as the suite reads them
    conversation.run()
    return conversation, seen


def problems_of(documents: Mapping[str, bytes]) -> dict[str, list[Problem]]:
    """What the check finds, by the document's address, when all are checked together."""
    scripts = {url: body for url, body in documents.items() if b"<vxml" in body[:1000]}
    entries: dict[str, set[str]] = {}
    roots = set()
    for url, body in scripts.items():
        leads, root = leads_to(body, url, Surroundings())
        roots.add(root)
        for target, dialog in leads:
            if dialog is not None:
                entries.setdefault(target, set()).add(dialog)
    return {
        url: check(
            body,
            url,
            surroundings=Surroundings(
                entries=frozenset(entries.get(url, ())), is_root=url in roots
            ),
        )
        for url, body in scripts.items()
    }


def unreachable(documents: Mapping[str, bytes]) -> set[tuple[str, str]]:
    """The dialogs that nothing leads to, as a trace of a visit tells them: address and name."""
    return {
        (url, f"{problem.message.split()[4]} {problem.message.split(QUOTE)[1]}")
        for url, problems in problems_of(documents).items()
        for problem in problems
        if problem.rule == "unreachable-dialog" and QUOTE in problem.message
    }


@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}/{file.stem}" for file in FILES])
def test_the_check_agrees_with_a_conversation(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    case = tomllib.loads(text)
    conversation, seen = held(case)
    if "answers" not in case:  # a redirection leads where no document says
        visited = {(trace.url, trace.detail) for trace in seen if trace.kind == "visit"}
        assert not visited & unreachable(conversation.documents)
    if "error" not in text and "catch" not in text:
        wrong = [
            problem
            for problems in problems_of(conversation.documents).values()
            for problem in problems
            if problem.severity == "error" and not RULES[problem.rule].fatal
        ]
        assert not wrong or file.stem in MEANT


def test_what_is_meant_is_in_the_suite() -> None:
    assert MEANT.keys() <= {file.stem for file in FILES}


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_check_agrees_with_random_conversations(random: Random) -> None:
    documents = random_documents(random)
    written = {BASE + name: text.encode() for name, text in documents.items()}
    seen: list[Trace] = []
    session = Session(
        start_url=BASE + "start.vxml",
        connection=Connection("sip:called@test", "sip:caller@test"),
        documents=DocumentCache(),
        observer=seen.append,
    )
    RandomCaller(documents, random).drive(session.run())
    visited = {(trace.url, trace.detail) for trace in seen if trace.kind == "visit"}
    assert not visited & unreachable(written)
