"""Holds: money set aside while a call runs, then taken (captured) or given back (released).

Two phases, as cards do it: `place` before the call is dialled, `answered` when the
meter starts, `extend` while it runs, and exactly one of `capture` and `release`. A
hold's row carries all that settling it takes, so a node that dies owes nothing that
`settle_node` cannot compute.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from billing.errors import HoldClosed, IllegalHoldStep, UnknownHold
from billing.ledger import REVENUE, aside, balance, move, spendable
from billing.money import check_amount, cost, seconds_between
from billing.tables import holds, microseconds, moment


class State(StrEnum):
    """Where a hold stands."""

    PLACED = "placed"
    ANSWERED = "answered"
    CAPTURED = "captured"
    RELEASED = "released"


class Event(StrEnum):
    """What happens to a hold."""

    ANSWER = "answer"
    EXTEND = "extend"
    CAPTURE = "capture"
    RELEASE = "release"


# The legal steps. A captured or released hold has none: it is over.
STEPS: dict[State, dict[Event, State]] = {
    State.PLACED: {
        Event.ANSWER: State.ANSWERED,
        Event.EXTEND: State.PLACED,
        Event.CAPTURE: State.CAPTURED,
        Event.RELEASE: State.RELEASED,
    },
    State.ANSWERED: {
        Event.EXTEND: State.ANSWERED,
        Event.CAPTURE: State.CAPTURED,
        Event.RELEASE: State.RELEASED,
    },
    State.CAPTURED: {},
    State.RELEASED: {},
}
OPEN = tuple(state.value for state, steps in STEPS.items() if steps)


@dataclass(frozen=True)
class HoldRow:
    """A hold as its row tells it; amounts in millicredits."""

    id: int
    account_id: str
    reference: str
    node: str
    state: State
    millicredits_per_minute: int
    held: int
    captured: int
    placed_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Settlement:
    """How a hold that its node left open was settled: the seconds used and what they cost."""

    hold_id: int
    account_id: str
    reference: str
    answered_at: datetime | None
    seconds: int
    captured: int


_INSERT = insert(holds)
_SELECT = select(holds).where(holds.c.id == bindparam("of"))
_SELECT_TO_CHANGE = _SELECT.with_for_update()
_SELECT_OPEN = (
    select(holds)
    .where(holds.c.node == bindparam("of_node"), holds.c.state.in_(OPEN))
    .order_by(holds.c.id)
)
_ANSWER = (
    update(holds)
    .where(holds.c.id == bindparam("of"))
    .values(state=State.ANSWERED.value, answered_at_us=bindparam("at_us"))
)
_EXTEND = (
    update(holds)
    .where(holds.c.id == bindparam("of"))
    .values(held_millicredits=holds.c.held_millicredits + bindparam("amount"))
)
_END = (
    update(holds)
    .where(holds.c.id == bindparam("of"))
    .values(
        state=bindparam("to"),
        held_millicredits=0,
        captured_millicredits=bindparam("captured"),
        ended_at_us=bindparam("at_us"),
    )
)


def place(
    connection: Connection,
    *,
    account_id: str,
    amount: int,
    millicredits_per_minute: int,
    reference: str,
    node: str,
    at: datetime,
) -> int:
    """Set `amount` (0 or more) aside for a call, at its price; return the hold's id.

    Raises `InsufficientCredit` (nothing is then set aside), `UnknownAccount`, `BadAmount`.
    """
    check_amount(amount, least=0)
    check_amount(millicredits_per_minute, least=0)
    if amount:
        _set_aside(connection, account_id, amount, reference, at)
    else:
        balance(connection, account_id)  # a free call needs an account all the same
    placed = connection.execute(
        _INSERT,
        {
            "account_id": account_id,
            "reference": reference,
            "node": node,
            "state": State.PLACED.value,
            "millicredits_per_minute": millicredits_per_minute,
            "held_millicredits": amount,
            "captured_millicredits": 0,
            "placed_at_us": microseconds(at),
        },
    )
    key = placed.inserted_primary_key
    assert key is not None
    return int(key[0])


def answered(connection: Connection, hold_id: int, *, at: datetime) -> None:
    """Note that the call was answered: from `at` on it costs. Once for each hold."""
    _step(connection, hold_id, Event.ANSWER)
    connection.execute(_ANSWER, {"of": hold_id, "at_us": microseconds(at)})


def extend(connection: Connection, hold_id: int, amount: int, *, at: datetime) -> None:
    """Set `amount` more aside for a running call.

    Raises `InsufficientCredit` (with what is `available`; the hold stays as it was),
    `HoldClosed`, `UnknownHold`, `BadAmount`.
    """
    row = _step(connection, hold_id, Event.EXTEND)
    _set_aside(connection, row.account_id, amount, row.reference, at)
    connection.execute(_EXTEND, {"of": hold_id, "amount": amount})


def capture(
    connection: Connection, hold_id: int, amount: int, *, at: datetime, memo: str = ""
) -> int:
    """End a hold: take `amount` (0 or more) for the call, give the rest back.

    Returns what was taken. Where the call cost more than was held, the rest is taken from
    what is available, and at most one second's price of it from below zero: that is the
    second that had started when the credit ended. Raises `HoldClosed`, `UnknownHold`,
    `BadAmount`.
    """
    row = _step(connection, hold_id, Event.CAPTURE)
    check_amount(amount, least=0)
    account, held = spendable(row.account_id), aside(row.account_id)
    reference = row.reference
    taken: int = min(amount, row.held_millicredits)
    if taken:
        move(connection, held, REVENUE, taken, reference=reference, at=at, memo=memo)
    if back := row.held_millicredits - taken:
        move(connection, held, account, back, reference=reference, at=at, memo="hold given back")
    if amount > taken:
        second = cost(row.millicredits_per_minute, 1)
        reach = balance(connection, row.account_id).available + second
        if (above := min(amount - taken, reach)) > 0:
            move(connection, account, REVENUE, above, reference=reference, at=at, memo=memo)
            taken += above
    _end(connection, hold_id, State.CAPTURED, taken, at)
    return taken


def release(connection: Connection, hold_id: int, *, at: datetime) -> None:
    """End a hold and give all of it back. Raises `HoldClosed`, `UnknownHold`."""
    row = _step(connection, hold_id, Event.RELEASE)
    if row.held_millicredits:
        move(
            connection,
            aside(row.account_id),
            spendable(row.account_id),
            row.held_millicredits,
            reference=row.reference,
            at=at,
            memo="hold given back",
        )
    _end(connection, hold_id, State.RELEASED, 0, at)


def hold(connection: Connection, hold_id: int) -> HoldRow:
    """Return a hold, open or ended. Raises `UnknownHold`."""
    row = connection.execute(_SELECT, {"of": hold_id}).one_or_none()
    if row is None:
        raise UnknownHold(f"there is no hold {hold_id}")
    return _hold(row)


def open_holds(connection: Connection, node: str) -> list[HoldRow]:
    """Return the node's holds that have not ended, oldest first."""
    return [_hold(row) for row in connection.execute(_SELECT_OPEN, {"of_node": node})]


