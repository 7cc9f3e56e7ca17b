"""Handlers of events that are never thrown (VoiceXML 2.0 5.2.6)."""

from __future__ import annotations

from typing import Final

from vxml_engine.check.flow import lead_of
from vxml_engine.check.subject import Subject, meant, walk
from vxml_engine.events import prefixes
from vxml_engine.reading import Node

STANDARD_EVENTS: Final = frozenset(
    {
        "cancel",
        "connection.disconnect.hangup",
        "connection.disconnect.transfer",
        "error.badfetch",
        "error.badfetch.http",
        "error.badfetch.protocol",
        "error.connection.baddestination",
        "error.connection.noauthorization",
        "error.connection.noresource",
        "error.connection.noroute",
        "error.connection.protocol",
        "error.noauthorization",
        "error.noresource",
        "error.semantic",
        "error.unsupported.builtin",
        "error.unsupported.format",
        "error.unsupported.grammar",
        "error.unsupported.language",
        "error.unsupported.objectname",
        "error.unsupported.transfer.blind",
        "error.unsupported.transfer.bridge",
        "error.unsupported.transfer.consultation",
        "error.unsupported.uri",
        "exit",
        "help",
        "maxspeechtimeout",
        "noinput",
        "nomatch",
    }
)
"""The events of VoiceXML 2.1."""

_STANDARD_BEGINNINGS: Final = frozenset(
    beginning for event in STANDARD_EVENTS for beginning in prefixes(event)
)

_OPEN: Final = (
    "connection.disconnect.",
    "error.badfetch.",
    "error.connection.protocol.",
    "error.unsupported.",
)
"""What follows these is the platform's: a status, the name of an element."""

_OLD: Final = {
    "telephone.disconnect": "connection.disconnect",
    "telephone.disconnect.hangup": "connection.disconnect.hangup",
    "telephone.disconnect.transfer": "connection.disconnect.transfer",
}


def check_events(subject: Subject) -> None:
    """Report handlers whose event nothing throws."""
    thrown = _Thrown(subject)
    outside = {id(node) for node in subject.root.nodes()}
    for node in walk(subject.root):
        if node.name != "catch":
            continue
        own_scope = id(node) not in outside
        for written in (node.get("event") or "").split():
            name = written.removesuffix(".")
            if name and name not in _STANDARD_BEGINNINGS and not name.startswith(_OPEN):
                _check_name(subject, node, name, thrown, own_scope=own_scope)


class _Thrown:
    """The events that a document throws itself."""

    def __init__(self, subject: Subject) -> None:
        self.beginnings: set[str] = set()
        self.is_open = False
        nodes = list(walk(subject.root))
        if subject.application is not None:
            nodes += walk(subject.application)
        for node in nodes:
            lead = lead_of(node)
            if lead is None:
                continue
            if lead.is_event:
                self.beginnings.update(*map(prefixes, lead.texts))
                self.is_open = self.is_open or lead.computed is not None
            elif lead.kind == "subdialog":
                # What another document returns is not known here.
                addresses = [subject.address(text) for text in lead.texts]
                self.is_open |= not addresses or not all(address.own for address in addresses)


def _check_name(
    subject: Subject, node: Node, name: str, thrown: _Thrown, *, own_scope: bool
) -> None:
    if name in thrown.beginnings or subject.found.full:
        return
    if (newer := _OLD.get(name)) is not None:
        subject.found.add("deprecated", node, f"'{name}' is of VoiceXML 1.0; write {newer}")
        return
    question = meant(name, _STANDARD_BEGINNINGS | thrown.beginnings - {""}, 0.8)
    reserved = name.startswith(("error.", "connection.")) and not name.startswith("error.com.")
    # A document's handlers may be there for what its leaf documents throw.
    if not question and not reserved and (thrown.is_open or not own_scope):
        return
    subject.found.add("unknown-event", node, f"nothing throws '{name}'{question}")
