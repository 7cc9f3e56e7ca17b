"""A grammar as a network of nodes, and a matcher that follows all its paths at once.

A rule is compiled to nodes; a reference to a rule is a call that remembers where to go on, so
recursive grammars need no expansion.  The matcher keeps its states in order of preference
(document order, greedy repeats), each with the path it took; two states at the same place with
the same way back are one, the first.  So the work for a key is bounded by the number of places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from vxml_engine.errors import GrammarError
from vxml_engine.limits import GRAMMAR_NODES_MAX, GRAMMAR_RULE_DEPTH_MAX, GRAMMAR_STATES_MAX

TagFormat = Literal["literals", "script"]


@dataclass(frozen=True, slots=True)
class Key:
    """Consume one key, go to ``next``."""

    key: str
    next: int


@dataclass(frozen=True, slots=True)
class Fork:
    """Go on at each of ``next``, the preferred one first; none: no way on."""

    next: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tag:
    """A semantic tag, then ``next``."""

    text: str
    next: int


@dataclass(frozen=True, slots=True)
class Call:
    """A reference to the rule that starts at node ``rules[rule]``, then ``next``."""

    rule: str
    next: int


@dataclass(frozen=True, slots=True)
class End:
    """The end of a rule."""


Node = Key | Fork | Tag | Call | End


@dataclass(frozen=True, slots=True)
class Network:
    """A compiled grammar: ``rules`` gives each rule's first node."""

    nodes: tuple[Node, ...]
    rules: Mapping[str, int]
    root: str
    tag_format: TagFormat


class NetworkBuilder:
    """Collects nodes; building goes from the end of a rule to its beginning."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.rules: dict[str, int] = {}

    def add(self, node: Node) -> int:
        """Add a node and return its number; raises ``GrammarError`` above the limit."""
        if len(self.nodes) >= GRAMMAR_NODES_MAX:
            raise GrammarError(
                f"the grammar expands to more than {GRAMMAR_NODES_MAX} nodes (GRAMMAR_NODES_MAX)"
            )
        self.nodes.append(node)
        return len(self.nodes) - 1

    def replace(self, number: int, node: Node) -> None:
        """Put another node in place of one added before (to close a loop)."""
        self.nodes[number] = node

    def network(self, root: str, tag_format: TagFormat) -> Network:
        """The finished network."""
        return Network(tuple(self.nodes), dict(self.rules), root, tag_format)


def key_sequence(keys: str) -> Network:
    """The grammar of exactly these keys (``dtmf`` of a choice or an option)."""
    builder = NetworkBuilder()
    node = builder.add(End())
    for key in reversed(keys):
        node = builder.add(Key(key, node))
    builder.rules["keys"] = node
    return builder.network("keys", "literals")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a key, a tag, or a rule entered or left."""

    kind: Literal["key", "tag", "enter", "leave"]
    text: str


@dataclass(frozen=True, slots=True)
class _Path:
    step: Step
    before: _Path | None


@dataclass(frozen=True, slots=True)
class _Return:
    node: int
    rule: str
    below: _Return | None
    depth: int


@dataclass(frozen=True, slots=True)
class _State:
    node: int
    back: _Return | None
    path: _Path | None


def _steps(path: _Path | None) -> tuple[Step, ...]:
    found: list[Step] = []
    while path is not None:
        found.append(path.step)
        path = path.before
    return tuple(reversed(found))


class Matcher:
    """Follows one network, key by key.

    ``complete`` tells whether the keys so far are a sentence of the grammar, ``extendable``
    whether another key could still make one.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        enter = _Path(Step("enter", network.root), None)
        self._waiting: list[_State] = []
        self._end: _State | None = None
        self._settle([_State(network.rules[network.root], None, enter)])

    @property
    def complete(self) -> bool:
        return self._end is not None

    @property
    def extendable(self) -> bool:
        return bool(self._waiting)

    @property
    def possible(self) -> bool:
        return self.complete or self.extendable

    def accepts(self, key: str) -> bool:
        """Whether ``key`` may come next."""
        nodes = self._network.nodes
        return any(node.key == key for node in self._keys(nodes))

    def _keys(self, nodes: tuple[Node, ...]) -> Iterator[Key]:
        for state in self._waiting:
            node = nodes[state.node]
            assert isinstance(node, Key)
            yield node

    def feed(self, key: str) -> None:
        """Take one key."""
        nodes = self._network.nodes
        moved: list[_State] = []
        for state, node in zip(self._waiting, self._keys(nodes), strict=True):
            if node.key == key:
                moved.append(_State(node.next, state.back, _Path(Step("key", key), state.path)))
        self._settle(moved)

    def steps(self) -> tuple[Step, ...]:
        """The preferred path of a complete match."""
        assert self._end is not None
        return _steps(_Path(Step("leave", self._network.root), self._end.path))

    def _settle(self, states: list[_State]) -> None:
        """Follow everything that needs no key, in order of preference."""
        self._waiting = []
        self._end = None
        seen: set[tuple[int, _Return | None]] = set()
        stack = list(reversed(states))
        while stack:
            state = stack.pop()
            place = (state.node, state.back)
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > GRAMMAR_STATES_MAX:
                raise GrammarError(
                    f"the grammar is in more than {GRAMMAR_STATES_MAX} states at once"
                    " (GRAMMAR_STATES_MAX)"
                )
            self._advance(state, stack)

    def _advance(self, state: _State, stack: list[_State]) -> None:
        back, path = state.back, state.path
        match self._network.nodes[state.node]:
            case Key():
                self._waiting.append(state)
            case Fork(following):
                stack.extend(_State(node, back, path) for node in reversed(following))
            case Tag(text, following_node):
                stack.append(_State(following_node, back, _Path(Step("tag", text), path)))
            case Call(rule, following_node):
                depth = back.depth + 1 if back else 1
                if depth > GRAMMAR_RULE_DEPTH_MAX:
                    return  # left recursion, or nested deeper than anybody types
                returning = _Return(following_node, rule, back, depth)
                entered = _Path(Step("enter", rule), path)
                stack.append(_State(self._network.rules[rule], returning, entered))
            case End():
                if back is not None:
                    left = _Path(Step("leave", back.rule), path)
                    stack.append(_State(back.node, back.below, left))
                elif self._end is None:
                    self._end = state


def match_keys(network: Network, keys: str) -> tuple[Step, ...] | None:
    """The preferred path through ``network`` for all of ``keys``; None when they don't match."""
    matcher = Matcher(network)
    for key in keys:
        matcher.feed(key)
        if not matcher.possible:
            return None
    return matcher.steps() if matcher.complete else None