def settle_node(
    connection: Connection, node: str, *, alive_at: datetime, at: datetime
) -> list[Settlement]:
    """Settle what a node that died left open; at its next start, before its first call.

    Each open hold is captured for the seconds from its answer to `alive_at`, the last
    moment the node is known to have lived, and released where nobody had answered.
    Returns one `Settlement` for each, so that calls can be closed with the same figures;
    a second run finds nothing open and returns an empty list.
    """
    settled = []
    for left in open_holds(connection, node):
        seconds, captured = 0, 0
        if left.answered_at is None:
            release(connection, left.id, at=at)
        else:
            seconds = seconds_between(left.answered_at, alive_at)
            price = cost(left.millicredits_per_minute, seconds)
            captured = capture(connection, left.id, price, at=at, memo="settled after a restart")
        settled.append(
            Settlement(
                hold_id=left.id,
                account_id=left.account_id,
                reference=left.reference,
                answered_at=left.answered_at,
                seconds=seconds,
                captured=captured,
            )
        )
    return settled


def _set_aside(
    connection: Connection, account_id: str, amount: int, reference: str, at: datetime
) -> None:
    giver, taker = spendable(account_id), aside(account_id)
    move(connection, giver, taker, amount, reference=reference, at=at, memo="held", guarded=True)


def _step(connection: Connection, hold_id: int, event: Event) -> Row[tuple[object, ...]]:
    """Return the hold's row, locked, where `event` is legal in its state."""
    row = connection.execute(_SELECT_TO_CHANGE, {"of": hold_id}).one_or_none()
    if row is None:
        raise UnknownHold(f"there is no hold {hold_id} to {event}")
    state = State(row.state)
    if event in STEPS[state]:
        return row
    if state not in OPEN:
        raise HoldClosed(f"hold {hold_id} is {state}: it has ended and cannot {event} any more")
    raise IllegalHoldStep(f"hold {hold_id} is {state}: {event} is not legal there")


def _end(connection: Connection, hold_id: int, to: State, captured: int, at: datetime) -> None:
    connection.execute(
        _END, {"of": hold_id, "to": to.value, "captured": captured, "at_us": microseconds(at)}
    )


def _hold(row: Row[tuple[object, ...]]) -> HoldRow:
    return HoldRow(
        id=row.id,
        account_id=row.account_id,
        reference=row.reference,
        node=row.node,
        state=State(row.state),
        millicredits_per_minute=row.millicredits_per_minute,
        held=row.held_millicredits,
        captured=row.captured_millicredits,
        placed_at=moment(row.placed_at_us),
        answered_at=None if row.answered_at_us is None else moment(row.answered_at_us),
        ended_at=None if row.ended_at_us is None else moment(row.ended_at_us),
    )
