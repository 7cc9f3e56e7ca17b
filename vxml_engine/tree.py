"""Small questions to an element of the parsed tree."""

from typing import Any, cast

from lxml import etree


def local_name(element: etree._Element) -> str:
    """The element's name without its namespace."""
    return etree.QName(element).localname


def source_line(element: etree._Element) -> int:
    """The line of the element, 0 when it is not from a source."""
    line: int | None = cast(Any, element).sourceline  # the stubs leave its type open
    return line or 0


def set_source_line(element: etree._Element, line: int) -> None:
    """Correct the line of the element."""
    cast(Any, element).sourceline = line
