"""A grammar as a network of nodes, and a matcher that follows all its paths at once.

A rule is compiled to nodes; a reference to a rule is a call, so recursive grammars need no
expansion.  Whoever refers to a rule at the same place of the input shares one use of it.  So the
work for a token is bounded by the number of nodes and uses, not by that of the paths, and rules
may refer to themselves at their beginning, too.

Which path is preferred (document order, weights, greedy repeats) is asked only when all tokens
are there.

A token is a key of a DTMF grammar or a word of a voice grammar.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import urldefrag, urljoin

from vxml_engine.errors import GrammarError
from vxml_engine.limits import GRAMMAR_NODES_MAX, GRAMMAR_PLACES_MAX

TagFormat = Literal["literals", "script", "draft"]
"""``literals`` and ``script`` are SISR's; ``draft`` scripts may also write ``$`` for ``out``."""

Mode = Literal["dtmf", "voice"]

KEYS: Final = "0123456789*#ABCD"
_INDEXED_FROM: Final = 8
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
    """Go on at each of ``next``, the preferred one first; none: no way on.

    Where there are many, ``tokens`` tells which of them begin with a token, and ``rest`` are the
    others, as indexes of ``next``.
    """

    next: tuple[int, ...]
    tokens: Mapping[str, Sequence[int]] = field(default_factory=dict)
    rest: Sequence[int] = ()

    def possible(self, token: str | None) -> list[int]:
        """The nodes of ``next`` that may go on with ``token`` (None: the input is at its end)."""
        if not self.tokens:
            return list(self.next)
        indexes = sorted([*self.tokens.get(token or "", ()), *self.rest])
        return [self.next[index] for index in indexes]


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

    def based_at(self, url: str) -> Network:
        """The same grammar with the addresses it refers to made absolute, from ``url``."""
        if not self.references:
            return self
        nodes = (
            replace(node, rule=urljoin(url, node.rule))
            if isinstance(node, Call) and node.external
            else node
            for node in self.nodes
        )
        return replace(self, nodes=tuple(nodes))

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
        return self.linked(root, mode, (header,))

    def linked(self, root: str, mode: Mode, headers: tuple[str, ...]) -> Network:
        """The finished network of several grammars."""
        nodes = tuple(self._indexed(node) for node in self.nodes)
        return Network(nodes, dict(self.rules), root, mode, headers)

    def _indexed(self, node: Node) -> Node:
        """A fork to many tokens finds the right ones at once."""
        if not isinstance(node, Fork) or len(node.next) < _INDEXED_FROM:
            return node
        tokens: dict[str, list[int]] = {}
        rest: list[int] = []
        for index, number in enumerate(node.next):
            match self.nodes[number]:
                case Token(text):
                    tokens.setdefault(text, []).append(index)
                case _:
                    rest.append(index)
        return Fork(node.next, tokens, rest)


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
    return builder.linked(f"{url}#{network.root}", network.mode, headers)


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
            if target not in whole:
                raise GrammarError(f"{target} was not fetched")
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


@dataclass(eq=False, slots=True)
class _Use:
    """A rule begun at one place of the input, whoever refers to it there.

    ``callers`` are where it goes on once the rule has ended.  ``ends`` are the places where it
    does, each with the number of ends found before it; ``order`` are the same, the preferred one
    first, once that was asked for.
    """

    rule: str
    place: int
    callers: list[tuple[int, _Use]] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    order: list[int] | None = None

    def longest_first(self) -> list[int]:
        """The places where it ends, the last one first."""
        return sorted(self.ends, reverse=True)


_Place = tuple[int, _Use]
"""A node, and the use of the rule it is in."""


