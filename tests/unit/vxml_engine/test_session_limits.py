"""What one session may use up: each limit is reached, and the answer says which it was."""

import pytest

from tests.kit.conversation import Conversation, converse
from vxml_engine.limits import (
    PROMPT_CHARS_MAX,
    STEPS_PER_TURN_MAX,
    SUBMIT_CHARS_MAX,
    URL_CHARS_MAX,
)

LOOP = "<form id='a'><block><goto next='#b'/></block></form>"
BACK = "<form id='b'><block><goto next='#a'/></block></form>"
REACHED = [
    ("TRANSITIONS_PER_TURN_MAX", LOOP + BACK),
    (
        "STEPS_PER_TURN_MAX",
        "<form><block name='a'><clear namelist='a'/></block></form>",
    ),
    (
        "STEPS_PER_TURN_MAX",
        "<form><block><throw event='a'/></block><catch event='a'><throw event='a'/></catch></form>",
    ),
    ("FETCHES_PER_TURN_MAX", "<form><block><goto next='start.vxml'/></block></form>"),
    (
        "PROMPTS_QUEUED_MAX",
        "<form><block name='a'><prompt>again</prompt><clear namelist='a'/></block></form>",
    ),
    ("PROMPT_CHARS_MAX", f"<form><block>{'a' * (PROMPT_CHARS_MAX + 1)}</block></form>"),
    ("SUBDIALOG_DEPTH_MAX", "<form id='a'><subdialog src='#a'/></form>"),
    (
        "SCRIPT_MEMORY_BYTES_MAX",
        "<script>var all = []; for (;;) all.push(new Array(1000).fill(7));</script><form/>",
    ),
    (
        "SCRIPT_TURN_MS_MAX",
        "<form><block name='a'><script>for (;;);</script></block>"
        "<error><clear namelist='a'/></error></form>",
    ),
]


@pytest.mark.parametrize(
    ("limit", "document"), REACHED, ids=[f"{name}-{n}" for n, (name, _) in enumerate(REACHED)]
)
def test_a_session_that_uses_up_a_limit_ends_and_says_so(limit: str, document: str) -> None:
    conversation = converse(document)
    assert conversation.result is not None
    error = conversation.result.error
    assert error is not None, conversation.transcript
    assert error.event == "error.noresource"
    assert f"({limit})" in error.message
    assert error.line > 0
    assert "Sorry" in conversation.transcript, "a caller hears a sentence"


def test_a_catch_all_cannot_go_on_after_a_limit() -> None:
    conversation = converse(f"<catch><goto next='#a'/></catch>{LOOP}{BACK}")
    assert conversation.transcript.endswith("end: error error.noresource")


@pytest.mark.parametrize(
    ("limit", "next_"),
    [
        ("URL_CHARS_MAX", f"'a'.repeat({URL_CHARS_MAX})"),
        ("SUBMIT_CHARS_MAX", "'a.vxml'"),
    ],
)
def test_what_is_too_long_to_fetch_is_badfetch(limit: str, next_: str) -> None:
    document = f"""<form><var name="v" expr="'v'.repeat({SUBMIT_CHARS_MAX - 100})"/><var name="w"
      expr="'w'.repeat(200)"/><block><submit expr="{next_}" namelist="v w" method="post"/></block>
      <error><exit expr="_event + _message"/></error></form>"""
    if limit == "URL_CHARS_MAX":
        document = document.replace('namelist="v w"', 'namelist=""')
    conversation = converse(document)
    assert conversation.result is not None
    assert str(conversation.result.value).startswith("error.badfetch")
    assert limit in str(conversation.result.value)


def test_an_input_begins_a_new_turn() -> None:
    """A session goes on for ever when its caller does."""
    turns = 3
    loop = "<form><block name='b'>" + "<assign name='n' expr='n + 1'/>" * (STEPS_PER_TURN_MAX // 2)
    document = (
        "<var name='n' expr='0'/>"
        + loop
        + "</block><field name='d' type='digits?length=1'><filled><clear/></filled></field></form>"
    )
    expected = "\n".join(["caller: 1"] * turns)
    conversation = Conversation({"start.vxml": document}, expected)
    result = conversation.run()
    assert result.reason == "hangup", conversation.transcript
    assert conversation.transcript.count("caller: 1") == turns
