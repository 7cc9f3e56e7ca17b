"""Where a document leads: transitions, and which content is sure to leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from vxml_engine.check.references import possible_texts
from vxml_engine.reading import Node

LeadKind = Literal[
    "goto",
    "item",
    "submit",
    "choice",
    "link",
    "subdialog",
    "throw",
    "return",
    "exit",
    "disconnect",
    "transfer",
]

LEAVING: Final = frozenset({"goto", "submit", "exit", "return", "disconnect", "throw"})
"""Elements after which nothing of the same content is executed."""

_ADDRESSES: Final[dict[str, tuple[LeadKind, str, str]]] = {
    "goto": ("goto", "next", "expr"),
    "submit": ("submit", "next", "expr"),
    "choice": ("choice", "next", "expr"),
    "link": ("link", "next", "expr"),
    "subdialog": ("subdialog", "src", "srcexpr"),
    "transfer": ("transfer", "dest", "destexpr"),
    "vm:transfer": ("transfer", "dest", "destexpr"),
}


@dataclass(frozen=True, slots=True)
class Lead:
    """An element that leads somewhere.

    ``texts`` are the addresses, form items or events it may lead to, as they are written;
    ``computed`` is the expression when they are only known at run time.  ``is_event``: what it
    leads to is an event.
    """

    node: Node
    kind: LeadKind
    texts: tuple[str, ...]
    computed: str | None = None
    is_event: bool = False


def lead_of(node: Node) -> Lead | None:
    """Where an element leads; None when it leads nowhere."""
    get = node.get
    match node.name:
        case "goto" if get("nextitem") is not None or get("expritem") is not None:
            return _lead(node, "item", "nextitem", "expritem")
        case "throw":
            return _lead(node, "throw", "event", "eventexpr", is_event=True)
        case "choice" | "link" if get("event") is not None or get("eventexpr") is not None:
            kind: LeadKind = "choice" if node.name == "choice" else "link"
            return _lead(node, kind, "event", "eventexpr", is_event=True)
        case "return":
            return _lead(node, "return", "event", "eventexpr", is_event=True)
        case "exit":
            return Lead(node, "exit", ())
        case "disconnect":
            return Lead(node, "disconnect", ())
        case name if name in _ADDRESSES:
            return _lead(node, *_ADDRESSES[name])
        case _:
            return None


def _lead(
    node: Node, kind: LeadKind, plain: str, expression: str, *, is_event: bool = False
) -> Lead:
    written, source = node.get(plain), node.get(expression)
    if written is not None:
        return Lead(node, kind, (written,), is_event=is_event)
    if source is None:
        return Lead(node, kind, (), is_event=is_event)
    texts = possible_texts(source)
    if texts is None:
        return Lead(node, kind, (), source, is_event=is_event)
    return Lead(node, kind, texts, is_event=is_event)


def branches(node: Node) -> list[tuple[str | None, list[str | Node]]]:
    """The parts of an ``<if>``: the condition (None: ``<else>``) and the content."""
    found: list[tuple[str | None, list[str | Node]]] = [(node.get("cond", ""), [])]
    for piece in node.pieces:
        if not isinstance(piece, str) and piece.name in ("elseif", "else"):
            cond = piece.get("cond", "") if piece.name == "elseif" else None
            found.append((cond, []))
        else:
            found[-1][1].append(piece)
    return found


def leaving(pieces: Sequence[str | Node]) -> Node | None:
    """The first element of a content after which it is certain not to go on."""
    for piece in pieces:
        if isinstance(piece, str):
            continue
        if piece.name in LEAVING:
            return piece
        if piece.name == "if":
            parts = branches(piece)
            if parts[-1][0] is None and all(leaving(content) for _, content in parts):
                return piece
    return None
