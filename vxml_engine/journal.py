"""A session's journal: what it takes to run it again exactly, and how to.

A session is a generator fed with outcomes.  Its start, the outcomes, their times and the seed of
its random numbers decide all it does.  A journal is lines of JSON, packed with zlib: the start;
each body that was fetched, once; each step (the effect's digest, its outcome, the time); the end.
Beyond ``JOURNAL_BYTES_MAX`` or ``JOURNAL_STEPS_MAX`` no more is kept, and the journal says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Final

from vxml_engine.cache import DocumentCache
from vxml_engine.collector import Collected, Mark
from vxml_engine.effects import (
    Disconnected,
    Effect,
    Fetched,
    FetchFailed,
    HandedOver,
    Heard,
    HungUp,
    InputFailed,
    Outcome,
    Played,
    Recorded,
    TransferFailed,
    Transferred,
    Utterance,
)
from vxml_engine.grammar.network import Network
from vxml_engine.interpreter import Observer
from vxml_engine.limits import JOURNAL_BYTES_MAX, JOURNAL_STEPS_MAX
from vxml_engine.session import Connection, Redirect, Session, SessionResult

VERSION: Final = 1
_OUTCOMES: Final = {
    kind.__name__: kind
    for kind in (
        *(Collected, Disconnected, FetchFailed, Fetched, HandedOver, Heard, HungUp),
        *(InputFailed, Mark, Played, Recorded, TransferFailed, Transferred, Utterance),
    )
}


class BadJournal(Exception):
    """These bytes are no journal, or one of another version."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a session begins with; ``seed`` has 32 bits."""

    start_url: str
    connection: Connection
    seed: int
    variables: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    recognizes: bool = False
    lenient: bool = False

    def session(
        self, documents: DocumentCache, observer: Observer | None, now: Callable[[], float]
    ) -> Session:
        """The session, whose ECMAScript is told the time ``now`` answers."""
        return Session(
            start_url=self.start_url,
            connection=self.connection,
            documents=documents,
            variables=self.variables,
            defaults=self.defaults,
            observer=observer,
            recognizes=self.recognizes,
            lenient=self.lenient,
            seed=self.seed,
            now=now,
        )


