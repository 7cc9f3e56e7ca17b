"""How much work a grammar may be, and how its parts are put together."""

from collections.abc import Sequence

import pytest

from tests.kit.grammar_case import meaning, state_after
from vxml_engine.cache import DocumentCache
from vxml_engine.ecmascript import Ecmascript
from vxml_engine.errors import GrammarError
from vxml_engine.grammar.abnf import is_abnf, parse_abnf
from vxml_engine.grammar.network import (
    Matcher,
    Network,
    key_sequence,
    link,
    match_tokens,
    phrase,
    words,
)
from vxml_engine.grammar.semantics import utterance
from vxml_engine.limits import (
    GRAMMAR_BYTES_MAX,
    GRAMMAR_NODES_MAX,
    GRAMMAR_PLACES_MAX,
    GRAMMARS_CACHED_MAX,
    KEYS_MAX,
)

ADDRESS = "http://grammars.example/g"


def grammar(rules: str, header: str = "") -> Network:
    body = f"#ABNF 1.0; root $r; {header} {rules}"
    return DocumentCache().get_grammar(body.encode(), ADDRESS)


class CountingMatcher(Matcher):
    """Counts the places it follows."""

    followed = 0

    def _follow(self, *place: object) -> None:
        self.followed += 1
        super()._follow(*place)  # type: ignore[arg-type]


def places_for(network: Network, tokens: Sequence[str]) -> int:
    matcher = CountingMatcher(network)
    for token in tokens:
        matcher.feed(token)
    assert matcher.complete
    matcher.steps()
    return matcher.followed


# --- Work

TWO_HUNDRED_RULES = "$r = ($c0 | $c1)<1->; " + "".join(
    f"$c{n} = word{n} [other{n}] | ($c{n * 2 + 2} | $c{n * 2 + 3}) {{x}} | of {n};"
    if n * 2 + 3 < 200
    else f"$c{n} = word{n} [other{n}] | of {n};"
    for n in range(200)
)


def test_the_work_grows_with_the_input_not_faster() -> None:
    network = grammar(TWO_HUNDRED_RULES)
    twenty = [word for n in range(100, 110) for word in (f"word{n}", f"other{n}")]
    once, twice = places_for(network, twenty), places_for(network, twenty * 2)
    assert twice < 2.1 * once
    assert once < 20 * len(network.nodes)


def test_the_work_for_a_long_list_does_not_grow_with_it() -> None:
    names = [f"name{n}" for n in range(3000)]
    network = grammar(f"$r = ({' | '.join(names)})<1->;")
    assert places_for(network, names[::150]) < 200


def test_a_way_that_branches_at_each_word_is_followed_once() -> None:
    network = grammar("$r = $a<1->; $a = x | x x | x {t} | (x | x) {u};")
    assert places_for(network, ["x"] * 60) < 60 * 60 * 2


