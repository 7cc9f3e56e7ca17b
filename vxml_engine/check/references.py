"""The names a piece of ECMAScript uses and declares, from its syntax tree.

Names that the piece binds itself (parameters, locals of functions, ``let`` in a block, the
variable of a ``catch``) are resolved here by ECMAScript's own rules of scope; what is left is
what VoiceXML's scopes (VoiceXML 2.0 5.1.2) must declare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

from vxml_engine.limits import NAMES_CACHED_MAX

_PARSER: Final = Parser(Language(tree_sitter_javascript.language()))


@dataclass(frozen=True, slots=True)
class Use:
    """A name that the piece does not bind itself, at ``index`` characters from its beginning.

    ``writes``: it is assigned.  ``member``: the property that is taken of it, if one is by name;
    ``sets``: that property is assigned.  ``deferred``: in a function, so used when that is
    called.  ``guarded``: nothing is thrown when it is undeclared (``typeof``, ``try``).
    """

    name: str
    index: int
    writes: bool = False
    member: str | None = None
    sets: bool = False
    deferred: bool = False
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Names:
    """What a piece uses, and what it declares in the scope it runs in, when it is a program.

    ``opaque``: it cannot be told (``eval``, ``with``, wrong syntax); nothing is listed then.
    """

    uses: tuple[Use, ...] = ()
    declared: frozenset[str] = frozenset()
    opaque: bool = False


_OPAQUE: Final = Names(opaque=True)


@lru_cache(maxsize=NAMES_CACHED_MAX)
def names_of_expression(source: str) -> Names:
    """The names of an expression (an attribute ``expr``, ``cond`` and the like)."""
    return _scan(f"({source}\n)", 1)


def names_of_program(source: str) -> Names:
    """The names of a program (``<script>``)."""
    return _scan(source, 0)


def possible_texts(source: str) -> tuple[str, ...] | None:
    """The texts an expression may be, when it chooses among literals; None when it computes."""
    tree = _PARSER.parse(f"({source}\n)".encode()).root_node
    if tree.has_error or tree.named_child_count != 1 or (only := tree.named_child(0)) is None:
        return None
    waiting = list(only.named_children)
    found: list[str] = []
    while waiting:
        node = waiting.pop()
        match node.type:
            case "parenthesized_expression":
                waiting += node.named_children
            case "ternary_expression":
                waiting += [_field(node, "consequence"), _field(node, "alternative")]
            case "string" if all(part.type == "string_fragment" for part in node.named_children):
                found.append("".join(_text(part) for part in node.named_children))
            case "comment":
                pass
            case _:
                return None
    return tuple(found)


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _field(node: Node, name: str) -> Node:
    child = node.child_by_field_name(name)
    assert child is not None, f"{node.type} has no {name}"
    return child


class _Scope:
    """Names bound in a function or a block; ``function`` is where ``var`` puts its own."""

    __slots__ = ("function", "names", "outer")

    def __init__(self, outer: _Scope | None, *, is_function: bool) -> None:
        self.outer = outer
        self.names: set[str] = set()
        self.function: _Scope = self if is_function or outer is None else outer.function

    def binds(self, name: str) -> bool:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return True
            scope = scope.outer
        return False


@dataclass(frozen=True, slots=True)
class _Place:
    """How a node is met: in which scope, in a function or not, guarded or not."""

    scope: _Scope
    deferred: bool = False
    guarded: bool = False

    def inside(self, scope: _Scope) -> _Place:
        return _Place(scope, self.deferred, self.guarded)


def _scan(source: str, offset: int) -> Names:
    encoded = source.encode()
    root = _PARSER.parse(encoded).root_node
    if root.has_error:
        return _OPAQUE
    walk = _Walk()
    if not walk.run(root):
        return _OPAQUE
    ascii_only = len(encoded) == len(source)

    def index(byte: int) -> int:
        return (byte if ascii_only else len(encoded[:byte].decode())) - offset

    uses = tuple(
        Use(name, index(byte), writes, member, sets, place.deferred, place.guarded)
        for name, byte, writes, member, sets, place in walk.uses
        if not place.scope.binds(name)
    )
    return Names(tuple(sorted(uses, key=lambda use: use.index)), frozenset(walk.hoisted.names))


class _Walk:
    """One pass over a syntax tree, without recursion: it may be somebody else's and deep."""

    def __init__(self) -> None:
        self.hoisted = _Scope(None, is_function=True)
        self.uses: list[tuple[str, int, bool, str | None, bool, _Place]] = []
        self._waiting: list[tuple[Node, _Place]] = []

    def run(self, root: Node) -> bool:
        """Whether all could be told."""
        # What `let` binds on the outside is the piece's own and not left to VoiceXML's scopes.
        self._waiting.append((root, _Place(_Scope(self.hoisted, is_function=False))))
        while self._waiting:
            node, place = self._waiting.pop()
            if node.type == "with_statement":
                return False
            if node.type == "identifier":
                name = _text(node)
                if name == "eval":
                    return False
                self._use(node, place)
                continue
            visit = _VISITS.get(node.type)
            if visit is None:
                self._push(node.named_children, place)
            else:
                visit(self, node, place)
        return True

    def _push(self, nodes: list[Node], place: _Place) -> None:
        self._waiting += [(node, place) for node in nodes]

    def _use(
        self,
        node: Node,
        place: _Place,
        *,
        writes: bool = False,
        member: str | None = None,
        sets: bool = False,
    ) -> None:
        self.uses.append((_text(node), node.start_byte, writes, member, sets, place))

    # --- Binding

    def _bind(self, pattern: Node, scope: _Scope, place: _Place) -> None:
        """Bind every name of a pattern in ``scope``; its default values are used in ``place``."""
        for target in self._targets(pattern, place):
            if target.type in ("identifier", "shorthand_property_identifier_pattern"):
                scope.names.add(_text(target))

    def _write(self, pattern: Node, place: _Place) -> None:
        """Assign to every name of a pattern, or to a property."""
        for target in self._targets(pattern, place):
            match target.type:
                case "identifier" | "shorthand_property_identifier_pattern":
                    self._use(target, place, writes=True)
                case "member_expression":
                    self._member(target, place, sets=True)
                case _:
                    self._push([target], place)

    def _targets(self, pattern: Node, place: _Place) -> Iterator[Node]:
        waiting = [pattern]
        while waiting:
            node = waiting.pop()
            match node.type:
                case "assignment_pattern" | "object_assignment_pattern":
                    waiting.append(_field(node, "left"))
                    self._push([_field(node, "right")], place)
                case "pair_pattern":
                    self._push([_field(node, "key")], place)
                    waiting.append(_field(node, "value"))
                case "object_pattern" | "array_pattern" | "rest_pattern":
                    waiting += node.named_children
                case "parenthesized_expression":
                    waiting += node.named_children
                case "comment":
                    pass
                case _:
                    yield node

    # --- Visits, one for each kind of node that binds, assigns or guards

    def _var(self, node: Node, place: _Place) -> None:
        scope = place.scope.function if node.type == "variable_declaration" else place.scope
        for declarator in node.named_children:
            if declarator.type != "variable_declarator":
                continue
            self._bind(_field(declarator, "name"), scope, place)
            if (value := declarator.child_by_field_name("value")) is not None:
                self._push([value], place)

    def _function(self, node: Node, place: _Place) -> None:
        scope = _Scope(place.scope, is_function=True)
        name = node.child_by_field_name("name")
        match node.type:
            case "function_declaration" | "generator_function_declaration":
                place.scope.function.names.add(_text(_field(node, "name")))
            case "function_expression" | "generator_function" if name is not None:
                scope.names.add(_text(name))
            case "method_definition" if name is not None:
                self._push([name], place)
        if node.type != "arrow_function":
            scope.names.add("arguments")
        inner = _Place(scope, deferred=True, guarded=place.guarded)
        for field in ("parameter", "parameters"):
            parameters = node.child_by_field_name(field)
            if parameters is not None:
                one = parameters.type == "identifier"
                for parameter in [parameters] if one else parameters.named_children:
                    self._bind(parameter, scope, inner)
        self._push([_field(node, "body")], inner)

    def _class(self, node: Node, place: _Place) -> None:
        scope = _Scope(place.scope, is_function=False)
        if (name := node.child_by_field_name("name")) is not None:
            (place.scope if node.type == "class_declaration" else scope).names.add(_text(name))
        children = [child for child in node.named_children if child != name]
        self._push(children, place.inside(scope))

    def _block(self, node: Node, place: _Place) -> None:
        self._push(node.named_children, place.inside(_Scope(place.scope, is_function=False)))

    def _for_in(self, node: Node, place: _Place) -> None:
        inner = place.inside(_Scope(place.scope, is_function=False))
        left, kind = _field(node, "left"), node.child_by_field_name("kind")
        if kind is None:
            self._write(left, inner)
        else:
            self._bind(left, inner.scope.function if kind.type == "var" else inner.scope, inner)
        self._push([_field(node, "right"), _field(node, "body")], inner)

    def _catch(self, node: Node, place: _Place) -> None:
        inner = place.inside(_Scope(place.scope, is_function=False))
        if (parameter := node.child_by_field_name("parameter")) is not None:
            self._bind(parameter, inner.scope, inner)
        self._push([_field(node, "body")], inner)

    def _try(self, node: Node, place: _Place) -> None:
        body = _field(node, "body")
        guarded = node.child_by_field_name("handler") is not None
        self._push([body], _Place(place.scope, place.deferred, place.guarded or guarded))
        self._push([child for child in node.named_children if child != body], place)

    def _assign(self, node: Node, place: _Place) -> None:
        self._write(_field(node, "left"), place)
        self._push([_field(node, "right")], place)

    def _update(self, node: Node, place: _Place) -> None:
        self._write(_field(node, "argument"), place)

    def _unary(self, node: Node, place: _Place) -> None:
        argument = _field(node, "argument")
        guarded = _text(_field(node, "operator")) == "typeof"
        while guarded and argument.type == "parenthesized_expression":
            argument = argument.named_children[0]
        if guarded and argument.type == "identifier":
            place = _Place(place.scope, place.deferred, guarded=True)
        self._push([argument], place)

    def _member(self, node: Node, place: _Place, *, sets: bool = False) -> None:
        taken = _field(node, "object")
        if taken.type == "identifier":
            self._use(taken, place, member=_text(_field(node, "property")), sets=sets)
        else:
            self._push([taken], place)

    def _shorthand(self, node: Node, place: _Place) -> None:
        self._use(node, place)


_VISITS: Final[dict[str, Callable[[_Walk, Node, _Place], None]]] = {
    "variable_declaration": _Walk._var,
    "lexical_declaration": _Walk._var,
    "function_declaration": _Walk._function,
    "generator_function_declaration": _Walk._function,
    "function_expression": _Walk._function,
    "generator_function": _Walk._function,
    "arrow_function": _Walk._function,
    "method_definition": _Walk._function,
    "class_declaration": _Walk._class,
    "class": _Walk._class,
    "statement_block": _Walk._block,
    "for_statement": _Walk._block,
    "switch_body": _Walk._block,
    "for_in_statement": _Walk._for_in,
    "catch_clause": _Walk._catch,
    "try_statement": _Walk._try,
    "assignment_expression": _Walk._assign,
    "augmented_assignment_expression": _Walk._assign,
    "update_expression": _Walk._update,
    "unary_expression": _Walk._unary,
    "member_expression": _Walk._member,
    "shorthand_property_identifier": _Walk._shorthand,
}
