"""Reading elements: one pass over the parsed tree makes nodes, valid by the vocabulary's table.

What is not valid is noted as a problem with its place and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from lxml import etree

from vxml_engine.limits import NAMES_CACHED_MAX, PROBLEMS_MAX
from vxml_engine.problems import Problem, Severity
from vxml_engine.properties import parse_time
from vxml_engine.tree import source_line
from vxml_engine.vocabulary import (
    RULES,
    SRGS_NAMESPACE,
    SSML_NAMESPACE,
    VM_NAMESPACE,
    VXML_NAMESPACE,
    XML_NAMESPACE,
    Rule,
)

Positions = Callable[[etree._Element], tuple[int, int]]
"""Line and column of an element's start tag, both from 1."""

_OURS = {VXML_NAMESPACE, SSML_NAMESPACE, SRGS_NAMESPACE, ""}


class Node:
    """An element as it is compiled; names are the vocabulary's, ``get`` asks for an attribute.

    ``pieces`` are texts and valid children in order; ``element`` is what it was read from.
    """

    __slots__ = ("attributes", "element", "get", "line", "name", "pieces")

    def __init__(
        self, element: etree._Element, name: str, attributes: dict[str, str], line: int
    ) -> None:
        self.element = element
        self.name = name
        self.attributes = attributes
        self.get = attributes.get
        self.line = line
        self.pieces: list[str | Node] = []

    def nodes(self) -> list[Node]:
        """The children without the texts."""
        return [piece for piece in self.pieces if isinstance(piece, Node)]


@dataclass(frozen=True, slots=True)
class Expression:
    """A piece of ECMAScript in the document, for the check."""

    source: str
    node: Node
    program: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A reference within the document, for the check."""

    name: str
    node: Node


def element_name(element: etree._Element) -> str:
    """The name in the vocabulary: ``vm:`` before ours, ``{uri}name`` for a stranger's."""
    return _name_of_tag(str(element.tag))


@lru_cache(maxsize=NAMES_CACHED_MAX)
def _name_of_tag(tag: str) -> str:
    namespace, _, local = tag.rpartition("}")
    if namespace[1:] in _OURS:
        return local
    return f"vm:{local}" if namespace[1:] == VM_NAMESPACE else tag


@lru_cache(maxsize=NAMES_CACHED_MAX)
def attribute_name(name: str) -> str | None:
    """The attribute's name in the vocabulary; None for attributes of strangers."""
    namespace, _, local = name.rpartition("}")
    match namespace[1:]:
        case "":
            return local
        case uri if uri == XML_NAMESPACE:
            return f"xml:{local}"
        case uri if uri == VM_NAMESPACE:
            return f"vm:{local}"
    return None


def _expressions(attributes: Iterable[str]) -> tuple[str, ...]:
    """The attributes that are ECMAScript."""
    return tuple(name for name in attributes if name == "cond" or name.endswith("expr"))


@lru_cache(maxsize=NAMES_CACHED_MAX)
def _expressions_if_valid(name: str, attributes: tuple[str, ...]) -> tuple[str, ...] | None:
    """Those of a valid set of attributes; None when the element ``name`` cannot have this set."""
    rule, present = RULES[name], frozenset(attributes)
    if (
        all(known in rule.attributes or known.startswith("xml:") for known in attributes)
        and rule.required <= present
        and all(len(group & present) == 1 for group in rule.one_of)
        and all(len(group & present) <= 1 for group in rule.at_most_one)
    ):
        return _expressions(attributes)
    return None


