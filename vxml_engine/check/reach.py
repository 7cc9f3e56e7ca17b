"""What is never reached, and what never ends (VoiceXML 2.0 1.3.1, 2.1.6, 5.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vxml_engine.check.flow import Lead, branches, lead_of, leaving
from vxml_engine.check.subject import DIALOGS, Subject, walk
from vxml_engine.events import prefixes
from vxml_engine.reading import Node
from vxml_engine.vocabulary import FORM_ITEMS, HANDLERS

_CONTENT: Final = HANDLERS | {"block", "filled", "foreach"}
_TO_ADDRESS: Final = frozenset({"goto", "submit", "choice", "link", "subdialog"})


def check_reach(subject: Subject) -> None:
    """Report dialogs, form items and content that are never reached, and endless loops."""
    leads = {id(node): list(_leads_in(node)) for node in subject.root.nodes()}
    _check_dialogs(subject, leads)
    by_name = _has_item_gotos(subject)
    for dialog in subject.dialogs:
        if not by_name:
            _check_items(subject, dialog)
        _check_content(subject, dialog)
    for node in subject.root.nodes():
        if node.name in HANDLERS:
            _check_content_of(subject, node)
            _check_content(subject, node)
    _check_loops(subject)
    _check_rethrows(subject)


def _leads_in(node: Node) -> Iterator[Lead]:
    for each in (node, *walk(node)):
        if (lead := lead_of(each)) is not None:
            yield lead


# --- Dialogs


def _check_dialogs(subject: Subject, leads: dict[int, list[Lead]]) -> None:
    """From the first dialog, what others lead to, and what may be spoken anywhere."""
    waiting = list(subject.dialogs[:1])
    waiting += [node for node in subject.dialogs if _is_entry(subject, node)]
    always: list[Lead] = []
    for node in subject.root.nodes():
        if node.name not in DIALOGS:
            always += leads[id(node)]
    if subject.application is not None:
        always += _leads_in(subject.application)
    reached: set[int] = set()
    if not _follow(subject, always, waiting):
        return
    while waiting:
        dialog = waiting.pop()
        if id(dialog) in reached:
            continue
        reached.add(id(dialog))
        if not _follow(subject, leads[id(dialog)], waiting):
            return
    for dialog in subject.dialogs:
        if id(dialog) not in reached:
            name = f"'{dialog.get('id')}'" if dialog.get("id") else "without an id"
            message = f"nothing leads to the {dialog.name} {name}"
            subject.found.add("unreachable-dialog", dialog, message)


def _is_entry(subject: Subject, dialog: Node) -> bool:
    """Whether a dialog may begin without anything in its document that leads there."""
    if dialog.get("id") in subject.surroundings.entries or dialog.get("scope") == "document":
        return True
    # A subdialog is called from anywhere.
    return any(
        node.name == "return" or (node.name == "grammar" and node.get("scope") == "document")
        for node in walk(dialog)
    )


def _follow(subject: Subject, leads: Sequence[Lead], waiting: list[Node]) -> bool:
    """Add the dialogs that are led to; False when that is only known at run time."""
    for lead in leads:
        if lead.kind not in _TO_ADDRESS or lead.is_event:
            continue
        if lead.computed is not None:
            return False
        for text in lead.texts:
            address = subject.address(text)
            if address.own and address.fragment is not None:
                if (dialog := subject.ids.get(address.fragment)) is not None:
                    waiting.append(dialog)
            elif address.own:
                waiting += subject.dialogs[:1]
    return True


# --- Form items


def _check_items(subject: Subject, form: Node) -> None:
    """What stands behind a block that always leaves the form is never visited."""
    if any(node.name in ("assign", "script", "clear") for node in walk(form)):
        return
    items = [node for node in form.nodes() if node.name in FORM_ITEMS]
    for index, item in enumerate(items[:-1]):
        if not _is_certain(item):
            continue
        left = leaving(item.pieces)
        if left is not None and _leaves_form(subject, left):
            name = f" '{items[index + 1].get('name')}'" if items[index + 1].get("name") else ""
            message = f"the form is always left on line {left.line}, before this"
            subject.found.add(
                "unreachable-item", items[index + 1], f"{items[index + 1].name}{name}: {message}"
            )
            return


def _has_item_gotos(subject: Subject) -> bool:
    """Whether a document goes to form items by name: then their order says little."""
    return any(
        node.get("nextitem") is not None or node.get("expritem") is not None
        for node in walk(subject.root)
    )


def _is_certain(item: Node) -> bool:
    """Whether an item is a block that is executed as soon as it is come to."""
    return item.name == "block" and item.get("cond") is None and item.get("expr") is None


def _leaves_form(subject: Subject, node: Node) -> bool:
    """Whether the form is certainly over then: an event might be caught, and it goes on."""
    match node.name:
        case "exit" | "return":
            return True
        case "goto":
            return _own_dialog(subject, node) is not None
        case _:
            return False


def _own_dialog(subject: Subject, goto: Node) -> Node | None:
    """The dialog of this document that a ``<goto next>`` leads to."""
    written = goto.get("next")
    if written is None:
        return None
    address = subject.address(written)
    if not address.own:
        return None
    if address.fragment is None:
        return subject.dialogs[0]
    return subject.ids.get(address.fragment)


# --- Content


def _check_content(subject: Subject, node: Node) -> None:
    for each in walk(node):
        _check_content_of(subject, each)


def _check_content_of(subject: Subject, node: Node) -> None:
    if node.name in _CONTENT:
        _check_pieces(subject, node.pieces)
    elif node.name == "if":
        for _, pieces in branches(node):
            _check_pieces(subject, pieces)


def _check_pieces(subject: Subject, pieces: Sequence[str | Node]) -> None:
    for index, piece in enumerate(pieces):
        if isinstance(piece, str) or leaving([piece]) is None:
            continue
        rest = pieces[index + 1 :]
        following = next((each for each in rest if isinstance(each, Node)), None)
        if following is not None:
            message = f"<{following.name}> is never executed: <{piece.name}> on line {piece.line}"
            subject.found.add("dead-code", following, message + " leaves before it")
        elif any(isinstance(each, str) and each.strip() for each in rest):
            subject.found.add("dead-code", piece, f"the text behind <{piece.name}> is never said")
        return


# --- Loops


@dataclass(frozen=True, slots=True)
class _Step:
    """A form item about to be visited, by the numbers of its dialog and itself."""

    dialog: int
    item: int


class _Steps:
    """Where each form item leads with certainty and without waiting for anything."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._numbers = {id(node): number for number, node in enumerate(subject.dialogs)}
        self._items = [
            [node for node in dialog.nodes() if node.name in FORM_ITEMS]
            for dialog in subject.dialogs
        ]

        self._names = [
            {name: n for n, item in enumerate(items) if (name := item.get("name")) is not None}
            for items in self._items
        ]

    def all(self) -> Iterator[_Step]:
        for dialog, items in enumerate(self._items):
            for item in range(len(items)):
                yield _Step(dialog, item)

    def item(self, step: _Step) -> Node:
        return self._items[step.dialog][step.item]

    def after(self, step: _Step) -> tuple[_Step, Node] | None:
        """The next step and the element that leads there; None when it is not certain."""
        item = self.item(step)
        if not _is_certain(item):
            return None
        for piece in item.pieces:
            if isinstance(piece, str):
                continue
            if piece.name == "goto":
                return self._to(step, piece)
            # A transfer waits for the caller; what may lead elsewhere makes it uncertain.
            if any(lead_of(each) is not None for each in (piece, *walk(piece))):
                return None
        return None

    def _to(self, step: _Step, goto: Node) -> tuple[_Step, Node] | None:
        name = goto.get("nextitem")
        if name is not None:
            number = self._names[step.dialog].get(name)
            return None if number is None else (_Step(step.dialog, number), goto)
        dialog = _own_dialog(self._subject, goto)
        if dialog is None or not self._items[self._numbers[id(dialog)]]:
            return None
        return _Step(self._numbers[id(dialog)], 0), goto


