"""What other platforms do not know, what is old, and what properties may be (VoiceXML 2.0 6.3)."""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from vxml_engine.check.subject import Subject, walk
from vxml_engine.errors import ThrownEvent
from vxml_engine.properties import KNOWN, level_property, time_property, whole_property
from vxml_engine.reading import Node

_OURS: Final = frozenset({"connecttimeout"})
"""Properties that only this platform has."""

_NEWER_ELEMENTS: Final = frozenset({"data", "foreach"})
_NEWER_ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "disconnect": frozenset({"namelist"}),
    "grammar": frozenset({"srcexpr"}),
    "mark": frozenset({"nameexpr"}),
    "script": frozenset({"srcexpr"}),
    "transfer": frozenset({"type"}),
}
"""What VoiceXML 2.1 has added."""

_OLD_SESSION: Final = re.compile(r"\bsession\s*\.\s*telephone\b")

_TIMES: Final = frozenset(
    {
        "completetimeout",
        "connecttimeout",
        "fetchaudiodelay",
        "fetchaudiominimum",
        "fetchtimeout",
        "incompletetimeout",
        "interdigittimeout",
        "maxspeechtimeout",
        "termtimeout",
        "timeout",
    }
)
_LEVELS: Final = frozenset({"confidencelevel", "sensitivity", "speedvsaccuracy"})
_WHOLE: Final = re.compile(r"maxnbest|\w+(maxage|maxstale)")
_HINT: Final = re.compile(r"\w+fetchhint")
_CHOICES: Final[dict[str, frozenset[str]]] = {
    "bargein": frozenset({"true", "false"}),
    "bargeintype": frozenset({"speech", "hotword"}),
    "recordutterance": frozenset({"true", "false"}),
}
_WORDS: Final[dict[str, frozenset[str]]] = {
    "inputmodes": frozenset({"dtmf", "voice"}),
    "universals": frozenset({"all", "none", "help", "cancel", "exit"}),
}


def check_portability(subject: Subject) -> None:
    """Report what works here and perhaps nowhere else, and properties with wrong values."""
    if etree.QName(subject.root.element).namespace is None:
        message = 'add xmlns="http://www.w3.org/2001/vxml"'
        subject.found.add("namespace", subject.root, message)
    old = subject.root.get("version") == "2.0"
    for node in walk(subject.root):
        if node.name == "property":
            _check_property(subject, node)
        if subject.is_written(node):
            _check_ours(subject, node)
            _check_old(subject, node)
            if old:
                _check_newer(subject, node)


def _check_ours(subject: Subject, node: Node) -> None:
    if node.name.startswith("vm:"):
        message = f"only this platform has <{node.name}>"
        subject.found.add("not-portable", node, message)
    for name in node.attributes:
        if name.startswith("vm:"):
            message = f"only this platform has the attribute {name}"
            subject.found.add("not-portable", node, message)
    if node.name == "grammar" and node.get("tag-format") is None and _has_tags(node):
        message = 'platforms read tags without a tag-format differently; write "semantics/1.0"'
        subject.found.add("not-portable", node, message)


def _has_tags(grammar: Node) -> bool:
    return any(etree.QName(each).localname == "tag" for each in grammar.element.iter(etree.Element))


def _check_old(subject: Subject, node: Node) -> None:
    if node.name == "transfer" and node.get("bridge") is not None:
        kind = "bridge" if node.get("bridge") == "true" else "blind"
        if subject.root.get("version") != "2.0":
            subject.found.add("deprecated", node, f'write type="{kind}" instead of bridge')
    for name, value in node.attributes.items():
        if (name == "cond" or name.endswith("expr")) and _OLD_SESSION.search(value):
            message = "session.telephone is of VoiceXML 1.0; write session.connection"
            subject.found.add("deprecated", node, message)
    if node.name == "value" and (node.get("mode") or node.get("recsrc")):
        subject.found.add("deprecated", node, "mode and recsrc are of VoiceXML 1.0 and not used")


def _check_newer(subject: Subject, node: Node) -> None:
    newer = [f"<{node.name}>"] if node.name in _NEWER_ELEMENTS else []
    attributes = _NEWER_ATTRIBUTES.get(node.name, frozenset())
    newer += [f"{name} of <{node.name}>" for name in sorted(attributes & node.attributes.keys())]
    for what in newer:
        message = f'{what} is of VoiceXML 2.1; write version="2.1"'
        subject.found.add("version-feature", node, message)


# --- Properties


def _check_property(subject: Subject, node: Node) -> None:
    name, value = node.get("name", ""), node.get("value", "")
    # What is neither known nor has a dot in its name is told as having no effect.
    own = name in _OURS or (name not in KNOWN and "." in name)
    if own and subject.is_written(node):
        subject.found.add("not-portable", node, f"'{name}' is a platform's own property")
    if (wrong := _wrong_value(name, value)) is not None:
        subject.found.add("property-value", node, wrong)


def _wrong_value(name: str, value: str) -> str | None:
    try:
        if name in _TIMES:
            time_property(name, value)
        elif name in _LEVELS:
            level_property(name, value)
        elif _WHOLE.fullmatch(name):
            whole_property(name, value)
    except ThrownEvent as thrown:
        return thrown.message
    allowed = _CHOICES.get(name)
    if _HINT.fullmatch(name):
        allowed = frozenset({"prefetch", "safe"})
    if allowed is not None and value.strip() not in allowed:
        return f"property {name}: '{value}' is not one of {', '.join(sorted(allowed))}"
    words = _WORDS.get(name)
    if words is not None and not frozenset(value.split()) <= words:
        return f"property {name}: '{value}' has words other than {', '.join(sorted(words))}"
    return None
