"""Calls: what an account is shown and billed for, with the timeline of each.

A live call is in memory and, within half a second, in the database: `Calls` stores
all that changed in one go, so that a thousand calls cost a handful of statements.
What money depends on (holds, participants) never waits for that: it is written
before it takes effect.

    ringing -> up -> ended
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from service.errors import Refused, Status
from service.legs import CallLeg
from service.limits import CALL_EVENTS_MAX, CALLS_UNSTORED_MAX
from service.storage.database import Database
from service.storage.tables import call_events, calls
from service.views import CallView, TimelineEntry

log = logging.getLogger(__name__)

STORE_EVERY_S = 0.5
LEGAL_STEPS = {"ringing": ("up", "ended"), "up": ("ended",), "ended": ()}


@dataclass(frozen=True)
class CallEvent:
    """One entry of a call's timeline."""

    at: datetime
    kind: str
    detail: Mapping[str, Any]


@dataclass
class Call:
    """One call while it lives."""

    id: str
    account_id: str | None
    direction: str  # incoming, outgoing
    caller: str
    called: str
    created_at: datetime
    now: Callable[[], datetime]
    state: str = "ringing"
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: str = ""
    cost_millicredits: int = 0
    earned_millicredits: int = 0
    pin: str | None = field(default=None, repr=False)  # that the caller typed at the dial-in
    earns: bool = False  # comes from outside and is paid for there
    events: list[CallEvent] = field(default_factory=list)
    legs: list[CallLeg] = field(default_factory=list)
    stored: bool = False
    stored_events: int = 0

    def note(self, kind: str, **detail: Any) -> None:
        """Add an entry to the timeline; the last place of a full one says so."""
        if len(self.events) < CALL_EVENTS_MAX - 1:
            self.events.append(CallEvent(self.now(), kind, detail))
        elif len(self.events) == CALL_EVENTS_MAX - 1:
            self.events.append(CallEvent(self.now(), "timeline_full", {"max": CALL_EVENTS_MAX}))

    def step(self, state: str) -> None:
        if state not in LEGAL_STEPS[self.state]:
            raise ValueError(f"call {self.id} is {self.state}: it can't become {state}")
        self.state = state

    def answered(self) -> None:
        if self.state == "ringing":
            self.step("up")
            self.answered_at = self.now()
            self.note("answered")

    def stop(self, cause: str) -> None:
        """Hang up every leg; the flow that drives them then ends the call."""
        self.cause = self.cause or cause
        for leg in list(self.legs):
            leg.hang_up(cause)

    def add_leg(self, leg: CallLeg) -> None:
        self.legs.append(leg)
        leg.ended.add_done_callback(lambda _: self.legs.remove(leg))
        if self.cause:
            leg.hang_up(self.cause)


