"""A grammar as a network of nodes, and a matcher that follows all its paths at once.

A rule is compiled to nodes; a reference to a rule is a call that remembers where to go on, so
recursive grammars need no expansion.  The matcher keeps its states in order of preference
(document order, greedy repeats), each with the path it took; two states at the same place with
the same way back are one, the first.  So the work for a token is bounded by the number of places.

A token is a key of a DTMF grammar or a word of a voice grammar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import urldefrag, urljoin

from vxml_engine.errors import GrammarError
from vxml_engine.limits import GRAMMAR_NODES_MAX, GRAMMAR_RULE_DEPTH_MAX, GRAMMAR_STATES_MAX

TagFormat = Literal["literals", "script", "draft"]
"""``literals`` and ``script`` are SISR's; ``draft`` scripts may also write ``$`` for ``out``."""

Mode = Literal["dtmf", "voice"]

KEYS: Final = "0123456789*#ABCD"
_IGNORED: Final = '.,;:!?"()'
"""Signs at the ends of a word that nobody pronounces."""


@dataclass(frozen=True, slots=True)
class Token:
    """Consume one token, go to ``next``; ``written`` is how the grammar spells it."""

    text: str
    next: int
    written: str = ""


@dataclass(frozen=True, slots=True)
class AnyToken:
    """Consume one token, whatever it is (SRGS 1.0 2.2.3: GARBAGE)."""

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
    """A reference to ``rule``, then ``next``; ``external``: ``rule`` is an address."""

    rule: str
    next: int
    external: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """The end of a rule."""


Node = Token | AnyToken | Fork | Tag | Call | End


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its first node, its name, and how its tags are written.

    ``grammar`` is the number of the grammar it is from, in the network's ``headers``.
    """

    start: int
    name: str
    tag_format: TagFormat
    public: bool = True
    grammar: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """A compiled grammar.

    ``root`` is empty when the grammar names none; ``headers`` are the tags before the rules
    (SISR 1.0 3.2), one text a grammar.
    """

    nodes: tuple[Node, ...]
    rules: Mapping[str, Rule]
    root: str
    mode: Mode = "dtmf"
    headers: tuple[str, ...] = ("",)

    @property
    def references(self) -> list[str]:
        """The addresses of other grammars, as they are written."""
        return [n.rule for n in self.nodes if isinstance(n, Call) and n.external]

    def starting(self, rule: str | None) -> Network:
        """The same grammar beginning at ``rule``, which must be public; None: at its root."""
        if rule is None or rule == self.root:
            if not self.root:
                raise GrammarError('the grammar names no root rule: add root="..."')
            return self
        if rule not in self.rules:
            raise GrammarError(f"the grammar has no rule '{rule}'")
        if not self.rules[rule].public:
            raise GrammarError(f"the rule '{rule}' is private to its grammar")
        return replace(self, root=rule)


class NetworkBuilder:
    """Collects nodes; building goes from the end of a rule to its beginning."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.rules: dict[str, Rule] = {}

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

    def network(self, root: str, mode: Mode = "dtmf", header: str = "") -> Network:
        """The finished network."""
        return Network(tuple(self.nodes), dict(self.rules), root, mode, (header,))


def key_sequence(keys: str) -> Network:
    """The grammar of exactly these keys (``dtmf`` of a choice or an option)."""
    return _sequences([list(keys)], "dtmf")


def phrase(text: str, *, approximate: bool = False) -> Network:
    """The grammar of a phrase (``<choice>``, ``<option>``; VoiceXML 2.0 2.2).

    ``approximate``: any of its words in their order will do.
    """
    said = words(text)
    network = _sequences([said], "voice")
    if not approximate:
        return network
    builder = NetworkBuilder()
    end = builder.add(End())
    # After[n]: the best way on once a word before n was said; first[n]: before anything was said.
    after, first = end, builder.add(Fork(()))
    for word in reversed(said):
        taken = builder.add(Token(word, after))
        after, first = builder.add(Fork((taken, after))), builder.add(Fork((taken, first)))
    builder.rules["phrase"] = Rule(first, "phrase", "literals")
    return builder.network("phrase", "voice")


def _sequences(sequences: Sequence[Sequence[str]], mode: Mode) -> Network:
    builder = NetworkBuilder()
    end = builder.add(End())
    starts: list[int] = []
    for sequence in sequences:
        node = end
        for token in reversed(sequence):
            node = builder.add(Token(token, node))
        starts.append(node)
    builder.rules["phrase"] = Rule(builder.add(Fork(tuple(starts))), "phrase", "literals")
    return builder.network("phrase", mode)