HOSTILE = {
    "optional in optional": ("$r = " + "[" * 45 + "a" + "]" * 45 + ";", "a"),
    "repeats without end": ("$r = (((a<0->)<0->)<0->)<0->;", "a " * 100),
    "repeats of repeats": ("$r = ((a<0-9>)<0-9>)<0-9>;", "a " * 40),
    "optional words": ("$r = " + "[a] " * 1000 + ";", "a " * 50),
    "a rule twice itself": ("$r = $r $r | a;", "a " * 40),
    "a rule of nothing but itself": ("$r = [$r] [$r] [$r] [a];", "a " * 20),
    "many garbage": ("$r = " + "$GARBAGE a " * 40 + ";", "a " * 60),
    "rules in a circle": (
        "$r = $r0; " + "".join(f"$r{n} = $r{(n + 1) % 500} | a;" for n in range(500)),
        "a",
    ),
    "every rule to every rule": (
        "$r = $r0; "
        + "".join(f"$r{n} = {'|'.join(f'$r{m}' for m in range(60))} | a;" for n in range(60)),
        "a",
    ),
    "a long chain of rules": (
        "$r = $r0; " + "".join(f"$r{n} = $r{n + 1};" for n in range(2000)) + "$r2000 = a;",
        "a",
    ),
    "nothing, very often": ("$r = a " + "(" * 40 + "$NULL " * 50 + ")<1000>" * 40 + ";", "a"),
    "nothing, very often, and a word": ("$r = (" + "$NULL " * 9000 + "a)<100>;", "a " * 100),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_grammar_is_matched_within_the_limit(name: str) -> None:
    rules, text = HOSTILE[name]
    network = grammar(rules)
    assert len(network.nodes) <= GRAMMAR_NODES_MAX
    assert places_for(network, text.split()) <= GRAMMAR_PLACES_MAX
    assert match_tokens(network, text.split()) is not None


def test_beyond_the_limit_nothing_more_is_followed() -> None:
    network = grammar("$r = " + "[a] " * 9000 + ";")
    matcher = CountingMatcher(network)
    for _ in range(60):
        matcher.feed("a")
    assert matcher.followed <= GRAMMAR_PLACES_MAX
    assert not matcher.possible


@pytest.mark.parametrize(
    "rules",
    [
        "$r = (((a<1000>)<1000>)<1000>)<1000>;",
        "$r = " + "(a | " * 40 + "b" + ")<0-9>" * 40 + ";",
        "$r = " + "a " * (GRAMMAR_NODES_MAX + 1) + ";",
    ],
)
def test_a_grammar_beyond_the_limit_is_refused(rules: str) -> None:
    with pytest.raises(GrammarError, match="GRAMMAR_NODES_MAX"):
        grammar(rules)


def test_a_text_beyond_the_limit_is_refused() -> None:
    with pytest.raises(GrammarError, match="GRAMMAR_BYTES_MAX"):
        grammar("$r = a;" + " " * GRAMMAR_BYTES_MAX)
    with pytest.raises(GrammarError, match="GRAMMAR_BYTES_MAX"):
        parse_abnf("#ABNF 1.0; $r = a;" + " " * GRAMMAR_BYTES_MAX)


def test_linked_grammars_share_the_limit() -> None:
    large = grammar("$r = " + "a " * 15_000 + ";")
    small = grammar("$r = $<large.gram>;")
    assert len(link(small, ADDRESS, {"http://grammars.example/large.gram": large}).nodes) > 15_000
    two = grammar("$r = $<large.gram> $<other.gram>;")
    others = {f"http://grammars.example/{name}.gram": large for name in ("large", "other")}
    with pytest.raises(GrammarError, match="GRAMMAR_NODES_MAX"):
        link(two, ADDRESS, others)


def test_as_many_keys_as_are_taken_may_be_one_recursive_rule() -> None:
    network = grammar(
        "$r = $d {out = rules.d} [$r {out += rules.r}]; $d = 1 {out = 'x'};",
        "mode dtmf; tag-format <semantics/1.0>;",
    )
    ecmascript = Ecmascript()
    assert meaning(network, "1" * KEYS_MAX, ecmascript) == f'"{"x" * KEYS_MAX}"'
    ecmascript.close()


# --- Small grammars of a document


def test_keys_of_a_choice() -> None:
    network = key_sequence("12#")
    assert state_after(network, "12") == (False, True)
    assert state_after(network, "12#") == (True, False)
    assert state_after(network, "1#") == (False, False)


def test_words_of_a_choice() -> None:
    network = phrase("Stargazer Astrophysics, News!")
    assert state_after(network, "stargazer astrophysics news") == (True, False)
    assert state_after(network, "stargazer") == (False, True)
    assert state_after(network, "news") == (False, False)


@pytest.mark.parametrize(
    ("said", "accepted"),
    [
        ("stargazer astrophysics news", True),
        ("stargazer", True),
        ("astrophysics", True),
        ("stargazer news", True),
        ("astrophysics news", True),
        ("news stargazer", False),
        ("news news", False),
        ("stargazer weather", False),
        ("", False),
    ],
)
def test_some_words_of_an_approximate_choice(said: str, accepted: bool) -> None:
    network = phrase("Stargazer astrophysics news", approximate=True)
    assert state_after(network, said)[0] == accepted


def test_an_approximate_choice_of_one_word() -> None:
    network = phrase("help", approximate=True)
    assert state_after(network, "help") == (True, False)
    assert not state_after(network, "")[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("twenty-one", ["twenty", "one"]),
        ('"Yes"  (please).', ["yes", "please"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("o'clock r&d", ["o'clock", "r&d"]),
        (" , . ", []),
        ("", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_what_was_said_is_spelled_as_in_the_grammar() -> None:
    network = grammar("$r = Call (Mary | Bob);")
    steps = match_tokens(network, words("call bob"))
    assert steps is not None
    assert utterance(network, steps) == "Call Bob"
    keys = grammar("$r = 1 2 [#];", "mode dtmf;")
    steps = match_tokens(keys, ["1", "2", "#"])
    assert steps is not None
    assert utterance(keys, steps) == "12#"


def test_the_beginning_tells_the_form() -> None:
    assert is_abnf("#ABNF 1.0;")
    assert is_abnf("\ufeff#ABNF 1.0 UTF-8;")
    assert is_abnf("\n   #ABNF 1.0;")
    assert not is_abnf("<grammar/>")
    assert not is_abnf("ABNF 1.0;")


def test_what_a_header_tells_is_in_the_tree() -> None:
    tree = parse_abnf(
        "#ABNF 1.0; language en-GB; mode dtmf; root $r; base <http://a.example/>;"
        """ meta "author" is 'A. "B." C'; http-equiv "Expires" is "0"; lexicon <x.pls>; $r = 1;"""
    )
    assert sorted(tree.attrib.values()) == ["1.0", "dtmf", "en-GB", "http://a.example/", "r"]
    told = [(element.tag, *sorted(element.attrib.items())) for element in tree]
    assert told[:3] == [
        ("meta", ("content", 'A. "B." C'), ("name", "author")),
        ("meta", ("content", "0"), ("http-equiv", "Expires")),
        ("lexicon", ("uri", "x.pls")),
    ]


def test_a_line_is_counted_from_where_the_text_begins() -> None:
    with pytest.raises(GrammarError) as caught:
        parse_abnf("#ABNF 1.0;\n$r = a\n  (b;", line=10)
    assert caught.value.line == 12


# --- Compiled once


def test_the_same_text_is_compiled_once() -> None:
    cache = DocumentCache()
    body = b"#ABNF 1.0; root $r; $r = a;"
    first = cache.get_grammar(body, "http://a.example/one")
    assert cache.get_grammar(body, "http://b.example/two") is first
    assert cache.get_grammar(body + b" ", "http://a.example/one") is not first


def test_what_was_not_used_for_longest_is_forgotten() -> None:
    cache = DocumentCache()
    kept = cache.get_grammar(b"#ABNF 1.0; root $r; $r = a;", ADDRESS)
    for number in range(GRAMMARS_CACHED_MAX - 1):
        cache.get_grammar(f"#ABNF 1.0; root $r; $r = a{number};".encode(), ADDRESS)
        if number % 100 == 0:
            assert cache.get_grammar(b"#ABNF 1.0; root $r; $r = a;", ADDRESS) is kept
    second = cache.get_grammar(b"#ABNF 1.0; root $r; $r = a1;", ADDRESS)
    cache.get_grammar(b"#ABNF 1.0; root $r; $r = more;", ADDRESS)
    assert cache.get_grammar(b"#ABNF 1.0; root $r; $r = a;", ADDRESS) is kept
    assert cache.get_grammar(b"#ABNF 1.0; root $r; $r = a1;", ADDRESS) is second


def test_a_grammar_that_was_not_fetched_cannot_be_linked() -> None:
    with pytest.raises(GrammarError, match=r"other\.gram was not fetched"):
        link(grammar("$r = $<other.gram>;"), ADDRESS, {})
