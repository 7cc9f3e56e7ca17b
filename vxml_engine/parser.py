"""From bytes to a compiled document: safe parsing, places, preparation, checking.

No network, no document type is loaded, no entity is expanded; size, depth and number of elements
are limited before anything is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from lxml import etree

from vxml_engine.compiler import compile_vxml
from vxml_engine.document import Document
from vxml_engine.ecmascript import Ecmascript
from vxml_engine.errors import DocumentError
from vxml_engine.limits import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_DEPTH_MAX,
    DOCUMENT_ELEMENTS_MAX,
    PROBLEMS_MAX,
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
    return _parse(body, url)[0]


def _parse(body: bytes, url: str) -> tuple[etree._Element, _Places]:
    root = parse_tree(body, url)
    places = _Places(body, root)
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


class _Places:
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
        self._found: dict[etree._Element, tuple[int, int]] | None = None

    def find(self, element: etree._Element) -> tuple[int, int]:
        """Line and column of an element's start tag."""
        return self._all().get(element) or (source_line(element), 1)

    def correct_lines(self) -> None:
        """Give the elements the line where their tag begins, where that is another one."""
        if b"\0" not in self._body and _LONG_TAG.search(self._body) is None:
            return
        for element, (line, _) in self._all().items():
            set_source_line(element, line)

    def _all(self) -> dict[etree._Element, tuple[int, int]]:
        if self._found is None:
            self._found = self._locate()
        return self._found

    def _locate(self) -> dict[etree._Element, tuple[int, int]]:
        try:
            text = self._body.decode(self._encoding)
        except (LookupError, UnicodeDecodeError):
            return {}
        text = text.replace("\r\n", "\n").removeprefix("\ufeff")
        places: dict[etree._Element, tuple[int, int]] = {}
        tags = _start_tags(text)
        for element in self._elements:
            found = next(tags, None)
            if found is None or found[0].rpartition(":")[2] != etree.QName(element).localname:
                return {}
            places[element] = found[1]
        return places


def _start_tags(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    line, line_start = 1, 0
    for match in _START_TAG.finditer(text):
        if match["tag"] is None:
            continue
        newlines = text.count("\n", line_start, match.start())
        if newlines:
            line += newlines
            line_start = text.rindex("\n", 0, match.start()) + 1
        yield match["tag"], (line, match.start() - line_start + 1)


def _prepare(root: etree._Element, url: str, prepare: Prepare | None) -> None:
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


def _compile(root: etree._Element, positions: Positions) -> tuple[Document | None, Reader]:
    reader = Reader(positions)
    document = compile_vxml(root, reader)
    if any(problem.severity == "error" for problem in reader.problems):
        return None, reader
    return document, reader


def load_document(body: bytes, url: str, prepare: Prepare | None = None) -> Document:
    """Parse, prepare and compile; raises ``DocumentError``."""
    root, places = _parse(body, url)
    _prepare(root, url, prepare)
    document, reader = _compile(root, places.find)
    if document is None:
        raise DocumentError(url, tuple(sorted(reader.problems)))
    return document


def check(body: bytes, url: str, prepare: Prepare | None = None) -> list[Problem]:
    """Every problem of a document, by line: what keeps it from running, and what it will meet.

    Beyond what ``load_document`` refuses: syntax of all ECMAScript, references within the
    document, elements that are not supported, grammars nobody listens to.
    """
    try:
        root, places = _parse(body, url)
        _prepare(root, url, prepare)
    except DocumentError as error:
        return list(error.problems)
    _, reader = _compile(root, places.find)
    ecmascript = Ecmascript()
    try:
        for expression in reader.expressions:
            fault = ecmascript.syntax_error(expression.source, program=expression.program)
            if fault is not None:
                reader.problem(expression.node, "ecmascript", f"{fault}: {expression.source}")
    finally:
        ecmascript.close()
    return sorted(set(reader.problems))[:PROBLEMS_MAX]
