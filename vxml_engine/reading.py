"""Reading elements: validity by the vocabulary's table, attribute values, problems with places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


@dataclass(frozen=True, slots=True)
class Expression:
    """A piece of ECMAScript in the document, for the check."""

    source: str
    element: etree._Element
    program: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A reference within the document, for the check."""

    name: str
    element: etree._Element


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


class Reader:
    """Collects the problems of one document while it is read."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self.problems: list[Problem] = []
        self.expressions: list[Expression] = []
        self.dialog_targets: list[Target] = []
        self.item_targets: list[Target] = []

    # Problems

    def line(self, element: etree._Element) -> int:
        """The line of the element's start tag."""
        return source_line(element)

    def problem(
        self, element: etree._Element, rule: str, message: str, severity: Severity = "error"
    ) -> None:
        """Note a problem of ``element``; beyond the limit they are not kept."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(*self._positions(element), rule, severity, message))

    def warn(self, element: etree._Element, rule: str, message: str) -> None:
        """Note something that does not keep the document from being used."""
        self.problem(element, rule, message, "warning")

    # Validity

    def validate(self, element: etree._Element, name: str) -> Rule:
        """Check attributes against the table; returns the element's rule."""
        rule = RULES[name]
        present: set[str] = set()
        for attribute, value in element.items():
            known = attribute_name(str(attribute))
            if known is None:
                continue
            if known not in rule.attributes and not known.startswith("xml:"):
                allowed = ", ".join(sorted(rule.attributes)) or "none"
                self.problem(
                    element, "attribute", f"<{name}> has no attribute {known}; it has {allowed}"
                )
            present.add(known)
            if known == "cond" or known.endswith("expr"):
                self.expressions.append(Expression(str(value), element, program=False))
        if not rule.required <= present:
            for missing in sorted(rule.required - present):
                self.problem(element, "attribute-missing", f'<{name}> needs {missing}="..."')
        for group in rule.one_of:
            self._count_of_group(element, name, group, present, at_least=1)
        for group in rule.at_most_one:
            self._count_of_group(element, name, group, present, at_least=0)
        return rule

    def _count_of_group(
        self,
        element: etree._Element,
        name: str,
        group: frozenset[str],
        present: set[str],
        at_least: int,
    ) -> None:
        if not at_least <= len(group & present) <= 1:
            quantity = "exactly one" if at_least else "at most one"
            listed = ", ".join(sorted(group))
            self.problem(element, "attribute-choice", f"<{name}> takes {quantity} of {listed}")

    def pieces(self, element: etree._Element, name: str) -> list[str | etree._Element]:
        """Text and valid child elements in order; what may not stand there is a problem."""
        rule = RULES[name]
        found: list[str | etree._Element] = []
        if element.text:
            self._add_text(found, element, element.text, rule, name)
        for child in element:
            if isinstance(child, etree._Entity):
                self.problem(
                    element, "entity", f"the entity {child.text} is not expanded; write it out"
                )
            else:
                child_name = element_name(child)
                if child_name in rule.children:
                    found.append(child)
                elif child_name in RULES:
                    self.problem(child, "element-place", f"<{child_name}> cannot stand in <{name}>")
                else:
                    self.problem(child, "element-unknown", f"<{child_name}> is not known")
            if child.tail:
                self._add_text(found, element, child.tail, rule, name)
        return found

    def _add_text(
        self,
        found: list[str | etree._Element],
        element: etree._Element,
        text: str,
        rule: Rule,
        name: str,
    ) -> None:
        if rule.text:
            found.append(" " if text.isspace() else text)
        elif not text.isspace():
            self.problem(element, "text", f"<{name}> takes no text: {text.strip()[:40]!r}")

    def children(self, element: etree._Element, name: str) -> Iterator[etree._Element]:
        """The valid child elements."""
        for piece in self.pieces(element, name):
            if not isinstance(piece, str):
                yield piece

    def loop(self, element: etree._Element) -> None:
        """Note the expression of a ``<foreach>``."""
        self.expressions.append(Expression(element.get("array", ""), element, program=False))

    # Attribute values

    def flag(self, element: etree._Element, name: str) -> bool | None:
        """``true`` or ``false``; None when absent."""
        match element.get(name):
            case None:
                return None
            case "true":
                return True
            case "false":
                return False
            case other:
                self.problem(element, "attribute-value", f"{name}='{other}' is not true or false")
                return None

    def time(self, element: etree._Element, name: str) -> float | None:
        """Seconds of a time designation; None when absent."""
        text = element.get(name)
        if text is None:
            return None
        seconds = parse_time(text)
        if seconds is None:
            self.problem(
                element, "attribute-value", f"{name}='{text}' is not a time; write 500ms or 2s"
            )
        return seconds

    def count(self, element: etree._Element) -> int:
        """``count``: a number from 1, 1 when absent."""
        text = element.get("count", "1")
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= 999_999:
            self.problem(element, "attribute-value", f"count='{text}' is not a number from 1")
            return 1
        return int(text)

    def choice(self, element: etree._Element, name: str, *allowed: str) -> str:
        """One of ``allowed``; the first when absent."""
        text = element.get(name, allowed[0])
        if text not in allowed:
            self.problem(
                element, "attribute-value", f"{name}='{text}' is not one of {', '.join(allowed)}"
            )
            return allowed[0]
        return text

    def names(self, element: etree._Element, name: str = "namelist") -> tuple[str, ...]:
        """The words of a list; empty when absent."""
        return tuple((element.get(name) or "").split())
