"""Where an interpretation goes when it leaves its place, and what it reports at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urldefrag, urljoin

from vxml_engine.document import Destination, Document, Form

Reason = Literal["exit", "disconnect", "hangup", "error", "end"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document and the address it came from (without fragment)."""

    url: str
    document: Document

    def resolve(self, address: str) -> str:
        """An absolute address, by the document's ``xml:base`` or its own address."""
        return urljoin(urljoin(self.url, self.document.base or ""), address)


@dataclass(frozen=True, slots=True)
class Understood:
    """An input that matched: what it means, as ``application.lastresult$`` has it.

    ``destination`` is where a choice or a link leads.
    """

    results: tuple[dict[str, Any], ...]
    destination: Destination | None = None

    @property
    def interpretation(self) -> Any:
        return self.results[0]["interpretation"]


@dataclass(frozen=True, slots=True)
class ToDialog:
    """Go to a dialog; ``fresh``: its document begins anew.

    ``root`` is the application's root document, None when the document is its own.  ``heard`` is
    the input that leads there, when a document-wide grammar of the dialog matched.
    """

    document: Loaded
    root: Loaded | None
    form: Form
    fresh: bool
    heard: Understood | None = None


@dataclass(frozen=True, slots=True)
class ToItem:
    """``<goto nextitem>``."""

    name: str


@dataclass(frozen=True, slots=True)
class Returned:
    """``<return>``: with ``event``, it is thrown in the calling dialog."""

    event: str | None
    message: str


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """An event nobody caught: where it was thrown."""

    event: str
    message: str
    url: str
    line: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The session ends."""

    reason: Reason
    value: Any = None
    error: ErrorReport | None = None


Transition = ToDialog | ToItem | Returned | Finished


def split_fragment(address: str) -> tuple[str, str | None]:
    """The address and its fragment, None when it has none."""
    url, fragment = urldefrag(address)
    return url, fragment or None