def _check_loops(subject: Subject) -> None:
    """Go from block to block as long as it is certain: what comes back never ends."""
    steps = _Steps(subject)
    done: set[_Step] = set()
    for start in steps.all():
        path: dict[_Step, Node] = {}
        step = start
        while step not in done and step not in path:
            following = steps.after(step)
            if following is None:
                break
            path[step] = following[1]
            step = following[0]
        if step in path:
            lines = [str(node.line) for node in list(path.values())[list(path).index(step) :]]
            message = "this never waits for the caller and comes back here"
            through = f", over the lines {', '.join(lines)}" if len(lines) > 1 else ""
            subject.found.add("endless-loop", path[step], message + through)
        done |= path.keys() | {step}


def _check_rethrows(subject: Subject) -> None:
    """A handler that throws what it catches itself does so for ever."""
    handlers = [node for node in walk(subject.root) if node.name in HANDLERS]
    taking = Counter(name for handler in handlers for name in _names(handler))
    for handler in handlers:
        left = leaving(handler.pieces)
        if left is None or left.name != "throw" or handler.get("cond") is not None:
            continue
        event = left.get("event")
        if not event or not takes(handler, event):
            continue
        # Where there is another handler for it, the higher count or the inner scope may take it.
        own = len(_names(handler) & frozenset(prefixes(event)))
        if sum(taking[name] for name in prefixes(event)) == own:
            message = f"this handler catches '{event}' and throws it again"
            subject.found.add("endless-loop", left, message)


def takes(handler: Node, event: str) -> bool:
    """Whether a handler is for an event, by the beginning of its name (VoiceXML 2.0 5.2.4)."""
    return not _names(handler).isdisjoint(prefixes(event))


def _names(handler: Node) -> frozenset[str]:
    """The beginnings of names that a handler is for; an empty one: every event."""
    if handler.name != "catch":
        return frozenset({handler.name})
    names = (handler.get("event") or "").split()
    return frozenset(name.removesuffix(".") for name in names) or frozenset({""})