def words(text: str) -> list[str]:
    """The words of an utterance or a grammar's text, as they are compared."""
    found = (word.strip(_IGNORED) for word in text.casefold().replace("-", " ").split())
    return [word for word in found if word]


# --- Several grammars as one


def link(network: Network, url: str, others: Mapping[str, Network]) -> Network:
    """Put the grammars that ``network`` (of address ``url``) refers to into one with it.

    ``others`` are all grammars reached, by their absolute address without fragment.  Raises
    ``GrammarError`` for rules that are missing or private, modes that differ, and too many nodes.
    """
    whole = {url: network, **others}
    builder = NetworkBuilder()
    for number, (address, part) in enumerate(whole.items()):
        if part.mode != network.mode:
            raise GrammarError(f"{url} is for {network.mode}, {address} is for {part.mode}")
        first = len(builder.nodes)
        for node in part.nodes:
            builder.add(_moved(node, first, address, whole))
        for key, rule in part.rules.items():
            builder.rules[f"{address}#{key}"] = replace(
                rule, start=rule.start + first, grammar=number
            )
    headers = tuple(part.headers[0] for part in whole.values())
    root = f"{url}#{network.root}"
    return Network(tuple(builder.nodes), builder.rules, root, network.mode, headers)


def _moved(node: Node, by: int, address: str, whole: Mapping[str, Network]) -> Node:
    match node:
        case Fork(following):
            return Fork(tuple(n + by for n in following))
        case End():
            return node
        case Call(rule, following, external):
            if not external:
                return Call(f"{address}#{rule}", following + by)
            target, fragment = urldefrag(urljoin(address, rule))
            name = whole[target].starting(fragment or None).root
            return Call(f"{target}#{name}", following + by)
        case _:
            return replace(node, next=node.next + by)


# --- Matching


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a token, a tag, or a rule entered or left."""

    kind: Literal["token", "tag", "enter", "leave"]
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
    """Follows one network, token by token.

    ``complete`` tells whether the tokens so far are a sentence of the grammar, ``extendable``
    whether another one could still make one.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        enter = _Path(Step("enter", network.root), None)
        self._waiting: list[_State] = []
        self._end: _State | None = None
        self._settle([_State(network.rules[network.root].start, None, enter)])

    @property
    def complete(self) -> bool:
        return self._end is not None

    @property
    def extendable(self) -> bool:
        return bool(self._waiting)

    @property
    def possible(self) -> bool:
        return self.complete or self.extendable

    def accepts(self, token: str) -> bool:
        """Whether ``token`` may come next."""
        return any(isinstance(n, AnyToken) or n.text == token for _, n in self._consumers())

    def _consumers(self) -> Iterator[tuple[_State, Token | AnyToken]]:
        nodes = self._network.nodes
        for state in self._waiting:
            node = nodes[state.node]
            assert isinstance(node, Token | AnyToken)
            yield state, node

    def feed(self, token: str) -> None:
        """Take one token."""
        moved: list[_State] = []
        for state, node in self._consumers():
            match node:
                case AnyToken(following):
                    moved.append(_State(following, state.back, state.path))
                case Token(text, following, written) if text == token:
                    step = Step("token", written or text)
                    moved.append(_State(following, state.back, _Path(step, state.path)))
        self._settle(moved)

    def steps(self) -> tuple[Step, ...]:
        """The preferred path of a complete match."""
        assert self._end is not None
        return _steps(_Path(Step("leave", self._network.root), self._end.path))

    def _settle(self, states: list[_State]) -> None:
        """Follow everything that needs no token, in order of preference."""
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
            case Token() | AnyToken():
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
                stack.append(_State(self._network.rules[rule].start, returning, entered))
            case End():
                if back is not None:
                    left = _Path(Step("leave", back.rule), path)
                    stack.append(_State(back.node, back.below, left))
                elif self._end is None:
                    self._end = state


def match_tokens(network: Network, tokens: Sequence[str]) -> tuple[Step, ...] | None:
    """The preferred path through ``network`` for all of ``tokens``; None when they don't match."""
    matcher = Matcher(network)
    for token in tokens:
        matcher.feed(token)
        if not matcher.possible:
            return None
    return matcher.steps() if matcher.complete else None
