"""What the caller can do: fields that nobody can answer, keys, prompts that are never heard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vxml_engine.check.flow import lead_of, leaving
from vxml_engine.check.reach import takes
from vxml_engine.check.subject import DIALOGS, Subject, walk
from vxml_engine.grammar.abnf import is_abnf
from vxml_engine.reading import Node
from vxml_engine.vocabulary import FORM_ITEMS, HANDLERS

_LISTENING: Final = frozenset({"field", "record", "initial"})
_ANSWERING: Final = frozenset({"grammar", "option"})
_AGAIN: Final = frozenset({"clear", "throw", "script", "link"})
"""Elements by which a form item may be visited more often than silence and wrong keys do."""


def check_inputs(subject: Subject) -> None:
    """Report what the caller cannot do or never hears."""
    anywhere = any(_is_wide(dialog) for dialog in subject.dialogs)
    outside = [node for node in subject.root.nodes() if node.name not in DIALOGS]
    again = subject.root.get("application") is not None or _any_again(outside)
    handlers = [node for node in outside if node.name in HANDLERS]
    for dialog in subject.dialogs:
        grammars = [node for node in dialog.nodes() if node.name == "grammar"]
        items = [node for node in dialog.nodes() if node.name in _LISTENING]
        for item in items:
            if item.name == "field":
                _check_field(subject, item, grammars, anywhere=anywhere)
        if dialog.name == "menu":
            _check_menu(subject, dialog)
            items = [dialog]
        if not again and not _any_again([dialog]):
            outer = [*_handlers(dialog), *handlers]
            for item in items:
                inner = [] if item is dialog else list(_handlers(item))
                _check_counts(subject, item, inner + outer)
    _check_content_prompts(subject)


def _is_wide(dialog: Node) -> bool:
    return dialog.get("scope") == "document" or any(
        node.get("scope") == "document" for node in dialog.nodes() if node.name == "grammar"
    )


# --- Answers


def _check_field(subject: Subject, item: Node, grammars: list[Node], *, anywhere: bool) -> None:
    """``grammars`` are the form's own; ``anywhere``: others are active in every form."""
    children = item.nodes()
    if item.get("type") is not None or any(node.name in _ANSWERING for node in children):
        _check_keys(subject, [node for node in children if node.name == "option"])
        if not any(map(_takes_keys, (item, *children, *grammars))):
            message = "the field has no grammar that a key could match"
            subject.found.add("no-keys", item, message)
        return
    if not (grammars or anywhere) or item.get("modal") == "true":
        name = f" '{item.get('name')}'" if item.get("name") else ""
        message = f"the field{name} has no grammar, option or type, so nothing can fill it"
        subject.found.add("unanswerable", item, message)


def _takes_keys(node: Node) -> bool:
    """Whether a field, an option or a grammar can be answered with keys, as far as is known."""
    match node.name:
        case "field":
            return node.get("type") is not None
        case "option":
            return node.get("dtmf") is not None
        case "grammar":
            mode, address = node.get("mode"), node.get("src") or node.get("srcexpr")
            text = "".join(piece for piece in node.pieces if isinstance(piece, str))
            in_text = is_abnf(text) and "mode dtmf" in " ".join(text.split())
            elsewhere = address is not None and mode is None and "builtin:" not in address
            return mode == "dtmf" or in_text or elsewhere or "builtin:dtmf" in (address or "")
        case _:
            return False


def _check_menu(subject: Subject, menu: Node) -> None:
    choices = [node for node in menu.nodes() if node.name == "choice"]
    if not choices:
        subject.found.add("unanswerable", menu, "the menu has no choice, so nothing can answer it")
        return
    _check_keys(subject, choices)
    with_grammar = any(node.name == "grammar" for choice in choices for node in choice.nodes())
    if not (with_grammar or menu.get("dtmf") == "true" or any(c.get("dtmf") for c in choices)):
        subject.found.add("no-keys", menu, 'no choice of the menu has a key; add dtmf="true"')


def _check_keys(subject: Subject, choices: list[Node]) -> None:
    """Of two with the same keys, the second is never chosen."""
    seen: dict[str, int] = {}
    for choice in choices:
        keys = "".join((choice.get("dtmf") or "").split())
        if keys in seen:
            message = f"the keys {keys} are those of line {seen[keys]}, which is chosen"
            subject.found.add("duplicate-key", choice, message)
        elif keys:
            seen[keys] = choice.line


# --- Prompts


def _check_content_prompts(subject: Subject) -> None:
    """``count`` is looked at in form items alone (VoiceXML 2.0 4.1.6)."""
    for parent in walk(subject.root):
        if parent.name in DIALOGS | FORM_ITEMS and parent.name != "block":
            continue
        for node in parent.nodes():
            if node.name == "prompt" and node.get("count", "1") != "1":
                message = f"count is not looked at in <{parent.name}>: this is always said"
                subject.found.add("prompt-count", node, message)


def _check_counts(subject: Subject, item: Node, handlers: list[Node]) -> None:
    """A form item is visited again after silence and wrong input, until a handler leaves."""
    prompts = [node for node in item.nodes() if node.name == "prompt"]
    if max((_count(node) for node in prompts), default=1) == 1:
        return
    visits = 1
    for event in ("noinput", "nomatch"):
        last = _leaving_count(handlers, event)
        if last is None:
            return
        visits += last - 1
    for node in prompts:
        count = _count(node)
        if count > visits:
            message = f"count={count} is never reached: the form is left after {visits} prompts"
            if visits == 1:
                message = f"count={count} is never reached: the form is left after the first"
            subject.found.add("unreachable-prompt", node, message)


def _any_again(nodes: list[Node]) -> bool:
    return any(_visits_again(each) for node in nodes for each in (node, *walk(node)))


def _visits_again(node: Node) -> bool:
    """Whether an element may lead to one more visit of an item, or take up another event."""
    if node.name == "assign" or node.get("eventexpr") is not None:
        return True
    if node.name == "property":
        return node.get("name") == "universals"
    if node.name == "goto":
        return node.get("nextitem") is not None or node.get("expritem") is not None
    return node.name in _AGAIN or (node.name == "choice" and node.get("event") is not None)


def _handlers(node: Node) -> Iterator[Node]:
    return (child for child in node.nodes() if child.name in HANDLERS)


def _leaving_count(handlers: list[Node], event: str) -> int | None:
    """At which count of an event the form is certainly left; None when it is not.

    ``handlers`` come innermost scope first; the highest count that is reached goes before.
    """
    taking = [handler for handler in handlers if takes(handler, event)]
    for count in sorted({_count(handler) for handler in taking}):
        chosen = next(handler for handler in taking if _count(handler) == count)
        if chosen.get("cond") is not None:
            return None
        left = leaving(chosen.pieces)
        lead = None if left is None else lead_of(left)
        if lead is not None and lead.kind in ("goto", "exit", "disconnect"):
            return count
    return None


def _count(node: Node) -> int:
    return int(node.get("count", "1"))
