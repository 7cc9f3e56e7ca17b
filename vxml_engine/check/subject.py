"""The document under check: its elements, its neighbours, and what was found in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final, Protocol
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import etree

from vxml_engine.check.rules import RULES
from vxml_engine.errors import DocumentError
from vxml_engine.limits import PROBLEMS_MAX, WORDS_COMPARED_MAX
from vxml_engine.parser import Places, parse_tree
from vxml_engine.problems import Problem
from vxml_engine.reading import Node, Reader, element_name
from vxml_engine.tree import source_line

DIALOGS: Final = frozenset({"form", "menu"})


class Folder(Protocol):
    """The files around a document, by their ``file:`` address."""

    def has(self, url: str) -> bool:
        """Whether there is a file."""

    def read(self, url: str) -> bytes | None:
        """What is in the file; None when it cannot be read."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the world around a document.

    ``folder`` is None when its neighbours cannot be looked at.  ``entries`` are the ids of
    dialogs that other documents lead to; ``is_root``: others name it as their application.
    """

    folder: Folder | None = None
    entries: frozenset[str] = frozenset()
    is_root: bool = False


@dataclass(slots=True)
class Findings:
    """Collects problems, at most as many as anybody reads."""

    places: Places
    problems: list[Problem] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether no more problems are taken."""
        return len(self.problems) >= PROBLEMS_MAX

    def add(self, rule: str, where: Node | etree._Element, message: str) -> None:
        """Note that ``where`` breaks ``rule``."""
        element = where.element if isinstance(where, Node) else where
        self.add_at(rule, self.places.find(element), message)

    def add_at(self, rule: str, place: tuple[int, int], message: str) -> None:
        """Note that something at a line and column breaks ``rule``."""
        if not self.full:
            line, column = place
            self.problems.append(Problem(line, column, rule, RULES[rule].severity, message))


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the document, resolved.

    ``own``: within the document itself.  ``near``: a file beside it, that can be looked at.
    """

    url: str
    fragment: str | None
    own: bool
    near: bool

    @property
    def suffix(self) -> str:
        """How the file's name ends, in small letters: ``.vxml``."""
        return PurePosixPath(urlsplit(self.url).path).suffix.lower()

    @property
    def file_name(self) -> str:
        """The name without its folders."""
        return PurePosixPath(urlsplit(self.url).path).name


class Subject:
    """A valid document, as the rules look at it."""

    def __init__(
        self, element: etree._Element, url: str, places: Places, surroundings: Surroundings
    ) -> None:
        self.url = url
        self.root = Reader(places.find).read(element, "vxml")
        self.found = Findings(places)
        self.surroundings = surroundings
        self.dialogs = [node for node in self.root.nodes() if node.name in DIALOGS]

    @cached_property
    def ids(self) -> dict[str, Node]:
        """The dialogs that have an id."""
        return {name: node for node in self.dialogs if (name := node.get("id")) is not None}

    def is_written(self, node: Node) -> bool:
        """Whether the element stands in the file, and was not put there by a macro."""
        return self.found.places.is_written(node.element)

    def address(self, written: str, base: str = "") -> Address:
        """Resolve an address by the document's ``xml:base`` or its own address."""
        if written.startswith("#"):
            return Address(self.url, written[1:] or None, own=True, near=False)
        start = urljoin(self.url, base or self.root.get("xml:base") or "")
        whole = urljoin(start, written)
        url, fragment = urldefrag(whole)
        parts = urlsplit(url)
        # What begins with a slash means a server's root, not the disk's.
        near = (
            self.surroundings.folder is not None
            and parts.scheme == "file"
            and not parts.query
            and not written.startswith("/")
            and "?" not in written
        )
        own = url == self.url and "?" not in written
        return Address(url, fragment or None, own, near and not own)

    def read_near(self, address: Address) -> bytes | None:
        """What is in a file near by; None when it is not near, or not there."""
        folder = self.surroundings.folder
        return folder.read(address.url) if address.near and folder is not None else None

    def is_missing(self, address: Address) -> bool:
        """Whether a file near by is not there."""
        folder = self.surroundings.folder
        return address.near and folder is not None and not folder.has(address.url)

    @cached_property
    def application(self) -> Node | None:
        """The application's root document, when it can be looked at."""
        written = self.root.get("application")
        return None if written is None else read_document(self, self.address(written))


def read_document(subject: Subject, address: Address) -> Node | None:
    """Another document near by; None when it is not there or no valid VoiceXML."""
    body = subject.read_near(address)
    if body is None:
        return None
    try:
        element = parse_tree(body, address.url)
    except DocumentError:
        return None
    if element_name(element) != "vxml":
        return None
    return Reader(lambda other: (source_line(other), 1)).read(element, "vxml")


def meant(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A question for the nearest of the known words, as the end of a message; or nothing."""
    words = set(known)
    if len(words) > WORDS_COMPARED_MAX:
        return ""
    close = get_close_matches(word, sorted(words), 1, cutoff)
    return f"; did you mean '{close[0]}'?" if close else ""


def walk(node: Node) -> Iterator[Node]:
    """The elements below ``node``, in document order; a grammar's own are left out."""
    for child in node.nodes():
        yield child
        if child.name != "grammar":
            yield from walk(child)
