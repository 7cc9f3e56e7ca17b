"""Random grammars as trees, both ways to write them, and what they mean by the plainest means.

A tree is a tuple: its kind, then what the kind needs.  ``Oracle`` follows every path by itself, as
a reader of SRGS 1.0 section 2 would: slow, and in nothing like the engine's matcher.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

Tree = tuple[Any, ...]
Steps = tuple[tuple[str, str], ...]

WORDS = ("a", "b", "c")
SPECIAL = ("NULL", "VOID", "GARBAGE")
ORACLE_STEPS_MAX = 20_000


def trees(rules: Sequence[str]) -> st.SearchStrategy[Tree]:
    """Expansions that may refer to ``rules``."""
    leaf: st.SearchStrategy[Tree] = st.one_of(
        st.tuples(st.just("token"), st.sampled_from(WORDS)),
        st.tuples(st.just("token"), st.sampled_from(WORDS)),
        st.tuples(st.just("tag"), st.sampled_from(("t", "u", "v"))),
        st.tuples(st.just("special"), st.sampled_from(SPECIAL)),
    )
    if rules:
        leaf |= st.tuples(st.just("rule"), st.sampled_from(rules))
    weight = st.sampled_from((None, None, "0.5", "1", "2.5"))
    times = st.sampled_from(((0, 1), (0, None), (1, None), (2, 2), (0, 2), (1, 3), (0, 0), (1, 1)))

    def larger(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        branches = st.lists(st.tuples(weight, inner), min_size=1, max_size=3)
        return st.one_of(
            st.tuples(st.just("sequence"), st.lists(inner, max_size=3)),
            st.tuples(st.just("alternatives"), branches),
            st.tuples(st.just("repeat"), inner, times),
        )

    return st.recursive(leaf, larger, max_leaves=8)


@st.composite
def grammars(draw: st.DrawFn, *, recursive: bool) -> Mapping[str, Tree]:
    """Rules by name, the first one the root; unless ``recursive``, each refers to later ones."""
    names = ("r", "s", "t")[: draw(st.integers(1, 3))]
    return {
        name: draw(trees(names if recursive else names[index + 1 :]))
        for index, name in enumerate(names)
    }


# --- Writing


def as_xml(grammar: Mapping[str, Tree]) -> bytes:
    """The grammar in XML."""
    rules = "".join(
        f'<rule id="{name}"><item>{_xml(tree)}</item></rule>' for name, tree in grammar.items()
    )
    attributes = 'version="1.0" tag-format="semantics/1.0-literals" root="r"'
    return f"<grammar {attributes}>{rules}</grammar>".encode()


def _xml(tree: Tree) -> str:
    match tree:
        case ("token", word):
            return f"<token>{word}</token>"
        case ("tag", text):
            return f"<tag>{text}</tag>"
        case ("special", name):
            return f'<ruleref special="{name}"/>'
        case ("rule", name):
            return f'<ruleref uri="#{name}"/>'
        case ("sequence", parts):
            return f"<item>{' '.join(_xml(part) for part in parts)}</item>"
        case ("repeat", inner, times):
            return f'<item repeat="{_times(times)}">{_xml(inner)}</item>'
        case ("alternatives", branches):
            items = "".join(
                f'<item weight="{weight or 1}">{_xml(part)}</item>' for weight, part in branches
            )
            return f"<one-of>{items}</one-of>"
    raise AssertionError(tree)


def as_abnf(grammar: Mapping[str, Tree]) -> bytes:
    """The grammar in ABNF."""
    rules = "".join(f"${name} = {_abnf(tree)};\n" for name, tree in grammar.items())
    return f"#ABNF 1.0;\ntag-format <semantics/1.0-literals>;\nroot $r;\n{rules}".encode()


def _abnf(tree: Tree) -> str:
    match tree:
        case ("token", word):
            return str(word)
        case ("tag", text):
            return f"{{{text}}}"
        case ("special" | "rule", name):
            return f"${name}"
        case ("sequence", parts):
            return f"({' '.join(_abnf(part) for part in parts)})"
        case ("repeat", inner, times):
            return f"({_abnf(inner)})<{_times(times)}>"
        case ("alternatives", branches):
            written = (f"/{weight}/ " * bool(weight) + _abnf(part) for weight, part in branches)
            return f"({' | '.join(written)})"
    raise AssertionError(tree)


def _times(times: tuple[int, int | None]) -> str:
    least, most = times
    return f"{least}" if most == least else f"{least}-{'' if most is None else most}"


# --- Meaning


class TooMuch(Exception):
    """The oracle has followed more steps than a test can wait for."""


class Oracle:
    """All ways through a grammar for some words, the preferred one first."""

    def __init__(self, grammar: Mapping[str, Tree], words: Sequence[str]) -> None:
        self._grammar = grammar
        self._words = words
        self._left = ORACLE_STEPS_MAX

    def preferred(self) -> Steps | None:
        """The first way that takes all words; None: there is none."""
        for end, steps in self._ways(("rule", "r"), 0):
            if end == len(self._words):
                return steps
        return None

    def _ways(self, tree: Tree, at: int) -> Iterator[tuple[int, Steps]]:
        self._left -= 1
        if self._left < 0:
            raise TooMuch
        match tree:
            case ("token", word):
                if self._words[at : at + 1] == [word]:
                    yield at + 1, (("token", word),)
            case ("tag", text):
                yield at, (("tag", text),)
            case ("special", "NULL"):
                yield at, ()
            case ("special", "GARBAGE"):
                yield from ((end, ()) for end in range(at, len(self._words) + 1))
            case ("rule", name):
                for end, steps in self._ways(self._grammar[name], at):
                    yield end, (("enter", name), *steps, ("leave", name))
            case ("sequence", parts):
                yield from self._in_turn(parts, at)
            case ("alternatives", branches):
                for _, part in sorted(branches, key=lambda branch: -float(branch[0] or 1)):
                    yield from self._ways(part, at)
            case ("repeat", inner, (least, most)):
                yield from self._repeated(inner, least, most, at)

    def _in_turn(self, parts: Sequence[Tree], at: int) -> Iterator[tuple[int, Steps]]:
        if not parts:
            yield at, ()
            return
        for middle, steps in self._ways(parts[0], at):
            for end, others in self._in_turn(parts[1:], middle):
                yield end, steps + others

    def _repeated(
        self, inner: Tree, least: int, most: int | None, at: int
    ) -> Iterator[tuple[int, Steps]]:
        if most == 0:
            yield at, ()
            return
        for middle, steps in self._ways(inner, at):
            if middle == at and most is None and not least:
                continue  # once more of nothing, without end
            rest = None if most is None else most - 1
            for end, others in self._repeated(inner, max(least - 1, 0), rest, middle):
                yield end, steps + others
        if not least:
            yield at, ()


def repeats_nothing(grammar: Mapping[str, Tree]) -> bool:
    """Whether something is repeated without end that may be said without a word."""

    def empty(tree: Tree) -> bool:
        match tree:
            case ("token", _) | ("special", "VOID"):
                return False
            case ("rule", name):
                return empty(grammar[name])
            case ("sequence", parts):
                return all(empty(part) for part in parts)
            case ("alternatives", branches):
                return any(empty(part) for _, part in branches)
            case ("repeat", inner, (least, _)):
                return not least or empty(inner)
        return True

    def found(tree: Tree) -> bool:
        match tree:
            case ("sequence", parts):
                return any(found(part) for part in parts)
            case ("alternatives", branches):
                return any(found(part) for _, part in branches)
            case ("repeat", inner, (_, most)):
                return (most is None and empty(inner)) or found(inner)
        return False

    return any(found(tree) for tree in grammar.values())


def ends_of(grammar: Mapping[str, Tree], words: Sequence[str]) -> bool:
    """Whether a grammar, however its rules refer to each other, accepts the words.

    What each rule may take from each place is made larger until nothing is added any more.
    """
    table: dict[tuple[str, int], set[int]] = {
        (name, at): set() for name in grammar for at in range(len(words) + 1)
    }

    def ends(tree: Tree, at: int) -> set[int]:
        match tree:
            case ("token", word):
                return {at + 1} if words[at : at + 1] == [word] else set()
            case ("tag", _) | ("special", "NULL"):
                return {at}
            case ("special", "GARBAGE"):
                return set(range(at, len(words) + 1))
            case ("rule", name):
                return table[name, at]
            case ("sequence", parts):
                found = {at}
                for part in parts:
                    found = {end for middle in found for end in ends(part, middle)}
                return found
            case ("alternatives", branches):
                return {end for _, part in branches for end in ends(part, at)}
            case ("repeat", inner, (least, most)):
                reached, found = {at}, {at} if not least else set()
                for count in range(1, (least + len(words) + 1 if most is None else most) + 1):
                    reached = {end for middle in reached for end in ends(inner, middle)}
                    found |= reached if count >= least else set()
                return found
        return set()

    grown = True
    while grown:
        grown = False
        for (name, at), known in table.items():
            more = ends(grammar[name], at) - known
            known |= more
            grown = grown or bool(more)
    return len(words) in table["r", 0]
