"""SRGS 1.0, XML form, for keys: an element tree becomes a network."""

import re
from collections.abc import Callable
from typing import Final

from lxml import etree

from vxml_engine.errors import GrammarError
from vxml_engine.grammar.builtin import KEYS
from vxml_engine.grammar.network import (
    Call,
    End,
    Fork,
    Key,
    Network,
    NetworkBuilder,
    Tag,
    TagFormat,
)
from vxml_engine.limits import GRAMMAR_REPEAT_MAX
from vxml_engine.tree import local_name, source_line

_REPEAT: Final = re.compile(r"(\d+)(?:(-)(\d+)?)?")
_HEADER: Final = frozenset({"meta", "metadata", "lexicon", "tag"})
_LITERALS: Final = frozenset({"semantics/1.0-literals"})
_SCRIPTS: Final = frozenset({"", "semantics/1.0"})

_Piece = Callable[[int], int]
"""Adds a piece of a rule that goes on at the given node; returns the piece's first node."""


def compile_srgs(grammar: etree._Element, rule: str | None = None) -> Network:
    """Compile a ``<grammar>`` for keys; ``rule`` is where to begin instead of its root.

    Raises ``GrammarError`` for everything SRGS 1.0 does not allow, references to other
    grammars, and what goes over a limit.
    """
    builder = NetworkBuilder()
    elements: dict[str, etree._Element] = {}
    for child in grammar.iterchildren(etree.Element):
        name = local_name(child)
        if name == "rule":
            identifier = child.get("id")
            if not identifier:
                raise _error(child, "a rule needs an id")
            if identifier in elements:
                raise _error(child, f"there are two rules '{identifier}'")
            elements[identifier] = child
        elif name not in _HEADER:
            raise _error(child, f"<{name}> cannot stand in <grammar>")
    root = rule or grammar.get("root")
    if root is None:
        raise _error(grammar, 'the grammar names no root rule: add root="..."')
    if root not in elements:
        raise _error(grammar, f"the grammar has no rule '{root}'")
    for identifier, element in elements.items():
        builder.rules[identifier] = -1
        builder.rules[identifier] = _sequence(builder, element, elements)(builder.add(End()))
    return builder.network(root, _tag_format(grammar))


def _error(element: etree._Element, message: str) -> GrammarError:
    return GrammarError(message, source_line(element))


def _tag_format(grammar: etree._Element) -> TagFormat:
    written = (grammar.get("tag-format") or "").strip()
    if written in _LITERALS:
        return "literals"
    if written in _SCRIPTS:
        return "script"
    raise _error(grammar, f"tag-format '{written}' is not known; use semantics/1.0")


def _sequence(
    builder: NetworkBuilder, element: etree._Element, rules: dict[str, etree._Element]
) -> _Piece:
    """The content of a rule or an item, one after the other."""
    pieces = [_keys(builder, element, element.text)]
    for child in element.iterchildren(etree.Element):
        pieces.append(_expansion(builder, child, rules))
        pieces.append(_keys(builder, element, child.tail))

    def add(following: int) -> int:
        for piece in reversed(pieces):
            following = piece(following)
        return following

    return add


def _keys(builder: NetworkBuilder, element: etree._Element, text: str | None) -> _Piece:
    keys = "".join((text or "").replace('"', " ").split())
    for key in keys:
        if key not in KEYS:
            raise _error(element, f"'{key}' is not a key; keys are {KEYS}")

    def add(following: int) -> int:
        for key in reversed(keys):
            following = builder.add(Key(key, following))
        return following

    return add


def _expansion(
    builder: NetworkBuilder, element: etree._Element, rules: dict[str, etree._Element]
) -> _Piece:
    match local_name(element):
        case "item":
            return _item(builder, element, rules)
        case "one-of":
            return _one_of(builder, element, rules)
        case "ruleref":
            return _ruleref(builder, element, rules)
        case "token":
            return _keys(builder, element, element.text)
        case "tag":
            text = element.text or ""
            return lambda following: builder.add(Tag(text.strip(), following))
        case "example":
            return lambda following: following
        case name:
            raise _error(element, f"<{name}> cannot stand in a rule")


def _one_of(
    builder: NetworkBuilder, element: etree._Element, rules: dict[str, etree._Element]
) -> _Piece:
    branches: list[_Piece] = []
    for child in element.iterchildren(etree.Element):
        if local_name(child) != "item":
            raise _error(child, f"<{local_name(child)}> cannot stand in <one-of>, only <item>")
        branches.append(_item(builder, child, rules))
    if not branches:
        raise _error(element, "<one-of> needs at least one <item>")
    return lambda following: builder.add(Fork(tuple(add(following) for add in branches)))


def _item(
    builder: NetworkBuilder, element: etree._Element, rules: dict[str, etree._Element]
) -> _Piece:
    content = _sequence(builder, element, rules)
    minimum, maximum = _repeat(element)
    if (minimum, maximum) == (1, 1):
        return content

    def add(following: int) -> int:
        node = following
        if maximum is None:
            loop = builder.add(Fork(()))
            builder.replace(loop, Fork((content(loop), following)))
            node = loop
        else:
            for _ in range(maximum - minimum):
                node = builder.add(Fork((content(node), following)))
        for _ in range(minimum):
            node = content(node)
        return node

    return add


def _repeat(element: etree._Element) -> tuple[int, int | None]:
    written = element.get("repeat", "1")
    match = _REPEAT.fullmatch(written.strip())
    if match is None:
        raise _error(element, f"repeat='{written}' is not n, n- or n-m")
    minimum = int(match[1])
    maximum = int(match[3]) if match[3] else (None if match[2] else minimum)
    if maximum is not None and maximum < minimum:
        raise _error(element, f"repeat='{written}' ends before it begins")
    if max(minimum, maximum or 0) > GRAMMAR_REPEAT_MAX:
        raise _error(
            element, f"repeat='{written}' is over {GRAMMAR_REPEAT_MAX} (GRAMMAR_REPEAT_MAX)"
        )
    return minimum, maximum


def _ruleref(
    builder: NetworkBuilder, element: etree._Element, rules: dict[str, etree._Element]
) -> _Piece:
    special, uri = element.get("special"), element.get("uri")
    if (special is None) == (uri is None):
        raise _error(element, "<ruleref> needs either uri or special")
    match special:
        case None:
            pass
        case "NULL":
            return lambda following: following
        case "VOID":
            return lambda following: builder.add(Fork(()))  # noqa: ARG005 - there is no way on
        case "GARBAGE":
            raise _error(element, "GARBAGE is for speech; keys are always heard")
        case _:
            raise _error(element, f"special='{special}' is not NULL, VOID or GARBAGE")
    assert uri is not None
    if not uri.startswith("#"):
        raise _error(element, f"reference to another grammar, '{uri}', is not supported yet")
    name = uri[1:]
    if name not in rules:
        raise _error(element, f"the grammar has no rule '{name}'")
    return lambda following: builder.add(Call(name, following))