class Calls:
    """The live calls of this node, and the way to the stored ones."""

    def __init__(self, database: Database, node_id: str, now: Callable[[], datetime]) -> None:
        self.live: dict[str, Call] = {}
        self.changed: dict[str, Call] = {}
        self.ended_total: dict[str, int] = {}
        self._database = database
        self._node_id = node_id
        self._now = now
        self._storing = asyncio.Lock()

    def begin(self, *, account_id: str | None, direction: str, caller: str, called: str) -> Call:
        call = Call(
            id=secrets.token_hex(8),
            account_id=account_id,
            direction=direction,
            caller=caller[:200],
            called=called[:200],
            created_at=self._now(),
            now=self._now,
        )
        call.note("created", direction=direction, caller=call.caller, called=call.called)
        self.live[call.id] = self.changed[call.id] = call
        return call

    def end(self, call: Call, cause: str) -> None:
        """End a call once; the first cause that was given stays."""
        if call.state == "ended":
            return
        call.cause = (call.cause or cause)[:40]
        call.step("ended")
        call.ended_at = self._now()
        call.note("ended", cause=call.cause)
        for leg in list(call.legs):
            leg.hang_up(call.cause)
        del self.live[call.id]
        self.changed[call.id] = call
        self.ended_total[call.cause] = self.ended_total.get(call.cause, 0) + 1

    async def store_for_ever(self) -> None:
        """Store what changed, every half second, until cancelled."""
        while True:
            await asyncio.sleep(STORE_EVERY_S)
            try:
                await self.store()
            except Exception:
                log.exception("calls could not be stored; they are tried again")

    async def store(self) -> None:
        """Store every call that changed; those of a failed attempt stay to be stored."""
        async with self._storing:
            for call in self.live.values():
                if call.stored_events != len(call.events):
                    self.changed[call.id] = call
            batch, self.changed = list(self.changed.values()), {}
            if not batch:
                return
            new = [self._row(call) for call in batch if not call.stored]
            old = [self._row(call) for call in batch if call.stored]
            upto = {call.id: len(call.events) for call in batch}
            events = [row for call in batch for row in _event_rows(call)]
            try:
                await self._database.write(lambda connection: _write(connection, new, old, events))
            except Exception:
                keep = batch[-CALLS_UNSTORED_MAX:]
                self.changed = {call.id: call for call in keep} | self.changed
                raise
            for call in batch:
                call.stored = True
                call.stored_events = upto[call.id]

    async def view(self, account_id: str, call_id: str) -> CallView:
        """Return a live or stored call of the account; raises `Refused` where there is none."""
        call = self.live.get(call_id) or self.changed.get(call_id)
        if call is not None and call.account_id == account_id:
            return _view(self._row(call), call.events)
        found = await self._database.read(lambda connection: _read(connection, call_id))
        if found is None or found[0]["account_id"] != account_id:
            raise unknown_call(call_id)
        return _view(*found)

    def _row(self, call: Call) -> dict[str, Any]:
        return {
            "id": call.id,
            "account_id": call.account_id,
            "direction": call.direction,
            "caller": call.caller,
            "called": call.called,
            "state": call.state,
            "node": self._node_id,
            "created_at": call.created_at,
            "answered_at": call.answered_at,
            "ended_at": call.ended_at,
            "cause": call.cause or None,
            "cost_millicredits": call.cost_millicredits,
            "earned_millicredits": call.earned_millicredits,
        }


def unknown_call(call_id: str) -> Refused:
    return Refused(
        Status.NOT_FOUND,
        f"the account has no call {call_id!r}",
        field="call_id",
        hint="the call_id that createCall answered, or one of the account's calls",
    )


CHANGING = ("account_id", "state", "answered_at", "ended_at", "cause")
AMOUNTS = ("cost_millicredits", "earned_millicredits")
UPDATE = (
    update(calls)
    .where(calls.c.id == bindparam("call"))
    .values({name: bindparam(f"new_{name}") for name in (*CHANGING, *AMOUNTS)})
)


def _event_rows(call: Call) -> list[dict[str, Any]]:
    return [
        {
            "call_id": call.id,
            "sequence": sequence,
            "at": event.at,
            "kind": event.kind,
            "detail": dict(event.detail),
        }
        for sequence, event in enumerate(call.events[call.stored_events :], call.stored_events)
    ]


def _write(
    connection: Connection,
    new: list[dict[str, Any]],
    old: list[dict[str, Any]],
    events: list[dict[str, Any]],
) -> None:
    if new:
        connection.execute(insert(calls), new)
    if old:
        connection.execute(
            UPDATE,
            [
                {"call": row["id"]} | {f"new_{name}": row[name] for name in (*CHANGING, *AMOUNTS)}
                for row in old
            ],
        )
    if events:
        connection.execute(insert(call_events), events)


def _read(connection: Connection, call_id: str) -> tuple[dict[str, Any], list[CallEvent]] | None:
    row = connection.execute(select(calls).where(calls.c.id == call_id)).mappings().first()
    if row is None:
        return None
    events = connection.execute(
        select(call_events).where(call_events.c.call_id == call_id).order_by(call_events.c.sequence)
    )
    return dict(row), [CallEvent(e.at, e.kind, e.detail) for e in events]


def _view(row: Mapping[str, Any], events: list[CallEvent]) -> CallView:
    answered, ended = row["answered_at"], row["ended_at"]
    return CallView(
        call_id=row["id"],
        direction=row["direction"],
        caller=row["caller"],
        called=row["called"],
        state=row["state"],
        created=row["created_at"],
        answered=answered,
        ended=ended,
        duration_s=int((ended - answered).total_seconds()) if answered and ended else 0,
        cause=row["cause"] or "",
        cost_millicredits=row["cost_millicredits"],
        earned_millicredits=row["earned_millicredits"],
        timeline=tuple(TimelineEntry(e.at, e.kind, dict(e.detail)) for e in events),
    )
