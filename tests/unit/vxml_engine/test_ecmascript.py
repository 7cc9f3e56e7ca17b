"""ECMAScript: VoiceXML's scope chain (VoiceXML 2.0 5.1.2), and what a script may use up."""

from collections.abc import Iterator

import pytest

from vxml_engine.ecmascript import UNDEFINED, Ecmascript
from vxml_engine.errors import LimitReached, ThrownEvent
from vxml_engine.limits import (
    SCRIPT_BYTES_MAX,
    SCRIPT_TURN_MS_MAX,
    SCRIPT_VALUE_CHARS_MAX,
)


@pytest.fixture
def es() -> Iterator[Ecmascript]:
    """A chain session, application, document, dialog, each with an ``x`` of its own."""
    ecmascript = Ecmascript()
    ecmascript.push_session({"ani": "5551", "connection": {"remote": {"uri": "sip:a@b"}}})
    ecmascript.push("application")
    ecmascript.run_script("var x = 1, a = 10; function fromApplication() { return x }")
    ecmascript.push("document")
    ecmascript.run_script("var x = 2, b = 20; function fromDocument() { return x }")
    ecmascript.run_script("function setDocument(v) { x = v }")
    ecmascript.push("dialog")
    ecmascript.run_script("var x = 3")
    yield ecmascript
    ecmascript.close()


def refused(es: Ecmascript, source: str) -> str:
    with pytest.raises(ThrownEvent) as error:
        es.evaluate(source)
    assert error.value.event == "error.semantic"
    return error.value.message


# --- Scopes


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("x", 3),
        ("dialog.x", 3),
        ("document.x", 2),
        ("application.x", 1),
        ("a + b", 30),
        ("session.ani + ani", "55515551"),
        ("session.connection.remote.uri", "sip:a@b"),
        ("fromDocument()", 2),
        ("fromApplication()", 1),
        ("typeof nothing", "undefined"),
        ("{p: 1}.p", 1),
        ("({p: 1}).p", 1),
        ("010", 8),
        ("/b+/.test('abb') && new Date(0).getTime() === 0", True),
        ("[1, 'a', null, true, {b: 2}]", [1, "a", None, True, {"b": 2}]),
        ("null", None),
    ],
)
def test_the_innermost_name_is_meant(es: Ecmascript, source: str, value: object) -> None:
    assert es.evaluate(source) == value


def test_undefined_is_not_null(es: Ecmascript) -> None:
    assert es.evaluate("undefined") is UNDEFINED
    assert es.evaluate("null") is None
    assert not UNDEFINED
    assert repr(UNDEFINED) == "undefined"


def test_an_anonymous_scope_hides_and_goes(es: Ecmascript) -> None:
    depth = es.push()
    es.declare("x", "4")
    assert (es.evaluate("x"), es.evaluate("dialog.x")) == (4, 3)
    es.cut(depth)
    assert es.evaluate("x") == 3


def test_a_function_assigns_where_it_was_defined(es: Ecmascript) -> None:
    es.evaluate("setDocument(22)")
    assert (es.evaluate("document.x"), es.evaluate("x")) == (22, 3)


@pytest.mark.parametrize(
    "source", ["zzz", "zzz = 1", "(function(){ zzz = 1 })()", "1 +", "<a/>", "a.b.c"]
)
def test_what_is_wrong_is_error_semantic(es: Ecmascript, source: str) -> None:
    assert refused(es, source)
    assert es.evaluate("typeof zzz") == "undefined"


def test_a_script_may_not_create_what_it_does_not_declare(es: Ecmascript) -> None:
    for source in ("q1 = 5", "function bad() { q2 = 5 } bad()"):
        with pytest.raises(ThrownEvent, match="is not declared"):
            es.run_script(source)


def test_a_script_declares_in_the_innermost_scope(es: Ecmascript) -> None:
    es.run_script("for (var i = 0; i < 3; i++); if (1) { var deep = 7 }")
    es.run_script("var r = g(); function g() { return 9 }")
    es.run_script("function factorial(k) { return k < 2 ? 1 : k * factorial(k - 1) }")
    assert es.evaluate("dialog.i + dialog.deep + dialog.r") == 19
    assert es.evaluate("dialog.factorial(10)") == 3628800
    es.cut(3)
    assert "not defined" in refused(es, "deep")


def test_a_redeclared_variable_keeps_its_value_without_one(es: Ecmascript) -> None:
    es.declare("x")
    es.run_script("var x;")
    assert es.evaluate("x") == 3
    es.declare("fresh")
    assert es.evaluate("fresh") is UNDEFINED


@pytest.mark.parametrize("name", ["1a", "a-b", "a b", "dialog.y", "", "x;y"])
def test_a_variable_needs_a_name(es: Ecmascript, name: str) -> None:
    with pytest.raises(ThrownEvent):
        es.declare(name, "1")


def test_assign_wants_a_declared_variable(es: Ecmascript) -> None:
    es.assign("document.x", "x + 1")
    assert es.evaluate("document.x") == 4
    es.declare("o", "{}")
    es.assign("o.p", "5")
    assert es.evaluate("o.p") == 5
    for path in ("zzz", "document.zzz", "zzz.p"):
        with pytest.raises(ThrownEvent, match="not declared"):
            es.assign(path, "1")


@pytest.mark.parametrize(
    "source",
    [
        "session.ani = 1",
        "ani = 1",
        "session.connection.remote.uri = 1",
        "delete session.connection.remote",
        "session.another = 1",
        "Object.defineProperty(session, 'ani', {value: 1})",
    ],
)
def test_the_session_is_read_only(es: Ecmascript, source: str) -> None:
    assert "cannot be changed" in refused(es, source)
    assert es.evaluate("session.ani") == "5551"
    assert es.evaluate("session.connection.remote.uri") == "sip:a@b"


