"""From bytes to a compiled document: safe parsing, places, preparation.

No network, no document type is loaded, no entity is expanded; size, depth and number of elements
are limited before anything is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from lxml import etree

from vxml_engine.compiler import compile_vxml
from vxml_engine.document import Document
from vxml_engine.errors import DocumentError
from vxml_engine.limits import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_DEPTH_MAX,
    DOCUMENT_ELEMENTS_MAX,
)
from vxml_engine.problems import LocatedError, LocatedErrors, Problem
from vxml_engine.reading import Positions, Reader
from vxml_engine.tree import set_source_line, source_line

Prepare = Callable[[etree._Element], object]
"""Changes a parsed tree in place before it is compiled; may raise a ``LocatedError``.

What it returns is not looked at, so that a function that counts its changes will do as well.
"""

_START_TAG: Final = re.compile(
    r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<!DOCTYPE(?:[^\[>]|\[.*?\]\s*)*>"
    r"|<(?P<tag>[^\s/>!?]+)(?:[^>\"']|\"[^\"]*\"|'[^']*')*>",
    re.DOTALL,
)

_LONG_TAG: Final = re.compile(rb"""<[A-Za-z_:](?:[^>"'\r\n]|"[^"\r\n]*"|'[^'\r\n]*')*+[\r\n"']""")
"""A start tag that goes over a line's end; text that looks like one does no harm."""

_TOO_DEEP: Final = etree.XPath("boolean(" + "/*" * (DOCUMENT_DEPTH_MAX + 1) + ")")
_COUNT: Final = etree.XPath("count(//*)")


def parse_xml(body: bytes, url: str) -> etree._Element:
    """Parse within the limits; return the root element.

    Raises ``DocumentError`` when the bytes are no well-formed XML, declare entities, or go over
    a limit.  Each element's ``sourceline`` is the line where its tag begins.
    """
    return parse_with_places(body, url)[0]


def parse_with_places(body: bytes, url: str) -> tuple[etree._Element, Places]:
    """Parse as ``parse_xml`` does; also tell where the elements stand in the text."""
    root = parse_tree(body, url)
    places = Places(body, root)
    places.correct_lines()
    return root, places


def parse_tree(body: bytes, url: str, *, notes: bool = False) -> etree._Element:
    """Parse within the limits, as ``parse_xml`` does; ``sourceline`` is the XML parser's.

    With ``notes``, comments and processing instructions are kept.
    """
    if len(body) > DOCUMENT_BYTES_MAX:
        message = f"{len(body)} bytes, at most {DOCUMENT_BYTES_MAX} are taken (DOCUMENT_BYTES_MAX)"
        raise DocumentError(url, (Problem(1, 1, "limit", "error", message),))
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=not notes,
        remove_pis=not notes,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise DocumentError(
            url, (Problem(line or 1, column or 1, "xml", "error", error.msg or "not XML"),)
        ) from None
    if root is None:
        raise DocumentError(url, (Problem(1, 1, "xml", "error", "no element in it"),))
    _check_tree(root, url)
    return root


def _check_tree(root: etree._Element, url: str) -> None:
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and list(cast(Any, dtd).entities()):
        raise DocumentError(
            url,
            (Problem(1, 1, "entity", "error", "the document type declares entities; remove them"),),
        )
    if _TOO_DEEP(root):
        message = f"elements nest deeper than {DOCUMENT_DEPTH_MAX} (DOCUMENT_DEPTH_MAX)"
        raise DocumentError(url, (Problem(1, 1, "limit", "error", message),))
    if cast(float, _COUNT(root)) > DOCUMENT_ELEMENTS_MAX:
        message = f"more than {DOCUMENT_ELEMENTS_MAX} elements (DOCUMENT_ELEMENTS_MAX)"
        raise DocumentError(url, (Problem(1, 1, "limit", "error", message),))


class Places:
    """Where the elements' start tags begin.

    The parser knows only the line where a tag ends.  So where a tag goes over several lines, and
    where a column is asked for, the tags are found in the text, in document order.  When the two
    do not agree (rare markup), the parser's line must do.
    """

    def __init__(self, body: bytes, root: etree._Element) -> None:
        self._body = body
        self._encoding = root.getroottree().docinfo.encoding or "utf-8"
        # Kept as they are now: what is prepared may move or replace them.
        self._elements = list(root.iter(etree.Element))
        self._written: frozenset[etree._Element] = frozenset()
        self._text = ""
        self._found: dict[etree._Element, _Tag] | None = None

    def find(self, element: etree._Element) -> tuple[int, int]:
        """Line and column of an element's start tag."""
        tag = self._all().get(element)
        return (source_line(element), 1) if tag is None else (tag.line, tag.column)

    def is_written(self, element: etree._Element) -> bool:
        """Whether the element stands in the text; False when a preparation has put it there."""
        if not self._written:
            self._written = frozenset(self._elements)
        return element in self._written

    def find_in_text(self, element: etree._Element, index: int, word: str) -> tuple[int, int]:
        """Line and column of ``word``, at ``index`` of the text right after the start tag.

        What is written for the text (references, CDATA) may be longer than it: ``word`` is
        looked for from ``index`` on in its line.
        """
        tag = self._all().get(element)
        if tag is None:
            return self.find(element)
        lines = (element.text or "")[:index].split("\n")
        line = tag.end_line + len(lines) - 1
        start = tag.end
        for _ in lines[1:]:
            start = self._text.find("\n", start) + 1
        line_start = self._text.rfind("\n", 0, start) + 1
        line_end = self._text.find("\n", start)
        within = start + len(lines[-1])
        found = self._text.find(word, within, None if line_end < 0 else line_end)
        return line, (found if found >= 0 else within) - line_start + 1

    def correct_lines(self) -> None:
        """Give the elements the line where their tag begins, where that is another one."""
        if b"\0" not in self._body and _LONG_TAG.search(self._body) is None:
            return
        for element, tag in self._all().items():
            set_source_line(element, tag.line)

    def _all(self) -> dict[etree._Element, _Tag]:
        if self._found is None:
            self._found = self._locate()
        return self._found

    def _locate(self) -> dict[etree._Element, _Tag]:
        try:
            text = self._body.decode(self._encoding)
        except (LookupError, UnicodeDecodeError):
            return {}
        self._text = text = text.replace("\r\n", "\n").removeprefix("\ufeff")
        places: dict[etree._Element, _Tag] = {}
        tags = _start_tags(text)
        for element in self._elements:
            tag = next(tags, None)
            if tag is None or tag.name.rpartition(":")[2] != etree.QName(element).localname:
                return {}
            places[element] = tag
        return places


@dataclass(frozen=True, slots=True)
class _Tag:
    """A start tag: where it begins, and the line and the index in the text where it ends."""

    name: str
    line: int
    column: int
    end_line: int
    end: int


def _start_tags(text: str) -> Iterator[_Tag]:
    line, line_start, counted = 1, 0, 0
    for match in _START_TAG.finditer(text):
        if match["tag"] is None:
            continue
        start, end = match.span()
        newlines = text.count("\n", counted, start)
        counted = start
        if newlines:
            line += newlines
            line_start = text.rindex("\n", 0, start) + 1
        end_line = line + text.count("\n", start, end)
        yield _Tag(match["tag"], line, start - line_start + 1, end_line, end)


def prepare_tree(root: etree._Element, url: str, prepare: Prepare | None) -> None:
    """Let ``prepare`` change the tree; raises ``DocumentError`` for what it refuses."""
    if prepare is None:
        return
    try:
        prepare(root)
    except Exception as error:
        match error:
            case LocatedErrors(problems=problems):
                found = tuple(
                    Problem(p.line, p.column or 1, p.rule, "error", p.message) for p in problems
                )
            case LocatedError(line=line):
                found = (Problem(line, 1, "macro", "error", str(error)),)
            case _:
                raise
        raise DocumentError(url, found) from error


def compile_tree(root: etree._Element, positions: Positions) -> tuple[Document | None, Reader]:
    """The compiled document, None when it has errors; and the reader that collected them."""
    reader = Reader(positions)
    document = compile_vxml(root, reader)
    if any(problem.severity == "error" for problem in reader.problems):
        return None, reader
    return document, reader


def load_document(body: bytes, url: str, prepare: Prepare | None = None) -> Document:
    """Parse, prepare and compile; raises ``DocumentError``."""
    root, places = parse_with_places(body, url)
    prepare_tree(root, url, prepare)
    document, reader = compile_tree(root, places.find)
    if document is None:
        raise DocumentError(url, tuple(sorted(reader.problems)))
    return document