class Reader:
    """Collects the problems of one document while it is read."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self.problems: list[Problem] = []
        self.expressions: list[Expression] = []
        self.dialog_targets: list[Target] = []
        self.item_targets: list[Target] = []

    # Problems

    def problem(self, node: Node, rule: str, message: str, severity: Severity = "error") -> None:
        """Note a problem of ``node``; beyond the limit they are not kept."""
        if len(self.problems) < PROBLEMS_MAX:
            place = self._positions(node.element)
            self.problems.append(Problem(*place, rule, severity, message))

    def warn(self, node: Node, rule: str, message: str) -> None:
        """Note something that does not keep the document from being used."""
        self.problem(node, rule, message, "warning")

    # The pass over the tree

    def read(self, element: etree._Element, name: str) -> Node:
        """The node of an element called ``name``, which must be in the vocabulary."""
        rule = RULES[name]
        attributes: dict[str, str] = {}
        for key, value in element.items():
            known = attribute_name(str(key))
            if known is not None:
                attributes[known] = str(value)
        node = Node(element, name, attributes, source_line(element))
        expressions = _expressions_if_valid(name, tuple(attributes))
        if expressions is None:
            self._report_attributes(node, rule)
            expressions = _expressions(attributes)
        for attribute in expressions:
            self.expressions.append(Expression(attributes[attribute], node, program=False))
        if name == "metadata":  # what is in it is of any vocabulary (VoiceXML 2.0 6.2.2)
            return node
        if text := element.text:
            self._add_text(node, text, rule)
        for child in element:
            tag: object = child.tag
            if tag.__class__ is not str:
                message = f"the entity {child.text} is not expanded; write it out"
                self.problem(node, "entity", message)
            elif (child_name := _name_of_tag(tag)) not in rule.children:
                self._report_child(node, child, child_name)
            elif name == "grammar":  # what is in it is the grammar's own business
                node.pieces.append(Node(child, child_name, {}, 0))
            else:
                node.pieces.append(self.read(child, child_name))
            if tail := child.tail:
                self._add_text(node, tail, rule)
        return node

    def _report_child(self, node: Node, child: etree._Element, name: str) -> None:
        stray = Node(child, name, {}, source_line(child))
        if name in RULES:
            self.problem(stray, "element-place", f"<{name}> cannot stand in <{node.name}>")
        else:
            self.problem(stray, "element-unknown", f"<{name}> is not known")

    def _add_text(self, node: Node, text: str, rule: Rule) -> None:
        if rule.text:
            node.pieces.append(" " if text.isspace() else text)
        elif not text.isspace():
            told = f"<{node.name}> takes no text: {text.strip()[:40]!r}"
            self.problem(node, "text", told)

    def _report_attributes(self, node: Node, rule: Rule) -> None:
        """Note what is wrong with a node's attributes, by the table."""
        name, attributes = node.name, node.attributes
        for known in attributes:
            if known not in rule.attributes and not known.startswith("xml:"):
                allowed = ", ".join(sorted(rule.attributes)) or "none"
                message = f"<{name}> has no attribute {known}; it has {allowed}"
                self.problem(node, "attribute", message)
        for missing in sorted(rule.required - attributes.keys()):
            self.problem(node, "attribute-missing", f'<{name}> needs {missing}="..."')
        for group in rule.one_of:
            self._count_of_group(node, group, attributes, at_least=1)
        for group in rule.at_most_one:
            self._count_of_group(node, group, attributes, at_least=0)

    def _count_of_group(
        self, node: Node, group: frozenset[str], attributes: dict[str, str], at_least: int
    ) -> None:
        if not at_least <= len(group & attributes.keys()) <= 1:
            quantity = "exactly one" if at_least else "at most one"
            listed = ", ".join(sorted(group))
            self.problem(node, "attribute-choice", f"<{node.name}> takes {quantity} of {listed}")

    def loop(self, node: Node) -> None:
        """Note the expression of a ``<foreach>``."""
        self.expressions.append(Expression(node.get("array", ""), node, program=False))

    # Attribute values

    def flag(self, node: Node, name: str) -> bool | None:
        """``true`` or ``false``; None when absent."""
        match node.get(name):
            case None:
                return None
            case "true":
                return True
            case "false":
                return False
            case other:
                self.problem(node, "attribute-value", f"{name}='{other}' is not true or false")
                return None

    def time(self, node: Node, name: str) -> float | None:
        """Seconds of a time designation; None when absent."""
        text = node.get(name)
        if text is None:
            return None
        seconds = parse_time(text)
        if seconds is None:
            self.problem(
                node, "attribute-value", f"{name}='{text}' is not a time; write 500ms or 2s"
            )
        return seconds

    def count(self, node: Node) -> int:
        """``count``: a number from 1, 1 when absent."""
        text = node.get("count", "1")
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= 999_999:
            self.problem(node, "attribute-value", f"count='{text}' is not a number from 1")
            return 1
        return int(text)

    def choice(self, node: Node, name: str, *allowed: str) -> str:
        """One of ``allowed``; the first when absent."""
        text = node.get(name, allowed[0])
        if text not in allowed:
            self.problem(
                node, "attribute-value", f"{name}='{text}' is not one of {', '.join(allowed)}"
            )
            return allowed[0]
        return text

    def names(self, node: Node, name: str = "namelist") -> tuple[str, ...]:
        """The words of a list; empty when absent."""
        return tuple((node.get(name) or "").split())
