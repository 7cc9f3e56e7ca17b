"""SRGS 1.0, XML form: an element tree becomes a network."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urljoin

from lxml import etree

from vxml_engine.errors import GrammarError
from vxml_engine.grammar.network import (
    KEYS,
    AnyToken,
    Call,
    End,
    Fork,
    Mode,
    Network,
    NetworkBuilder,
    Rule,
    Tag,
    TagFormat,
    Token,
    words,
)
from vxml_engine.limits import GRAMMAR_REPEAT_MAX
from vxml_engine.tree import local_name, source_line
from vxml_engine.vocabulary import XML_NAMESPACE

_REPEAT: Final = re.compile(r"(\d+)(?:(-)(\d+)?)?")
_WEIGHT: Final = re.compile(r"\d+\.?\d*|\.\d+")
_QUOTED: Final = re.compile(r'"([^"]*)"|([^"]+)|(")')
_HEADER: Final = frozenset({"meta", "metadata", "lexicon"})
_TAG_FORMATS: Final[dict[str, TagFormat]] = {
    "semantics/1.0-literals": "literals",
    "semantics/1.0": "script",
    "": "draft",
}
_KEY_NAMES: Final = {"star": "*", "pound": "#"}
_SPECIAL: Final = frozenset({"NULL", "VOID", "GARBAGE"})

_RULE_NAME: Final = re.compile(r"[^\W\d]\w*")

_Piece = Callable[[int], int]
"""Adds a piece of a rule that goes on at the given node; returns the piece's first node."""


def _nothing(following: int) -> int:
    """The piece that adds no node: all others add at least one, so nodes bound the work."""
    return following


def compile_srgs(grammar: etree._Element) -> Network:
    """Compile a ``<grammar>``; references to other grammars are left for ``link``.

    Raises ``GrammarError`` for everything SRGS 1.0 does not allow and what goes over a limit.
    """
    return _Compiler(grammar).compile()


def _error(element: etree._Element, message: str) -> GrammarError:
    return GrammarError(message, source_line(element))


