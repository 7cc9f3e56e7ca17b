"""Random documents and conversations: always an end, never an internal error, legal effects."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.random_documents import BASE, RandomCaller, random_documents, told
from vxml_engine import interpreter
from vxml_engine.cache import DocumentCache
from vxml_engine.session import Connection, Session, SessionResult

STEPS_PER_TURN_MAX = 500
REASONS = {"exit", "disconnect", "hangup", "error", "end"}


@pytest.fixture(autouse=True, scope="module")
def _short_loops() -> Iterator[None]:
    """Loops without input, of which there are many, end sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "STEPS_PER_TURN_MAX", STEPS_PER_TURN_MAX)
        yield


def converse(random: Random) -> tuple[SessionResult, RandomCaller]:
    """One random session; what it did wrong is told with its documents."""
    documents = random_documents(random)
    caller = RandomCaller(documents, random)
    session = Session(
        start_url=BASE + "start.vxml",
        connection=Connection("sip:called@test", "sip:caller@test"),
        documents=DocumentCache(),
        recognizes=random.random() < 0.5,
        lenient=random.random() < 0.2,
    )
    try:
        return caller.drive(session.run()), caller
    except Exception as error:
        error.add_note(told(documents))
        raise


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32).map(Random))
def test_every_session_ends_and_asks_only_for_what_is_legal(random: Random) -> None:
    result, _ = converse(random)
    assert result.reason in REASONS
    assert (result.error is not None) == (result.reason == "error")


def test_most_random_documents_are_interpreted() -> None:
    results = [converse(Random(seed)) for seed in range(200)]
    started = [caller for result, caller in results if result.started]
    assert len(started) > 80
    kinds = {type(effect).__name__ for caller in started for effect in caller.effects}
    assert kinds >= {"Fetch", "Play", "Collect", "Record", "Transfer", "Disconnect", "Log"}
