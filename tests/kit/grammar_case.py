"""A clause about grammars as data: one grammar (in XML, ABNF or both) and what it makes of inputs.

A file names its clause and what the clause says, and has ``xml``, ``abnf`` or both, of which the
same is expected.  ``documents`` are other grammars, by their address relative to this one's.
``rule`` is the rule to begin with, ``encoding`` that of the grammar's bytes.  Then

- ``accepts`` and ``refuses`` are inputs: words, or keys;
- ``open``, ``final`` are accepted, and can be gone on with or not; ``unfinished``, ``dead`` are
  not accepted, and can be gone on with or not;
- ``error`` is what the refusal of the grammar must say, ``line`` the line it must tell;
- each ``case`` has an ``input`` and, in JSON, the ``value`` it means; or what the ``error`` says
  that it causes.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin

import pytest

from vxml_engine.cache import DocumentCache
from vxml_engine.ecmascript import UNDEFINED, Ecmascript
from vxml_engine.errors import GrammarError, ThrownEvent
from vxml_engine.grammar.network import Matcher, Network, link, match_tokens, words
from vxml_engine.grammar.semantics import interpretation_source

BASE = "http://grammars.example/"
FORMS = {"xml": "start.grxml", "abnf": "start.gram"}
STATES = {
    "open": (True, True),
    "final": (True, False),
    "unfinished": (False, True),
    "dead": (False, False),
}
FIELDS = {"clause", "says", "documents", "rule", "encoding", "accepts", "refuses", "error", "line"}
FIELDS |= {"case", *FORMS, *STATES}


def load(address: str, documents: Mapping[str, bytes], rule: str | None = None) -> Network:
    """The grammar at ``address`` with all it refers to; raises ``GrammarError``."""
    cache = DocumentCache()
    network = cache.get_grammar(documents[address], address).starting(rule)
    others: dict[str, Network] = {}
    waiting = [(address, network)]
    while waiting:
        url, part = waiting.pop()
        for reference in part.references:
            target = urldefrag(urljoin(url, reference)).url
            if target not in others and target != address:
                if target not in documents:
                    raise GrammarError(f"there is nothing at {target}")
                others[target] = cache.get_grammar(documents[target], target)
                waiting.append((target, others[target]))
    return link(network, address, others) if network.references else network


def tokens_of(network: Network, text: str) -> list[str]:
    """An input as a grammar takes it: keys, or words."""
    return list("".join(text.split())) if network.mode == "dtmf" else words(text)


def state_after(network: Network, text: str) -> tuple[bool, bool]:
    """Whether an input is accepted, and whether it can be gone on with."""
    matcher = Matcher(network)
    for token in tokens_of(network, text):
        matcher.feed(token)
    return matcher.complete, matcher.extendable


def meaning(network: Network, text: str, ecmascript: Ecmascript) -> str:
    """The interpretation of an input as JSON, ``undefined``, or what the error says."""
    steps = match_tokens(network, tokens_of(network, text))
    assert steps is not None, f"{text!r} is not accepted"
    try:
        value = ecmascript.evaluate_apart(interpretation_source(network, steps))
    except ThrownEvent as thrown:
        return f"{thrown.event}: {thrown.message}"
    return "undefined" if value is UNDEFINED else json.dumps(value, ensure_ascii=False)


def check(file: Path) -> None:
    """Hold a file's grammar, in each of its forms, to all that the file says."""
    fields = tomllib.loads(file.read_text(encoding="utf-8"))
    assert fields.keys() <= FIELDS, f"fields of {file.name}: {fields.keys() - FIELDS}"
    assert fields["clause"], fields["says"]
    forms = [form for form in FORMS if form in fields]
    assert forms, f"{file.name} has no grammar"
    for form in forms:
        body = fields[form].encode(fields.get("encoding", "utf-8"))
        _check_form(BASE + FORMS[form], body, fields)


def _check_form(address: str, body: bytes, fields: Mapping[str, Any]) -> None:
    told = f"{fields['clause']}: {fields['says']} ({address.rpartition('.')[2]})"
    documents = {BASE + name: text.encode() for name, text in fields.get("documents", {}).items()}
    documents[address] = body
    if "error" in fields:
        with pytest.raises(GrammarError) as caught:
            load(address, documents, fields.get("rule"))
        assert fields["error"] in str(caught.value), told
        if "line" in fields:
            assert caught.value.line == fields["line"], told
        return
    network = load(address, documents, fields.get("rule"))
    for text in fields.get("accepts", ()):
        assert state_after(network, text)[0], f"{told}: {text!r} must be accepted"
        assert match_tokens(network, tokens_of(network, text)) is not None
    for text in fields.get("refuses", ()):
        assert not state_after(network, text)[0], f"{told}: {text!r} must be refused"
        assert match_tokens(network, tokens_of(network, text)) is None
    for name, state in STATES.items():
        for text in fields.get(name, ()):
            assert state_after(network, text) == state, f"{told}: {text!r} must be {name}"
    _check_meanings(network, fields.get("case", ()), told)


def _check_meanings(network: Network, cases: Any, told: str) -> None:
    ecmascript = Ecmascript()
    for case in cases:
        found = meaning(network, case["input"], ecmascript)
        ecmascript.begin_turn()
        if "error" in case:
            assert found.startswith("error.semantic: "), f"{told}: {case['input']!r} gave {found}"
            assert case["error"] in found, told
        elif case["value"] == "undefined":
            assert found == "undefined", told
        else:
            assert not found.startswith("error."), f"{told}: {case['input']!r} gave {found}"
            assert json.loads(found) == json.loads(case["value"]), f"{told}: {case['input']!r}"
    ecmascript.close()
