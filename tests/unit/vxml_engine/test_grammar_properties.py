"""Random grammars: both forms say the same, and what the plainest reading of them says."""

import re
from collections.abc import Mapping

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.kit.random_grammars import (
    WORDS,
    Oracle,
    Steps,
    TooMuch,
    Tree,
    as_abnf,
    as_xml,
    ends_of,
    grammars,
    repeats_nothing,
)
from vxml_engine.cache import DocumentCache
from vxml_engine.errors import GrammarError
from vxml_engine.grammar.network import Matcher, Network, match_tokens
from vxml_engine.grammar.semantics import interpretation_source, utterance
from vxml_engine.limits import GRAMMAR_NODES_MAX

SENTENCES = st.lists(st.sampled_from(WORDS), max_size=5)


def compiled(body: bytes) -> Network:
    return DocumentCache().get_grammar(body, "http://grammars.example/random").starting(None)


def path(network: Network, words: list[str]) -> Steps | None:
    steps = match_tokens(network, words)
    return steps if steps is None else tuple((step.kind, step.text) for step in steps)


@settings(max_examples=200, deadline=None)
@given(grammars(recursive=True), SENTENCES)
def test_both_forms_say_the_same(grammar: Mapping[str, Tree], words: list[str]) -> None:
    assert path(compiled(as_xml(grammar)), words) == path(compiled(as_abnf(grammar)), words)


@settings(max_examples=300, deadline=None)
@given(grammars(recursive=False), SENTENCES)
def test_the_preferred_way_is_the_first_that_fits(
    grammar: Mapping[str, Tree], words: list[str]
) -> None:
    # Which of the ways is preferred that go through nothing again and again is left open.
    assume(not repeats_nothing(grammar))
    try:
        expected = Oracle(grammar, words).preferred()
    except TooMuch:
        assume(False)
    assert path(compiled(as_abnf(grammar)), words) == expected


@settings(max_examples=300, deadline=None)
@given(grammars(recursive=True), SENTENCES)
def test_recursive_rules_accept_what_they_say(
    grammar: Mapping[str, Tree], words: list[str]
) -> None:
    found = path(compiled(as_xml(grammar)), words)
    assert (found is not None) == ends_of(grammar, words)
    if found is not None:
        entered = [text for kind, text in found if kind == "enter"]
        left = [text for kind, text in found if kind == "leave"]
        assert entered[0] == left[-1] == "r"
        assert sorted(entered) == sorted(left)


@settings(max_examples=200, deadline=None)
@given(grammars(recursive=True), SENTENCES)
def test_what_is_said_so_far_tells_what_may_come(
    grammar: Mapping[str, Tree], words: list[str]
) -> None:
    matcher = Matcher(compiled(as_xml(grammar)))
    for count, word in enumerate(words):
        assert matcher.complete == ends_of(grammar, words[:count])
        possible = matcher.accepts(word)
        matcher.feed(word)
        assert possible or not matcher.possible
        if ends_of(grammar, words[: count + 1]):
            assert possible


LEXEMES = st.sampled_from(
    [
        *("$r", "$s", "$t", "$NULL", "$VOID", "$GARBAGE", "$", "$<x.gram#y>", "~<a/b>", "a", "b"),
        *("(", ")", "[", "]", "|", ";", "=", "<0->", "<1-3>", "<1000>", "<2 /0.5/>", "</>", "<"),
        *("/2/", "/", "//", "/*", "*/", "{out = 1}", "{!{", "}!}", "{", "}", "!en", "!", '"', "'"),
        *("root", "mode", "dtmf", "voice", "public", "language", "meta", "is", '"x"', "+", "*"),
        *("\n", "\r", "\t", "\x00", "\x1b", "\ufffe", "😀", "é", "\\", "1", "#", "tag-format"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LEXEMES, max_size=40), SENTENCES)
def test_any_lexemes_are_a_grammar_or_refused(lexemes: list[str], words: list[str]) -> None:
    holds_or_is_refused(
        ("#ABNF 1.0; root $r; $r = " + " ".join(lexemes) + "; $s = a; $t = $r b;").encode(), words
    )


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A grammar with a few pieces taken out, put twice or changed."""
    grammar = draw(grammars(recursive=True))
    text = draw(st.sampled_from((as_xml, as_abnf)))(grammar).decode()
    pieces = re.findall(r"\w+|\s+|.", text)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(pieces) - 1))
        pieces[at] = draw(st.sampled_from(("", pieces[at] * 2, ">", '"', ";", "item", "1001", "-")))
    return "".join(pieces).encode()


@settings(max_examples=200, deadline=None)
@given(damaged(), SENTENCES)
def test_a_damaged_grammar_is_a_grammar_or_refused(body: bytes, words: list[str]) -> None:
    holds_or_is_refused(body, words)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(body: bytes) -> None:
    holds_or_is_refused(b"#ABNF 1.0 " + body, [])
    holds_or_is_refused(body, [])


def holds_or_is_refused(body: bytes, words: list[str]) -> None:
    """Nothing but ``GrammarError`` comes of a grammar; what is accepted has an interpretation."""
    try:
        network = compiled(body)
    except GrammarError:
        return
    assert len(network.nodes) <= GRAMMAR_NODES_MAX
    if not network.references:
        steps = match_tokens(network, words)
        if steps is not None:
            assert interpretation_source(network, steps)
            assert len(utterance(network, steps)) <= sum(len(word) + 1 for word in words)
