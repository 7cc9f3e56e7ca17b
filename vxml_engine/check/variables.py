"""Variables that nothing declares (VoiceXML 2.0 5.1.2).

Scopes: session, application (the root document's), document, dialog, anonymous (a block, a
``<filled>``, a handler).  A scope that cannot be known whole, because a script of it is elsewhere
or evaluates text, is *open*: whatever is not found may be there, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from vxml_engine.check.references import Names, Use, names_of_expression, names_of_program
from vxml_engine.check.subject import Subject, meant, walk
from vxml_engine.ecmascript import Ecmascript
from vxml_engine.limits import SCRIPT_CHECKED_CHARS_MAX
from vxml_engine.reading import Node
from vxml_engine.vocabulary import FORM_ITEMS, HANDLERS

_SESSION: Final = frozenset({"session", "sessionid", "connection"})
_OF_DATA: Final = frozenset({"Node", "DOMException"})
_IN_HANDLERS: Final = frozenset({"_event", "_message"})
_IN_ENUMERATE: Final = frozenset({"_prompt", "_dtmf"})
_SCOPE_NAMES: Final = ("application", "document", "dialog")
_NAMELISTS: Final = frozenset({"submit", "clear", "exit", "return", "disconnect", "subdialog"})
_DECLARING: Final = frozenset({"var", "script", "data"})
_OPAQUE: Final = Names(opaque=True)


@dataclass(slots=True)
class _Scope:
    names: set[str] = field(default_factory=set)
    is_open: bool = False

    def add(self, other: _Scope) -> None:
        self.names |= other.names
        self.is_open = self.is_open or other.is_open


@dataclass(frozen=True, slots=True)
class _View:
    """What can be seen at a place: the scopes on the chain, and those that have a name.

    ``later`` are names that the scope now made declares only behind this place.
    """

    chain: tuple[_Scope, ...]
    named: dict[str, _Scope]
    later: dict[str, int] = field(default_factory=dict)

    def inside(self, *scopes: _Scope) -> _View:
        return _View((*self.chain, *scopes), self.named, self.later)

    def has(self, name: str) -> bool:
        return any(name in scope.names or scope.is_open for scope in self.chain)


@cache
def _global_names() -> frozenset[str]:
    """What ECMAScript itself has, as the engine runs it."""
    ecmascript = Ecmascript()
    try:
        found = ecmascript.evaluate_apart("Object.getOwnPropertyNames(globalThis)")
    finally:
        ecmascript.close()
    assert isinstance(found, list)
    return frozenset(name for name in found if "$" not in name) | _OF_DATA


def check_variables(subject: Subject) -> None:
    """Report variables that are used and not declared anywhere."""
    _Variables(subject).run()


class _Variables:
    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._scripts: dict[str, Names] = {}
        self._chars_left = SCRIPT_CHECKED_CHARS_MAX
        self._document = self._declared_by(subject.root)
        written = subject.root.get("application")
        if written is None:
            self._application = self._document
        elif (root := subject.application) is not None:
            self._application = self._declared_by(root)
        else:
            self._application = _Scope(is_open=True)
        self._dialogs = {id(node): self._declared_by(node) for node in subject.dialogs}

    def run(self) -> None:
        subject = self._subject
        session = _Scope(set(_SESSION | _global_names() | {*_SCOPE_NAMES, "lastresult$"}))
        self._add_members()
        named = {"application": self._application, "document": self._document}
        session_only = _View((session,), named)
        outside = session_only.inside(self._application)
        # A document that is its own application has one scope, which begins empty.
        own = self._application is self._document
        self._in_order(subject.root, session_only if own else outside, self._document)
        document = outside.inside(self._document)
        for node in subject.root.nodes():
            if id(node) in self._dialogs:
                self._dialog(node, document)
            elif node.name in HANDLERS or node.name == "link":
                self._content(node, document.inside(self._anywhere()))

    # --- Declarations

    def _declared_by(self, parent: Node) -> _Scope:
        """What the children of a document or a dialog declare in its scope."""
        scope = _Scope()
        for node in parent.nodes():
            scope.add(self._declared_in(node))
            if node.name in FORM_ITEMS and (name := node.get("name")) is not None:
                scope.names |= {name, f"{name}$"}
        return scope

    def _declared_in(self, node: Node) -> _Scope:
        """What one element declares where it stands."""
        match node.name:
            case "var" | "data":
                return _Scope({name} if (name := node.get("name")) else set())
            case "foreach":
                return _Scope({node.get("item", "")})
            case "vm:transfer" if (name := node.get("name")) is not None:
                return _Scope({name, f"{name}$"})
            case "script":
                names = self._program(node)
                return _Scope(set(names.declared), names.opaque)
            case _:
                return _Scope()

    def _program(self, node: Node) -> Names:
        """The names of a ``<script>``, inline or in a file near by."""
        source = self._source(node)
        if source is None:
            return _OPAQUE
        if (known := self._scripts.get(source)) is None:
            self._chars_left -= len(source)
            known = names_of_program(source) if self._chars_left >= 0 else _OPAQUE
            self._scripts[source] = known
        return known

    def _source(self, node: Node) -> str | None:
        if node.get("srcexpr") is not None:
            return None
        if (src := node.get("src")) is None:
            return "".join(piece for piece in node.pieces if isinstance(piece, str))
        body = self._subject.read_near(self._subject.address(src))
        return None if body is None else body.decode(errors="replace")

    def _add_members(self) -> None:
        """``document.x = 1`` in a script makes a variable of that scope, wherever it stands."""
        scopes = {"application": self._application, "document": self._document}
        for node in walk(self._subject.root):
            if node.name == "script":
                for use in self._program(node).uses:
                    if use.sets and use.member is not None and use.name in scopes:
                        scopes[use.name].names.add(use.member)

    def _anywhere(self) -> _Scope:
        """What may be seen where the document's handlers run: in any dialog (5.2.2)."""
        dialogs = self._dialogs.values()
        whole = _Scope(is_open=not dialogs or self._subject.surroundings.is_root)
        for scope in dialogs:
            whole.add(scope)
        return whole

    # --- Uses

    def _in_order(self, parent: Node, outside: _View, whole: _Scope) -> None:
        """The declarations of a scope, one after the other: each sees those before it."""
        so_far = _Scope()
        later: dict[str, int] = {}
        nodes = [n for n in parent.nodes() if n.name in _DECLARING or n.name in FORM_ITEMS]
        for node in reversed(nodes):
            for each in self._declared_in(node).names:
                later[each] = node.line
        for node in nodes:
            if whole.is_open and not so_far.is_open:
                later = {}
            view = _View((*outside.chain, so_far), outside.named, later)
            if node.name in _DECLARING:
                self._uses_of(node, view, whole)
            elif (source := node.get("expr")) is not None:
                self._expression(node, source, view)
            declared = self._declared_in(node)
            so_far.add(declared)
            if node.name in FORM_ITEMS and (name := node.get("name")) is not None:
                so_far.names |= {name, f"{name}$"}
            for each in declared.names:
                later.pop(each, None)

    def _dialog(self, dialog: Node, document: _View) -> None:
        scope = self._dialogs[id(dialog)]
        outside = _View(document.chain, {**document.named, "dialog": scope})
        self._in_order(dialog, outside, scope)
        view = outside.inside(scope)
        for node in dialog.nodes():
            if node.name in _DECLARING:
                continue
            if node.name in FORM_ITEMS:
                self._item(node, view)
            else:
                self._content(node, view)

    def _item(self, item: Node, view: _View) -> None:
        if item.name == "block":
            self._own_uses(item, view, leave_out="expr")
            self._all_within(item, view.inside(self._declared_within(item)))
            return
        self._own_uses(item, view, leave_out="expr")
        for node in item.nodes():
            self._content(node, view)

    def _content(self, node: Node, view: _View) -> None:
        """Content with a scope of its own, and the element that it belongs to."""
        scope = self._declared_within(node)
        scope.add(self._declared_in(node))
        if node.name in HANDLERS:
            scope.names |= _IN_HANDLERS
        self._uses_of(node, view.inside(scope))
        self._all_within(node, view.inside(scope))

    def _declared_within(self, node: Node) -> _Scope:
        scope = _Scope()
        for each in walk(node):
            scope.add(self._declared_in(each))
        return scope

    def _all_within(self, node: Node, view: _View) -> None:
        if node.name == "grammar":
            return
        if node.name == "enumerate":
            view = view.inside(_Scope(set(_IN_ENUMERATE)))
        for child in node.nodes():
            self._uses_of(child, view)
            self._all_within(child, view)

    def _uses_of(self, node: Node, view: _View, whole: _Scope | None = None) -> None:
        """Look at one element: ``whole`` is what its functions will see when they are called."""
        if node.name == "script":
            names = self._program(node)
            if node.get("src") is None and not names.opaque:
                own = _Scope(set(names.declared))
                for use in names.uses:
                    seen = view.inside(own)
                    if use.deferred and whole is not None:
                        seen = seen.inside(whole)
                    self._use(node, use, seen, in_text=True)
            return
        self._own_uses(node, view)

    def _own_uses(self, node: Node, view: _View, leave_out: str = "") -> None:
        if node.name == "assign":
            self._assigned(node, view)
        for source in _expressions(node, leave_out):
            self._expression(node, source, view)

    def _expression(self, node: Node, source: str, view: _View) -> None:
        for use in names_of_expression(source).uses:
            self._use(node, use, view)

    def _assigned(self, node: Node, view: _View) -> None:
        """The variable of an ``<assign>``: it, or the scope's variable, must be declared."""
        uses = names_of_expression(node.get("name", "")).uses
        for use in uses[:1]:
            scope = view.named.get(use.name)
            if scope is None or use.member is None:
                self._use(node, use, view, assigned=True)
            elif not (use.member in scope.names or scope.is_open):
                self._undeclared(node, f"{use.name}.{use.member}", scope.names, "assigned", None)
        for use in uses[1:]:
            self._use(node, use, view)

    def _use(
        self, node: Node, use: Use, view: _View, *, assigned: bool = False, in_text: bool = False
    ) -> None:
        index = use.index if in_text else None
        if use.guarded:
            return
        if not view.has(use.name):
            what = "assigned" if assigned or use.writes else "used"
            known: Iterable[str] = (name for scope in view.chain[1:] for name in scope.names)
            line = None if use.deferred else view.later.get(use.name)
            self._undeclared(node, use.name, known, what, index, line)
            return
        scope = view.named.get(use.name)
        if scope is None or use.member is None or use.sets or scope.is_open:
            return
        if use.member not in scope.names | {"lastresult$", use.name}:
            place = self._place(node, use.name, index)
            message = f"{use.name} has no variable '{use.member}'"
            message += meant(use.member, scope.names)
            self._subject.found.add_at("undeclared-member", place, message)

    def _undeclared(
        self,
        node: Node,
        name: str,
        known: Iterable[str],
        what: str,
        index: int | None,
        later: int | None = None,
    ) -> None:
        if self._subject.found.full:
            return
        if later is not None:
            message = f"'{name}' is {what} before it is declared on line {later}"
        else:
            message = f"'{name}' is {what} and not declared" + meant(name, known)
        place = self._place(node, name, index)
        self._subject.found.add_at("undeclared-variable", place, message)

    def _place(self, node: Node, name: str, index: int | None) -> tuple[int, int]:
        places = self._subject.found.places
        if index is None:
            return places.find(node.element)
        return places.find_in_text(node.element, index, name)


def _expressions(node: Node, leave_out: str) -> Iterator[str]:
    """The ECMAScript in an element's attributes, names in lists included."""
    for name, value in node.attributes.items():
        if name != leave_out and (name == "cond" or name.endswith("expr")):
            yield value
    if node.name == "foreach":
        yield node.get("array", "")
    if node.name in _NAMELISTS or node.name == "data":
        yield from _words(node.get("namelist"))


def _words(text: str | None) -> Sequence[str]:
    return (text or "").split()
