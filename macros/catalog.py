"""All macros that documents may use, and their expansion.

In a document, beside or among VoiceXML's own elements::

    <macro name="transfer">
      <input name="to" value="conf:12a34b"/>
    </macro>

``expr`` instead of ``value`` is ECMAScript that is evaluated when the script runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import cast
from xml.sax.saxutils import quoteattr

from lxml import etree

from macros import limits
from macros.definition import CONTEXTS, ExpansionTooLarge, Given, Input, Macro, read_macro
from macros.errors import LibraryError, MacroErrors, Problem

LIBRARY = Path(__file__).resolve().parent / "library"
"""The macros that come with the product."""

VOICEXML_NAMESPACE = "http://www.w3.org/2001/vxml"
_LINE_MAX = 65_534  # libxml2 can be told no higher line: 16 bits, and 65,535 means unknown


@dataclass(frozen=True, slots=True)
class MacroDescription:
    """A macro for its documentation; ``example`` is its shortest right use."""

    name: str
    description: str
    contexts: tuple[str, ...]
    inputs: Mapping[str, Input]
    example: str


class Catalog:
    """Macros by name; immutable, so that every session may share it."""

    def __init__(self, macros: Iterable[Macro]) -> None:
        self._macros: dict[str, Macro] = {}
        for macro in sorted(macros, key=lambda each: each.name):
            if macro.name in self._macros:
                first = self._macros[macro.name].folder
                raise LibraryError(macro.folder, f"a second macro of this name, beside {first}")
            self._macros[macro.name] = macro

    @classmethod
    def load(cls, *folders: Path) -> Catalog:
        """Every macro in ``folders`` (default: LIBRARY), a subfolder each. Raises LibraryError."""
        found: list[Macro] = []
        for folder in folders or (LIBRARY,):
            if not folder.is_dir():
                raise LibraryError(folder, "no such folder")
            found += [
                read_macro(each)
                for each in sorted(folder.iterdir())
                if each.is_dir() and not each.name.startswith((".", "_"))
            ]
        return cls(found)

    def describe(self) -> tuple[MacroDescription, ...]:
        """Every macro, by name, for documentation and messages."""
        return tuple(
            MacroDescription(
                macro.name, macro.description, tuple(macro.templates), macro.inputs, _example(macro)
            )
            for macro in self._macros.values()
        )

    def expand(self, root: etree._Element) -> int:
        """Replace every macro below ``root`` by what it stands for; returns how many there were.

        What is produced has the line of its macro. Raises MacroErrors with every problem found,
        and then leaves the document as it was.
        """
        return _Expansion(self._macros, root).run()


class _Expansion:
    """One document's expansion: find, check and produce everything, then change the tree."""

    def __init__(self, macros: Mapping[str, Macro], root: etree._Element) -> None:
        self._macros = macros
        self._root = root
        self._namespace = etree.QName(root).namespace
        self._problems: list[Problem] = []
        self._chars = 0
        self._names = {element.get("name") for element in root.iter(etree.Element)}
        self._counts: dict[str, int] = {}

    def run(self) -> int:
        found = [
            element
            for element in self._root.iter(etree.Element)
            if self._local_name(element) == "macro" and not self._inside_macro(element)
        ]
        if len(found) > limits.MACROS_MAX:
            self._report(
                found[limits.MACROS_MAX],
                "too-many-macros",
                f"{len(found)} macros are over MACROS_MAX ({limits.MACROS_MAX}): "
                "split the document",
            )
            raise MacroErrors(tuple(self._problems))
        produced: list[tuple[etree._Element, list[etree._Element]]] = []
        for element in found:
            elements = self._produce(element)
            if elements is not None:
                produced.append((element, elements))
            if len(self._problems) >= limits.PROBLEMS_MAX:
                break
        if self._problems:
            raise MacroErrors(tuple(self._problems[: limits.PROBLEMS_MAX]))
        for element, elements in produced:
            _replace(element, elements)
        return len(produced)

    def _produce(self, element: etree._Element) -> list[etree._Element] | None:
        """What ``element`` becomes; None where a problem was reported."""
        before = len(self._problems)
        self._check_shape(element, {"name"}, "<macro> has the attribute name and <input> elements")
        macro = self._macro(element)
        if macro is None:
            return None
        context = self._context(element, macro)
        given = self._given(element, macro)
        if context is None or len(self._problems) > before:
            return None
        try:
            elements, chars = macro.expand(
                context, given, self._unique(macro.name), self._namespace
            )
        except ExpansionTooLarge:
            limit, most = "EXPANSION_CHARS_MAX", limits.EXPANSION_CHARS_MAX
        else:
            self._chars += chars
            if self._chars <= limits.DOCUMENT_EXPANSION_CHARS_MAX:
                return elements
            limit, most = "DOCUMENT_EXPANSION_CHARS_MAX", limits.DOCUMENT_EXPANSION_CHARS_MAX
        self._report(
            element,
            "expansion-too-large",
            f"macro {macro.name!r} becomes too large, over {limit} ({most}): shorten its inputs",
        )
        return None

    def _macro(self, element: etree._Element) -> Macro | None:
        name = element.get("name")
        if name is None:
            self._report(element, "macro-syntax", "<macro> needs the attribute name")
            return None
        macro = self._macros.get(name)
        if macro is None:
            self._report(
                element,
                "unknown-macro",
                f"no macro is called {name!r}{_suggest(name, self._macros)}",
            )
        return macro

    def _context(self, element: etree._Element, macro: Macro) -> str | None:
        parent = element.getparent()
        place = None if parent is None else self._local_name(parent)
        for context in macro.templates:
            if place in CONTEXTS[context].parents:
                return context
        right = sorted(name for context in macro.templates for name in CONTEXTS[context].parents)
        where = "outside of everything" if place is None else f"in <{place}>"
        self._report(
            element,
            "wrong-place",
            f"macro {macro.name!r} cannot stand {where}: it is a child of "
            f"{', '.join(f'<{name}>' for name in right)}",
        )
        return None

    def _given(self, element: etree._Element, macro: Macro) -> dict[str, Given]:
        """The inputs in their normal form; what is wrong with them is reported."""
        given: dict[str, Given] = {}
        named: dict[str, int] = {}
        for child in element.iterchildren(etree.Element):
            if self._local_name(child) != "input":
                self._report(
                    child,
                    "macro-syntax",
                    f"<{etree.QName(child).localname}> cannot stand in <macro>: only <input>",
                )
                continue
            self._check_shape(
                child, {"name", "value", "expr"}, "<input> has name, and value or expr"
            )
            name = child.get("name")
            if name is None:
                self._report(child, "macro-syntax", "<input> needs the attribute name")
            elif name not in macro.inputs:
                self._report(
                    child,
                    "unknown-input",
                    f"macro {macro.name!r} has no input {name!r}{_suggest(name, macro.inputs)}",
                )
            elif name in named:
                self._report(
                    child,
                    "duplicate-input",
                    f"input {name!r} is given twice, first on line {named[name]}: give it once",
                )
            else:
                named[name] = _line(child)
                value = self._value(child, name, macro.inputs[name])
                if value is not None:
                    given[name] = value
        missing = [
            f"{name!r} ({each.description}; for example {each.example!r})"
            for name, each in macro.inputs.items()
            if each.required and name not in named
        ]
        if missing:
            self._report(
                element, "missing-input", f"macro {macro.name!r} needs input {', '.join(missing)}"
            )
        return given

    def _value(self, child: etree._Element, name: str, described: Input) -> Given | None:
        value, expr = child.get("value"), child.get("expr")
        if (value is None) == (expr is None):
            self._report(child, "macro-syntax", f"input {name!r} needs either value or expr")
            return None
        if value is not None:
            try:
                return Given(value=described.normalise(value))
            except ValueError as error:
                shown = value if len(value) <= 60 else f"{value[:60]}…"
                self._report(child, "bad-value", f"input {name!r} is {shown!r}: it must be {error}")
                return None
        assert expr is not None
        if not described.expr:
            problem = "takes no expr: give it as value"
        elif not expr.strip():
            problem = "has an empty expr: give an ECMAScript expression"
        elif len(expr) > limits.INPUT_CHARS_MAX:
            problem = f"has an expr over INPUT_CHARS_MAX ({limits.INPUT_CHARS_MAX})"
        else:
            return Given(expr=expr)
        self._report(child, "bad-value", f"input {name!r} {problem}")
        return None

    def _check_shape(self, element: etree._Element, attributes: set[str], right: str) -> None:
        """Report attributes that are not known, and text that would be lost."""
        for attribute in element.attrib:
            if str(attribute) not in attributes:
                self._report(element, "macro-syntax", f"unknown attribute {attribute!r}: {right}")
        texts = [element.text, *(child.tail for child in element)]
        if any(text and text.strip() for text in texts):
            self._report(element, "macro-syntax", f"text is not allowed here: {right}")

    def _unique(self, macro: str) -> str:
        """A name for a form item: no element of the document has it, no other macro gets it."""
        while True:
            self._counts[macro] = self._counts.get(macro, 0) + 1
            name = f"vm_{macro.replace('-', '_')}_{self._counts[macro]}"
            if name not in self._names:
                return name

    def _local_name(self, element: etree._Element) -> str | None:
        """The name of an element of VoiceXML, in its namespace, the document's or none."""
        name = etree.QName(element)
        return (
            name.localname
            if name.namespace in (None, self._namespace, VOICEXML_NAMESPACE)
            else None
        )

    def _inside_macro(self, element: etree._Element) -> bool:
        return any(self._local_name(each) == "macro" for each in element.iterancestors())

    def _report(self, element: etree._Element, rule: str, message: str) -> None:
        self._problems.append(Problem(_line(element), None, rule, message))


def _replace(element: etree._Element, elements: list[etree._Element]) -> None:
    """Put ``elements`` in the place of ``element``, on its line."""
    parent = element.getparent()
    assert parent is not None
    line = min(_line(element), _LINE_MAX)
    for produced in elements:
        for each in produced.iter():
            each.sourceline = line  # type: ignore[assignment]  # settable; the stubs have no type
        produced.tail = None
        element.addprevious(produced)
    elements[-1].tail = element.tail
    parent.remove(element)


def _line(element: etree._Element) -> int:
    return int(cast("int | None", element.sourceline) or 1)


def _suggest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = get_close_matches(name, names, 1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f" (there is {', '.join(names)}){meant}"


def _example(macro: Macro) -> str:
    inputs = "".join(
        f"\n  <input name={quoteattr(name)} value={quoteattr(each.example)}/>"
        for name, each in macro.inputs.items()
        if each.required
    )
    return f"<macro name={quoteattr(macro.name)}>{inputs}\n</macro>"