def test_a_suspended_chain_is_not_seen_and_comes_back(es: Ecmascript) -> None:
    es.suspend()
    es.push("application", "document")
    assert es.evaluate("session.ani") == "5551"
    assert "not defined" in refused(es, "b")
    es.resume()
    assert es.evaluate("b") == 20


def test_values_are_carried_from_one_chain_to_another(es: Ecmascript) -> None:
    es.hold("one", "({deep: [x]})")
    es.suspend()
    es.push("dialog")
    es.take("one")
    assert es.evaluate("one.deep[0]") == 3
    es.hold("two", "one.deep[0] + 1")
    es.resume()
    es.declare("result")
    es.take_all("result")
    assert es.evaluate("result.two") == 4


# --- What it may use up


def test_an_endless_loop_is_stopped(es: Ecmascript) -> None:
    assert "ms of CPU" in refused(es, "(function(){ while (true); })()")
    assert es.evaluate("x") == 3


def test_an_endless_regular_expression_is_stopped(es: Ecmascript) -> None:
    assert "ms of CPU" in refused(es, f"/^(a+)+$/.test('{'a' * 40}b')")


def test_a_caught_interruption_does_not_go_on(es: Ecmascript) -> None:
    refused(es, "(function(){ for (;;) { try { for (;;); } catch (e) {} } })()")


def test_a_turn_has_a_limit_too(es: Ecmascript) -> None:
    with pytest.raises(LimitReached) as error:  # noqa: PT012 - how many it takes is the limit's
        for _ in range(SCRIPT_TURN_MS_MAX):
            with pytest.raises(ThrownEvent):
                es.evaluate("(function(){ for (;;); })()")
    assert error.value.limit == "SCRIPT_TURN_MS_MAX"


def test_many_short_scripts_count_to_the_turn(es: Ecmascript) -> None:
    short = "(function(){ var end = Date.now() + 30; while (Date.now() < end); })()"
    with pytest.raises(LimitReached) as error:  # noqa: PT012
        for _ in range(SCRIPT_TURN_MS_MAX):
            es.evaluate(short)
            es.account_time()
    assert error.value.limit == "SCRIPT_TURN_MS_MAX"
    es.begin_turn()
    es.evaluate(short)
    es.account_time()


def test_memory_is_limited(es: Ecmascript) -> None:
    with pytest.raises(LimitReached) as error:
        es.evaluate("(function(){ var a = []; for (;;) a.push(new Array(1000).fill(7)); })()")
    assert error.value.limit == "SCRIPT_MEMORY_BYTES_MAX"


def test_recursion_is_limited(es: Ecmascript) -> None:
    refused(es, "(function f(n){ return f(n + 1) + 1 })(0)")
    assert es.evaluate("x") == 3


@pytest.mark.parametrize("times", [1, 2])
def test_the_size_of_values_is_limited(es: Ecmascript, times: int) -> None:
    source = f"'a'.repeat({SCRIPT_VALUE_CHARS_MAX * times})"
    message = refused(es, source)
    assert str(SCRIPT_VALUE_CHARS_MAX) in message
    es.evaluate(f"({source}).length")


@pytest.mark.parametrize("chars", [100, 1_000, 10_000, SCRIPT_VALUE_CHARS_MAX - 2])
def test_a_long_text_arrives_whole(es: Ecmascript, chars: int) -> None:
    es.declare("long", f"'a'.repeat({chars // 2}) + 'b'.repeat({chars - chars // 2})")
    assert es.text("long") == es.evaluate("long") == "a" * (chars // 2) + "b" * (chars - chars // 2)
    assert "bbb" in refused(es, "(function(){ throw long })()")


def test_the_size_of_a_script_is_limited(es: Ecmascript) -> None:
    with pytest.raises(ThrownEvent, match=str(SCRIPT_BYTES_MAX)):
        es.run_script(" " * (SCRIPT_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "source",
    [
        "(function(){ throw {toString: function(){ throw 1 }} })()",
        "(function(){ throw null })()",
        "(function(){ throw undefined })()",
        "(function(){ var o = {}; o.o = o; return o })()",
        "new Proxy({}, {get: function(){ throw 1 }})",
    ],
)
def test_a_strange_value_is_an_event(es: Ecmascript, source: str) -> None:
    with pytest.raises((ThrownEvent, LimitReached)):
        es.evaluate(source)


def test_what_scripts_leave_in_the_builtins_does_not_reach_another_session() -> None:
    first, second = Ecmascript(), Ecmascript()
    try:
        first.push("document")
        second.push("document")
        first.run_script("Array.prototype.leak = 1; JSON.stringify = null")
        assert second.evaluate("typeof [].leak") == "undefined"
        assert first.evaluate("1 + 1") == 2
    finally:
        first.close()
        second.close()


# --- Syntax


@pytest.mark.parametrize(
    ("source", "program", "good"),
    [
        ("a + b", False, True),
        ("a +", False, False),
        ("{a: 1}", False, True),
        ("var a = 1; a", True, True),
        ("var = 1", True, False),
        ("var a = 1", False, False),
    ],
)
def test_syntax_is_checked_without_running(source: str, program: bool, good: bool) -> None:
    ecmascript = Ecmascript()
    try:
        assert (ecmascript.syntax_error(source, program=program) is None) == good
    finally:
        ecmascript.close()