class Matcher:
    """Follows one network, token by token.

    ``complete`` tells whether the tokens so far are a sentence of the grammar, ``extendable``
    whether another one could still make one.  Once ``GRAMMAR_PLACES_MAX`` places were followed,
    no other ones are.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._tokens: list[str] = []
        self._uses: list[dict[str, _Use]] = []
        self._ends = 0
        self._places_left = GRAMMAR_PLACES_MAX
        self._settle([])

    @property
    def complete(self) -> bool:
        return len(self._tokens) in self._root.ends

    @property
    def extendable(self) -> bool:
        return bool(self._waiting or self._forks or self._anything)

    @property
    def possible(self) -> bool:
        return self.complete or self.extendable

    @property
    def _root(self) -> _Use:
        return self._uses[0][self._network.root]

    def accepts(self, token: str) -> bool:
        """Whether ``token`` may come next."""
        return bool(self._following(token))

    def _following(self, token: str) -> list[_Place]:
        """Where ``token`` leads to."""
        found = self._waiting.get(token, []) + self._anything
        nodes = self._network.nodes
        for fork, use in self._forks:
            for index in fork.tokens.get(token, ()):
                node = nodes[fork.next[index]]
                assert isinstance(node, Token)
                found.append((node.next, use))
        return found

    def feed(self, token: str) -> None:
        """Take one token."""
        following = self._following(token)
        self._tokens.append(token)
        self._settle(following)

    def _settle(self, places: list[_Place]) -> None:
        """Follow everything that needs no token."""
        self._waiting: dict[str, list[_Place]] = {}
        self._forks: list[tuple[Fork, _Use]] = []
        self._anything: list[_Place] = []
        self._uses.append({})
        self._stack = places[::-1]
        if len(self._uses) == 1:
            self._begin(self._network.root)
        seen: set[_Place] = set()
        while self._stack and self._places_left:
            place = self._stack.pop()
            self._places_left -= 1
            if place not in seen:
                seen.add(place)
                self._follow(*place)

    def _follow(self, number: int, use: _Use) -> None:
        match self._network.nodes[number]:
            case Token(text, following):
                self._waiting.setdefault(text, []).append((following, use))
            case AnyToken(following):
                self._anything.append((following, use))
            case Fork() as fork:
                if fork.tokens:
                    self._forks.append((fork, use))
                self._stack += [(node, use) for node in reversed(fork.possible(None))]
            case Tag(_, following_node):
                self._stack.append((following_node, use))
            case Call(rule, following_node):
                called = self._uses[-1].get(rule) or self._begin(rule)
                called.callers.append((following_node, use))
                if len(self._tokens) in called.ends:
                    self._stack.append((following_node, use))
            case End():
                if use.ends.setdefault(len(self._tokens), self._ends) == self._ends:
                    self._ends += 1
                    self._stack += reversed(use.callers)

    def _begin(self, rule: str) -> _Use:
        use = self._uses[-1][rule] = _Use(rule, len(self._tokens))
        self._stack.append((self._network.rules[rule].start, use))
        return use

    def steps(self) -> tuple[Step, ...]:
        """The preferred path of a complete match."""
        assert self.complete
        return tuple(_Preference(self._network, self._tokens, self._uses).steps())


class _Preference:
    """Finds the preferred one of the paths a ``Matcher`` has found to be there.

    At each fork the first way that reaches the end is preferred.  Which places a rule may end at
    is known, so that each use of a rule is gone through by itself.
    """

    def __init__(
        self, network: Network, tokens: Sequence[str], uses: Sequence[Mapping[str, _Use]]
    ) -> None:
        self._network = network
        self._tokens = tokens
        self._uses = uses
        self._circles: dict[int, set[_Use]] = {}

    def steps(self) -> Iterator[Step]:
        """The path of the root rule over all tokens."""
        root = self._uses[0][self._network.root]
        yield Step("enter", root.rule)
        open_uses = [(root, iter(self._way(root, len(self._tokens))))]
        while open_uses:
            use, way = open_uses[-1]
            match next(way, None):
                case None:
                    yield Step("leave", use.rule)
                    open_uses.pop()
                case Step() as step:
                    yield step
                case (called, end):
                    yield Step("enter", called.rule)
                    open_uses.append((called, iter(self._way(called, end))))

    def _way(self, use: _Use, end: int) -> Sequence[_Stretch]:
        """The preferred way through ``use`` to ``end``."""
        for found in self._walk(use, end):
            match found:
                case _Use():
                    self._put_in_order(found)
                case (place, trail) if place == end:
                    return _stretches(trail)
        raise AssertionError("a rule that has ended has a way to its end")

    def _put_in_order(self, use: _Use) -> None:
        """Set ``order`` of a use; it asks for that of others, which may ask in turn."""
        asking = [(use, self._walk(use, None))]
        orders: list[list[int]] = [[]]
        use.order = use.longest_first()
        while asking:
            current, walk = asking[-1]
            match next(walk, None):
                case None:
                    current.order = orders.pop()
                    asking.pop()
                case _Use() as asked:
                    asked.order = asked.longest_first()  # what a rule finds that goes round
                    asking.append((asked, self._walk(asked, None)))
                    orders.append([])
                case (place, _):
                    orders[-1].append(place)

    def _walk(self, use: _Use, end: int | None) -> Iterator[_Use | tuple[int, _Trail | None]]:
        """Go through ``use`` in order of preference, not beyond ``end``.

        Yields the places it may end at, each with the way there, and uses whose ``order`` must be
        set before it goes on.
        """
        nodes, tokens = self._network.nodes, self._tokens[:end]
        stack: list[_Position] = [(self._network.rules[use.rule].start, use.place, None)]
        seen: set[tuple[int, int]] = set()
        while stack:
            number, place, trail = stack.pop()
            if (number, place) in seen:
                continue
            seen.add((number, place))
            match nodes[number]:
                case Token(text, following, written):
                    if place < len(tokens) and tokens[place] == text:
                        step = Step("token", written or text)
                        stack.append((following, place + 1, _Trail(step, trail)))
                case AnyToken(following):
                    if place < len(tokens):
                        stack.append((following, place + 1, trail))
                case Fork() as fork:
                    token = tokens[place] if place < len(tokens) else None
                    stack += [(node, place, trail) for node in reversed(fork.possible(token))]
                case Tag(text, following):
                    stack.append((following, place, _Trail(Step("tag", text), trail)))
                case Call(rule, following):
                    called = self._uses[place].get(rule)
                    if called is None or not called.ends:
                        continue
                    if called.order is None:
                        yield called
                    stack += [
                        (following, place, _Trail((called, place), trail))
                        for place in self._ends(use, end, called)
                    ]
                case End():
                    yield place, trail

    def _ends(self, use: _Use, end: int | None, called: _Use) -> Iterator[int]:
        """Where ``called`` may end within ``use``, the preferred place last."""
        for place in reversed(called.order or ()):
            if place != end:
                if end is None or place < end:
                    yield place
            elif called.ends[place] < use.ends[place] or not self._in_circle(use, called):
                # A rule that refers to itself over the same tokens would never be left again.
                yield place

    def _in_circle(self, use: _Use, called: _Use) -> bool:
        if called.place != use.place:
            return False
        if use.place not in self._circles:
            self._circles[use.place] = _circles(self._uses[use.place].values())
        return {use, called} <= self._circles[use.place]


_Stretch = Step | tuple[_Use, int]
"""A piece of the way through a use: a step, or an inner use with the place it ends at."""

_Position = tuple[int, int, "_Trail | None"]
"""A node, a place of the input, and the way there."""


@dataclass(frozen=True, slots=True)
class _Trail:
    """The way to a place within one use of a rule, the last stretch first."""

    stretch: _Stretch
    before: _Trail | None


def _stretches(trail: _Trail | None) -> Sequence[_Stretch]:
    found: list[_Stretch] = []
    while trail is not None:
        found.append(trail.stretch)
        trail = trail.before
    return found[::-1]


def _circles(uses: Iterable[_Use]) -> set[_Use]:
    """Those of the uses at one place that refer to themselves there, and what is between them."""
    callers = {use: [c for _, c in use.callers if c.place == use.place] for use in uses}
    called: dict[_Use, list[_Use]] = {use: [] for use in callers}
    for use, above in callers.items():
        for caller in above:
            called[caller].append(use)
    left = set(callers)
    for outer, inner in ((callers, called), (called, callers)):
        # Take away what nobody refers to, then what refers to nobody, again and again.
        counts = {use: sum(other in left for other in outer[use]) for use in left}
        bare = [use for use in left if not counts[use]]
        while bare:
            use = bare.pop()
            left.remove(use)
            for other in inner[use]:
                if other in left:
                    counts[other] -= 1
                    if not counts[other]:
                        bare.append(other)
    return left


def match_tokens(network: Network, tokens: Sequence[str]) -> tuple[Step, ...] | None:
    """The preferred path through ``network`` for all of ``tokens``; None when they don't match."""
    matcher = Matcher(network)
    for token in tokens:
        matcher.feed(token)
        if not matcher.possible:
            return None
    return matcher.steps() if matcher.complete else None
