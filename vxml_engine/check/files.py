"""References to other files and documents, and to dialogs in them."""

from __future__ import annotations

from typing import Final

from vxml_engine.check.flow import lead_of
from vxml_engine.check.subject import DIALOGS, Address, Subject, read_document, walk
from vxml_engine.reading import Node

_STATIC: Final = frozenset({".vxml", ".xml"})
"""Files that are what they seem: others may be programs on a server."""
_LEADING: Final = frozenset({"goto", "choice", "link", "subdialog"})


def check_files(subject: Subject) -> None:
    """Report files that are not there, dialogs they do not have, parameters nobody takes."""
    others = _Others(subject)
    written = subject.root.get("application")
    if written is not None and subject.is_missing(subject.address(written)):
        _missing(subject, subject.root, written)
    for node in walk(subject.root):
        match node.name:
            case "script" if (src := node.get("src")) is not None:
                if subject.is_missing(subject.address(src)):
                    _missing(subject, node, src)
            case "audio" if (src := node.get("src")) is not None:
                _check_audio(subject, node, src)
            case "data" if (src := node.get("src")) is not None:
                address = subject.address(src)
                if address.suffix in (".xml", ".json") and subject.is_missing(address):
                    _missing(subject, node, src)
            case name if name in _LEADING:
                _check_lead(subject, node, others)


def _missing(subject: Subject, node: Node, written: str) -> None:
    subject.found.add("missing-file", node, f"there is no file '{written}'")


def _check_audio(subject: Subject, node: Node, src: str) -> None:
    address = subject.address(src)
    # A name without an ending may be a program's, as may one with a query.
    if address.suffix and subject.is_missing(address):
        instead = "; its content is said instead" if node.pieces else ""
        subject.found.add("missing-audio", node, f"there is no file '{src}'{instead}")


class _Others:
    """The documents near by, and this one, by address; each is read once."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._own = _Dialogs(subject.root)
        self._read: dict[str, _Dialogs | None] = {}

    def at(self, address: Address) -> _Dialogs | None:
        """The dialogs of the document at an address; None when it cannot be looked at."""
        if address.own:
            return self._own
        if address.url not in self._read:
            root = read_document(self._subject, address)
            self._read[address.url] = None if root is None else _Dialogs(root)
        return self._read[address.url]


class _Dialogs:
    """The dialogs of a document, by id; None for the first."""

    def __init__(self, root: Node) -> None:
        self._by_id: dict[str | None, Node] = {}
        for node in root.nodes():
            if node.name in DIALOGS:
                self._by_id.setdefault(None, node)
                if (name := node.get("id")) is not None:
                    self._by_id.setdefault(name, node)

    def get(self, name: str | None) -> Node | None:
        return self._by_id.get(name)


def _check_lead(subject: Subject, node: Node, others: _Others) -> None:
    lead = lead_of(node)
    if lead is None or lead.is_event or lead.kind == "item":
        return
    for text in lead.texts:
        address = subject.address(text)
        if not address.own and address.suffix not in _STATIC:
            continue
        if subject.is_missing(address):
            _missing(subject, node, text)
            continue
        dialogs = others.at(address)
        if dialogs is None:
            continue
        dialog = dialogs.get(address.fragment)
        if dialog is not None:
            if node.name == "subdialog":
                _check_parameters(subject, node, dialog)
        elif address.fragment is not None and not _is_read(node, text):
            where = "the document" if address.own else address.file_name
            message = f"{where} has no dialog '{address.fragment}'"
            subject.found.add("unknown-dialog", node, message)


def _is_read(node: Node, text: str) -> bool:
    """Whether the document's reader has looked at the address: those that are only a name."""
    return text.startswith("#") and node.get("expr") is None and node.get("srcexpr") is None


def _check_parameters(subject: Subject, subdialog: Node, dialog: Node) -> None:
    """Each ``<param>`` is taken by a ``<var>`` of that name (VoiceXML 2.0 2.3.4)."""
    given = [node for node in subdialog.nodes() if node.name == "param"]
    if not given:
        return
    taken = {node.get("name") for node in dialog.nodes() if node.name == "var"}
    for node in given:
        name = node.get("name")
        if name not in taken:
            message = f"the subdialog has no <var name='{name}'> that takes this"
            subject.found.add("unknown-param", node, message)


def entries(subject: Subject) -> list[tuple[str, str | None]]:
    """The documents that this one leads to: address and dialog (None: the first).

    The application's root is one of them.
    """
    found: list[tuple[str, str | None]] = []
    for node in walk(subject.root):
        lead = lead_of(node)
        if lead is None or lead.is_event or lead.kind in ("item", "transfer"):
            continue
        for text in lead.texts:
            address = subject.address(text)
            if not address.own:
                found.append((address.url, address.fragment))
    return found
