"""SRGS 1.0 clause by clause: each file of ``srgs/`` is a grammar and what it makes of inputs.

What stands in a file is told by ``tests.kit.grammar_case``.  W3C's own grammars tell by ``meta``
what is said (``in.N``) and how it is parsed (``out.N``, SRGS 1.0 appendix H).  Some refer to
grammars that W3C did not publish: ``STAND_INS`` say what the parses show these to have said.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from lxml import etree

from tests.kit.grammar_case import BASE, check, load, tokens_of
from vxml_engine.errors import GrammarError
from vxml_engine.grammar.abnf import is_abnf, parse_abnf
from vxml_engine.grammar.network import Step, match_tokens

FILES = sorted(Path(__file__).with_name("srgs").glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=[f"srgs/{file.stem}" for file in FILES])
def test_clause(file: Path) -> None:
    check(file)


def test_there_are_clauses() -> None:
    assert len(FILES) >= 130


# --- W3C's grammars

W3C = [
    *(f"conformance-{number}.gram" for number in range(1, 7)),
    *(f"conformance-{number}.grxml" for number in range(1, 8)),
]
STAND_INS = {
    "common": "public $polite_start = $<polite.gram#start>; $root = x;",
    "polite": "public $start = please; public $end = thanks; $root = x;",
    "politeness": "public $startPolite = please; $root = x;",
    "english_names": "public $single_public = Mary; $root = x;",
    "french_names": "$root = Jean Francois;",
    "more_english_names": "$root = Johnny;",
    "token-basic": "$root = help;",
}
MAY_BE_REJECTED = {"conformance-5.grxml"}
"""Elements of other namespaces may be processed, passed over or refused (SRGS 1.0 5.3)."""


def stand_ins() -> dict[str, bytes]:
    """The grammars that are referred to; all in ABNF, whatever their names end in."""
    header = "#ABNF 1.0; language en; root $root; "
    return {
        f"{BASE}{name}.{form}": (header + rules.replace(".gram", f".{form}")).encode()
        for name, rules in STAND_INS.items()
        for form in ("gram", "grxml")
    }


def told_by(body: bytes) -> dict[str, str]:
    """What a grammar's ``meta`` tell: content by name."""
    text = body.decode("utf-8")
    root = parse_abnf(text) if is_abnf(text) else etree.fromstring(body)
    return {meta.get("name", ""): meta.get("content", "") for meta in root.iter("{*}meta", "meta")}


def parse_of(steps: Sequence[Step]) -> str:
    """A match as W3C writes it: each rule with what it consists of."""
    written: list[str] = []
    for step in steps:
        match step.kind:
            case "enter":
                written.append(f"${reference(step.text)}[")
            case "leave":
                written[-1] = written[-1].rstrip(",")
                written.append("],")
            case "token":
                written.append(f'"{step.text}",')
    return "".join(written).rstrip(",").replace(",]", "]")


def reference(key: str) -> str:
    """A rule as it is referred to from a grammar of ``BASE``."""
    address, _, name = key.rpartition("#")
    file = address.removeprefix(BASE)
    if file in ("", *W3C):
        return name
    return f"<{file}>" if name == "root" else f"<{file}#{name}>"


@pytest.mark.parametrize("name", W3C)
def test_w3c(name: str, shared_data: Path) -> None:
    body = (shared_data / "conformance" / "w3c-srgs10" / name).read_bytes()
    told = told_by(body)
    documents = stand_ins() | {BASE + name: body}
    inputs = [key for key in told if key.startswith("in.")]
    assert inputs
    for key in inputs:
        expected = told[key.replace("in", "out")]
        if expected == "REJECT" or name in MAY_BE_REJECTED:
            with pytest.raises(GrammarError):
                load(BASE + name, documents)
            continue
        begin = re.match(r"\$(\w+)", expected)
        assert begin is not None
        network = load(BASE + name, documents, begin[1])
        steps = match_tokens(network, tokens_of(network, told[key]))
        assert steps is not None, told[key]
        assert parse_of(steps) == expected


def test_w3c_has_no_other_grammars(shared_data: Path) -> None:
    folder = shared_data / "conformance" / "w3c-srgs10"
    assert sorted(path.name for path in folder.iterdir()) == sorted(W3C)