class Recorder:
    """Writes the journal of one session; ``clock`` answers seconds since 1970."""

    def __init__(self, start: Start, clock: Callable[[], float]) -> None:
        self._start = start
        self._clock = clock
        self._now_s = 0.0
        self._lines: list[bytes] = []
        self._bytes = 0
        self._steps = 0
        self._dropped = 0
        self._bodies: set[str] = set()
        self._end: dict[str, Any] | None = None

    def run(
        self, documents: DocumentCache, observer: Observer | None = None
    ) -> Generator[Effect, Outcome, SessionResult]:
        """The session's run, with the journal kept meanwhile."""
        self._now_s = self._clock()
        self._keep({"journal": VERSION, "start": asdict(self._start), "at": self._now_s})
        run = self._start.session(documents, observer, lambda: self._now_s).run()
        outcome: Outcome = None
        try:
            while True:
                effect = run.send(outcome)
                outcome = yield effect
                self._now_s = self._clock()
                self._step(effect, outcome)
        except StopIteration as end:
            result: SessionResult = end.value
            self._end = {"end": _plain(result)}
            return result
        finally:
            run.close()

    def packed(self) -> bytes:
        """The journal up to now."""
        lines = list(self._lines)
        if self._dropped:
            lines.append(_line({"dropped": self._dropped}))
        elif self._end is not None:
            lines.append(_line(self._end))
        return zlib.compress(b"".join(lines))

    def _step(self, effect: Effect, outcome: Outcome) -> None:
        lines: list[dict[str, Any]] = []
        if isinstance(outcome, Fetched):
            digest = _digest(outcome.body)
            if digest not in self._bodies:
                self._bodies.add(digest)
                lines.append({"body": digest, "base64": base64.b64encode(outcome.body).decode()})
        lines.append({"effect": digest_of(effect), "outcome": _plain(outcome), "at": self._now_s})
        self._steps += 1
        self._keep(*lines)

    def _keep(self, *values: dict[str, Any]) -> None:
        """Keep the lines of one step, all or none; after the first that is not, none is."""
        lines = [_line(value) for value in values]
        size = sum(map(len, lines))
        full = self._bytes + size > JOURNAL_BYTES_MAX or self._steps > JOURNAL_STEPS_MAX
        if self._dropped or full:
            self._dropped += 1
            return
        self._lines += lines
        self._bytes += size


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay's end: ``result`` is None where it did not come so far.

    ``difference`` tells the first step that is not as in the journal, ``dropped`` what the
    journal does not have; both are empty otherwise.
    """

    result: SessionResult | None
    difference: str = ""
    dropped: str = ""


def replay(
    packed: bytes,
    documents: DocumentCache,
    observer: Observer | None = None,
    tell: Callable[[Effect, Outcome], None] | None = None,
) -> Replayed:
    """Run a journal's session again; ``tell`` is told each effect with its outcome.

    Raises ``BadJournal``.
    """
    first, *rest = _read(packed)
    start = _started(first)
    bodies: dict[str, bytes] = {}
    now_s = float(first["at"])
    run = start.session(documents, observer, lambda: now_s).run()
    outcome: Outcome = None
    number = 0
    try:
        for line in rest:
            if "body" in line:
                bodies[line["body"]] = base64.b64decode(line["base64"])
            elif "effect" in line:
                number += 1
                effect = run.send(outcome)
                try:
                    outcome = _revived(line["outcome"], bodies)
                    now_s = float(line["at"])
                except (KeyError, TypeError, ValueError) as error:
                    raise BadJournal(f"step {number} cannot be read: {error}") from error
                if digest_of(effect) != line["effect"]:
                    return Replayed(None, f"step {number} differs: now it is {_summary(effect)}")
                if tell is not None:
                    tell(effect, outcome)
            elif "dropped" in line:
                return Replayed(None, dropped=f"the journal lacks {line['dropped']} steps")
            else:
                effect = run.send(outcome)
                return Replayed(None, f"it does not end after step {number}: {_summary(effect)}")
    except StopIteration as end:
        return _compared(end.value, rest[-1], number)
    finally:
        run.close()
    return Replayed(None, dropped="the journal ends before the session does")


def _compared(result: SessionResult, last: dict[str, Any], number: int) -> Replayed:
    if "end" not in last:
        return Replayed(result, f"the session ends at step {number}, before its journal")
    if last["end"] != json.loads(_line({"end": _plain(result)}))["end"]:
        return Replayed(result, f"the session ends otherwise: {result}")
    return Replayed(result)


# --- Values as JSON


def digest_of(effect: Effect) -> str:
    """Sixteen digits that stand for an effect; of grammars, their mode, root and size count."""
    return _digest(_line({"effect": _plain(effect)}))[:16]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    """A value of effects and outcomes as JSON: a dataclass becomes its name and its fields."""
    match value:
        case Network():
            return ["Network", value.mode, value.root, len(value.nodes)]
        case bytes():
            return _digest(value)
        case tuple() | list():
            return [_plain(one) for one in value]
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case _ if is_dataclass(value):
            plain = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
            return {"is": type(value).__name__, **plain}
        case _:
            return value


def _revived(plain: Any, bodies: Mapping[str, bytes]) -> Any:
    match plain:
        case {"is": name}:
            revived = {key: _revived(value, bodies) for key, value in plain.items() if key != "is"}
            if name == "Fetched":
                revived["body"] = bodies[revived["body"]]
            return _OUTCOMES[name](**revived)
        case list():
            return tuple(_revived(one, bodies) for one in plain)
        case _:
            return plain


def _summary(effect: Effect) -> str:
    text = repr(effect)
    return text if len(text) <= 200 else text[:199] + "…"


def _read(packed: bytes) -> list[dict[str, Any]]:
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(packed, 2 * JOURNAL_BYTES_MAX)
        if not unpacking.eof:
            raise BadJournal("it is cut off or too long")
        lines = [json.loads(line) for line in content.splitlines()]
    except (zlib.error, ValueError) as error:
        raise BadJournal(f"it is not a journal: {error}") from error
    if not lines or not all(isinstance(line, dict) for line in lines):
        raise BadJournal("it is not a journal")
    if lines[0].get("journal") != VERSION:
        raise BadJournal(f"it is not a journal of version {VERSION}")
    return lines


def _started(first: dict[str, Any]) -> Start:
    try:
        given = dict(first["start"])
        connection = dict(given.pop("connection"))
        redirects = tuple(Redirect(**one) for one in connection.pop("redirects"))
        return Start(connection=Connection(**connection, redirects=redirects), **given)
    except (KeyError, TypeError, ValueError) as error:
        raise BadJournal(f"the journal's start cannot be read: {error}") from error