class _Compiler:
    """Compiles one grammar."""

    def __init__(self, grammar: etree._Element) -> None:
        self._grammar = grammar
        self._builder = NetworkBuilder()
        self._rules: dict[str, etree._Element] = {}
        self._header: list[str] = []
        self._mode: Mode = "voice"
        self._base = grammar.get(f"{{{XML_NAMESPACE}}}base") or ""

    def compile(self) -> Network:
        grammar = self._grammar
        match grammar.get("mode", "voice"):
            case "voice" | "dtmf" as mode:
                self._mode = mode
            case other:
                raise _error(grammar, f"mode='{other}' is not voice or dtmf")
        if grammar.get("version", "1.0") != "1.0":
            raise _error(grammar, f"version='{grammar.get('version')}' is not 1.0")
        tag_format = self._tag_format()
        self._read_children()
        root = grammar.get("root") or ""
        if root and root not in self._rules:
            raise _error(grammar, f"the grammar has no rule '{root}'")
        for name, element in self._rules.items():
            start = self._sequence(element)(self._builder.add(End()))
            public = self._scope(element) == "public" or name == root
            self._builder.rules[name] = Rule(start, name, tag_format, public)
        return self._builder.network(root, self._mode, "\n;".join(self._header))

    def _read_children(self) -> None:
        if (self._grammar.text or "").strip():
            raise _error(self._grammar, "text cannot stand in <grammar> outside of a rule")
        for child in self._grammar.iterchildren(etree.Element):
            name = local_name(child)
            if (child.tail or "").strip():
                raise _error(child, "text cannot stand in <grammar> outside of a rule")
            if name == "rule":
                self._add_rule(child)
            elif name == "tag":
                self._header.append(self._text(child))
            elif name not in _HEADER:
                raise _error(child, f"<{name}> cannot stand in <grammar>")
            else:
                self._check_header(child, name)
        if not self._rules:
            raise _error(self._grammar, "the grammar has no rules")

    def _add_rule(self, element: etree._Element) -> None:
        identifier = element.get("id")
        if not identifier:
            raise _error(element, "a rule needs an id")
        if identifier in _SPECIAL or not _RULE_NAME.fullmatch(identifier):
            raise _error(element, f"'{identifier}' cannot be the id of a rule")
        if identifier in self._rules:
            raise _error(element, f"there are two rules '{identifier}'")
        if not len(element) and not (element.text or "").strip():
            raise _error(element, f"the rule '{identifier}' is empty; use the special rule NULL")
        self._rules[identifier] = element

    def _check_header(self, element: etree._Element, name: str) -> None:
        """What a header's element must say (SRGS 1.0 4.10, 4.11)."""
        if name == "lexicon" and element.get("uri") is None:
            raise _error(element, "<lexicon> needs a uri")
        if name == "meta":
            if (element.get("name") is None) == (element.get("http-equiv") is None):
                raise _error(element, "<meta> needs either name or http-equiv")
            if element.get("content") is None:
                raise _error(element, "<meta> needs content")

    def _scope(self, rule: etree._Element) -> str:
        scope = rule.get("scope", "private")
        if scope not in ("private", "public"):
            raise _error(rule, f"scope='{scope}' is not private or public")
        return scope

    def _tag_format(self) -> TagFormat:
        written = (self._grammar.get("tag-format") or "").strip()
        if written not in _TAG_FORMATS:
            raise _error(self._grammar, f"tag-format '{written}' is not known; use semantics/1.0")
        return _TAG_FORMATS[written]

    # --- Expansions (SRGS 1.0 2)

    def _sequence(self, element: etree._Element) -> _Piece:
        """The content of a rule or an item, one after the other."""
        pieces = [self._tokens(element, element.text)]
        for child in element.iterchildren(etree.Element):
            pieces.append(self._expansion(child))
            pieces.append(self._tokens(element, child.tail))
        pieces = [piece for piece in pieces if piece is not _nothing]
        if len(pieces) < 2:
            return pieces[0] if pieces else _nothing

        def add(following: int) -> int:
            for piece in reversed(pieces):
                following = piece(following)
            return following

        return add

    def _tokens(self, element: etree._Element, text: str | None) -> _Piece:
        """Text that stands in a rule: tokens between spaces, or quoted."""
        found: list[tuple[str, str]] = []
        for quoted, plain, stray in _QUOTED.findall(text or ""):
            if stray:
                raise _error(element, f"a quotation mark is not closed: {text!r}")
            if quoted:
                found += self._token(element, quoted)
            for word in plain.split():
                found += self._token(element, word)
        return self._chain(found)

    def _token(self, element: etree._Element, text: str) -> list[tuple[str, str]]:
        """One token: what is compared, and how it is written."""
        if self._mode == "voice":
            compared = words(text)
            written = text.split()
            if len(compared) != len(written):
                written = compared
            return list(zip(compared, written, strict=True))
        keys = _KEY_NAMES.get(text.lower(), text)
        for key in "".join(keys.split()):
            if key not in KEYS:
                raise _error(element, f"'{key}' is not a key; keys are {KEYS}")
        return [(key, key) for key in "".join(keys.split())]

    def _chain(self, tokens: list[tuple[str, str]]) -> _Piece:
        if not tokens:
            return _nothing

        def add(following: int) -> int:
            for text, written in reversed(tokens):
                following = self._builder.add(Token(text, following, written))
            return following

        return add

    def _expansion(self, element: etree._Element) -> _Piece:
        match local_name(element):
            case "item":
                return self._item(element)
            case "one-of":
                return self._one_of(element)
            case "ruleref":
                return self._ruleref(element)
            case "token":
                return self._chain(self._token(element, self._text(element)))
            case "tag":
                text = self._text(element).strip()
                return lambda following: self._builder.add(Tag(text, following))
            case "example":
                return _nothing
            case name:
                raise _error(element, f"<{name}> cannot stand in a rule")

    def _text(self, element: etree._Element) -> str:
        """The content of an element that holds text alone."""
        if (child := next(element.iterchildren(etree.Element), None)) is not None:
            name = local_name(element)
            raise _error(child, f"<{local_name(child)}> cannot stand in <{name}>, only text")
        return element.text or ""

    def _one_of(self, element: etree._Element) -> _Piece:
        """Alternatives: the one of the greatest weight is preferred, then the first."""
        branches: list[tuple[float, _Piece]] = []
        if (element.text or "").strip():
            raise _error(element, "text cannot stand in <one-of> outside of an <item>")
        for child in element.iterchildren(etree.Element):
            if local_name(child) != "item":
                raise _error(child, f"<{local_name(child)}> cannot stand in <one-of>, only <item>")
            if (child.tail or "").strip():
                raise _error(element, "text cannot stand in <one-of> outside of an <item>")
            branches.append((self._weight(child), self._item(child)))
        if not branches:
            raise _error(element, "<one-of> needs at least one <item>")
        pieces = [piece for _, piece in sorted(branches, key=lambda branch: -branch[0])]
        if len(pieces) == 1:
            return pieces[0]
        return lambda following: self._builder.add(Fork(tuple(add(following) for add in pieces)))

    def _weight(self, item: etree._Element) -> float:
        written = item.get("weight", "1").strip()
        if not _WEIGHT.fullmatch(written):
            raise _error(item, f"weight='{written}' is not a number from 0")
        return float(written)

    def _item(self, element: etree._Element) -> _Piece:
        content = self._sequence(element)
        minimum, maximum = self._repeat(element)
        if (minimum, maximum) == (1, 1) or content is _nothing:
            return content
        if maximum == 0:
            return _nothing
        builder = self._builder

        def add(following: int) -> int:
            node, needed = following, minimum
            if maximum is None:
                # The last one that is needed is the one that is repeated.
                again = builder.add(Fork(()))
                first = content(again)
                builder.replace(again, Fork((first, following)))
                node, needed = (first, needed - 1) if needed else (again, 0)
            else:
                for _ in range(maximum - minimum):
                    node = builder.add(Fork((content(node), following)))
            for _ in range(needed):
                node = content(node)
            return node

        return add

    def _repeat(self, element: etree._Element) -> tuple[int, int | None]:
        """``repeat`` of an item: at least, at most (SRGS 1.0 2.5)."""
        if not element.attrib:
            return 1, 1
        probability = element.get("repeat-prob", "1").strip()
        if not _WEIGHT.fullmatch(probability) or float(probability) > 1:
            raise _error(element, f"repeat-prob='{probability}' is not a number from 0 to 1")
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

    def _ruleref(self, element: etree._Element) -> _Piece:
        special, uri = element.get("special"), element.get("uri")
        if (special is None) == (uri is None):
            raise _error(element, "<ruleref> needs either uri or special")
        match special:
            case None:
                assert uri is not None
                return self._reference(element, uri)
            case "NULL":
                return _nothing
            case "VOID":
                return lambda _: self._builder.add(Fork(()))
            case "GARBAGE":
                return self._garbage
            case _:
                raise _error(element, f"special='{special}' is not NULL, VOID or GARBAGE")

    def _garbage(self, following: int) -> int:
        """As little as possible of whatever is said."""
        loop = self._builder.add(Fork(()))
        self._builder.replace(loop, Fork((following, self._builder.add(AnyToken(loop)))))
        return loop

    def _reference(self, element: etree._Element, uri: str) -> _Piece:
        if not uri.startswith("#"):
            address = urljoin(self._base, uri) if self._base else uri
            return lambda following: self._builder.add(Call(address, following, external=True))
        name = uri[1:]
        if name not in self._rules:
            raise _error(element, f"the grammar has no rule '{name}'")
        return lambda following: self._builder.add(Call(name, following))
