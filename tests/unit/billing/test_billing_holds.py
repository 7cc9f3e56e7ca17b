"""Two-phase money: every legal step, every illegal one, and what a dead node leaves."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection

from billing import holds, ledger
from billing.errors import (
    BadAmount,
    HoldClosed,
    IllegalHoldStep,
    InsufficientCredit,
    UnknownAccount,
    UnknownHold,
)
from billing.holds import STEPS, Event, Settlement, State
from billing.ledger import Balance

PRICE = 6_000  # a minute: 100 a second


def place(connection: Connection, at: datetime, amount: int = 6_000, **other: object) -> int:
    values = {
        "account_id": "a",
        "amount": amount,
        "millicredits_per_minute": PRICE,
        "reference": "call1",
        "node": "n1",
        "at": at,
    }
    return holds.place(connection, **(values | other))  # type: ignore[arg-type]


def revenue(connection: Connection) -> int:
    name = ledger.ledger_accounts.c.name
    found = connection.execute(ledger.ledger_accounts.select().where(name == ledger.REVENUE))
    row = found.one_or_none()
    return 0 if row is None else row.balance_millicredits


def test_a_hold_sets_money_aside(connection: Connection, at: datetime) -> None:
    hold_id = place(connection, at)
    assert ledger.balance(connection, "a") == Balance(available=194_000, held=6_000)
    hold = holds.hold(connection, hold_id)
    assert (hold.state, hold.held, hold.reference, hold.node) == (
        State.PLACED,
        6_000,
        "call1",
        "n1",
    )
    assert hold.placed_at == at
    assert ledger.verify(connection) == []


def test_a_call_from_beginning_to_end(connection: Connection, at: datetime) -> None:
    hold_id = place(connection, at)
    holds.answered(connection, hold_id, at=at)
    holds.extend(connection, hold_id, 6_000, at=at)
    assert ledger.balance(connection, "a") == Balance(available=188_000, held=12_000)
    assert holds.capture(connection, hold_id, 7_500, at=at, memo="75 s") == 7_500
    assert ledger.balance(connection, "a") == Balance(available=192_500, held=0)
    assert revenue(connection) == 7_500
    hold = holds.hold(connection, hold_id)
    assert (hold.state, hold.held, hold.captured) == (State.CAPTURED, 0, 7_500)
    assert (hold.answered_at, hold.ended_at) == (at, at)
    assert ledger.verify(connection) == []


def test_a_released_hold_costs_nothing(connection: Connection, at: datetime) -> None:
    hold_id = place(connection, at)
    holds.release(connection, hold_id, at=at)
    assert ledger.balance(connection, "a") == Balance(available=200_000, held=0)
    assert revenue(connection) == 0
    assert ledger.verify(connection) == []


def test_a_free_call_holds_and_costs_nothing(connection: Connection, at: datetime) -> None:
    hold_id = place(connection, at, amount=0, millicredits_per_minute=0)
    holds.answered(connection, hold_id, at=at)
    assert holds.capture(connection, hold_id, 0, at=at) == 0
    assert ledger.balance(connection, "a").available == 200_000
    with pytest.raises(UnknownAccount):
        place(connection, at, amount=0, account_id="nobody")


def test_credit_that_is_not_there_cannot_be_held(connection: Connection, at: datetime) -> None:
    with pytest.raises(InsufficientCredit, match="account a: 200001") as told:
        place(connection, at, amount=200_001)
    assert (told.value.available, told.value.needed) == (200_000, 200_001)
    with pytest.raises(UnknownAccount, match="nobody"):
        place(connection, at, account_id="nobody")
    assert ledger.balance(connection, "a") == Balance(available=200_000, held=0)


def test_several_holds_cannot_spend_the_same_credit(connection: Connection, at: datetime) -> None:
    first = place(connection, at, amount=150_000)
    with pytest.raises(InsufficientCredit):
        place(connection, at, amount=50_001)
    second = place(connection, at, amount=50_000)
    for hold_id in (first, second):
        with pytest.raises(InsufficientCredit) as told:
            holds.extend(connection, hold_id, 1, at=at)
        assert told.value.available == 0
    assert ledger.balance(connection, "a") == Balance(available=0, held=200_000)


def test_a_failed_extension_leaves_the_hold_as_it_was(connection: Connection, at: datetime) -> None:
    hold_id = place(connection, at, amount=199_000)
    with pytest.raises(InsufficientCredit) as told:
        holds.extend(connection, hold_id, 6_000, at=at)
    assert told.value.available == 1_000
    assert holds.hold(connection, hold_id).held == 199_000
    holds.extend(connection, hold_id, 1_000, at=at)
    assert holds.hold(connection, hold_id).held == 200_000


def test_what_a_call_cost_above_its_hold_is_taken_from_what_is_available(
    connection: Connection, at: datetime
) -> None:
    hold_id = place(connection, at)
    assert holds.capture(connection, hold_id, 6_100, at=at) == 6_100
    assert ledger.balance(connection, "a") == Balance(available=193_900, held=0)


def test_a_balance_goes_below_zero_by_the_final_second_only(
    connection: Connection, at: datetime
) -> None:
    first = place(connection, at, amount=100_000)
    second = place(connection, at, amount=100_000)
    assert holds.capture(connection, first, 100_100, at=at) == 100_100
    assert ledger.balance(connection, "a").available == -100
    assert holds.capture(connection, second, 500_000, at=at) == 100_000
    assert ledger.balance(connection, "a").available == -100
    assert ledger.verify(connection) == []
    with pytest.raises(InsufficientCredit) as told:
        place(connection, at, amount=1)
    assert told.value.available == -100


def steps(at: datetime) -> dict[Event, Callable[[Connection, int], object]]:
    return {
        Event.ANSWER: lambda c, h: holds.answered(c, h, at=at),
        Event.EXTEND: lambda c, h: holds.extend(c, h, 1, at=at),
        Event.CAPTURE: lambda c, h: holds.capture(c, h, 1, at=at),
        Event.RELEASE: lambda c, h: holds.release(c, h, at=at),
    }


PATHS = {
    State.PLACED: [],
    State.ANSWERED: [Event.ANSWER],
    State.CAPTURED: [Event.CAPTURE],
    State.RELEASED: [Event.RELEASE],
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_step_is_taken_or_refused_by_name(
    connection: Connection, at: datetime, state: State, event: Event
) -> None:
    step = steps(at)
    hold_id = place(connection, at)
    for earlier in PATHS[state]:
        step[earlier](connection, hold_id)
    before = ledger.balance(connection, "a")
    if event in STEPS[state]:
        step[event](connection, hold_id)
        assert holds.hold(connection, hold_id).state == STEPS[state][event]
    else:
        refusal = HoldClosed if state in (State.CAPTURED, State.RELEASED) else IllegalHoldStep
        with pytest.raises(refusal, match=f"{state}.*{event}"):
            step[event](connection, hold_id)
        assert ledger.balance(connection, "a") == before
    assert ledger.verify(connection) == []


@pytest.mark.parametrize("event", Event)
def test_an_unknown_hold_is_named(connection: Connection, at: datetime, event: Event) -> None:
    with pytest.raises(UnknownHold, match="hold 77"):
        steps(at)[event](connection, 77)
    with pytest.raises(UnknownHold, match="hold 77"):
        holds.hold(connection, 77)


def test_amounts_below_zero_are_refused(connection: Connection, at: datetime) -> None:
    with pytest.raises(BadAmount):
        place(connection, at, amount=-1)
    with pytest.raises(BadAmount):
        place(connection, at, millicredits_per_minute=-1)
    hold_id = place(connection, at)
    with pytest.raises(BadAmount):
        holds.extend(connection, hold_id, 0, at=at)
    with pytest.raises(BadAmount):
        holds.capture(connection, hold_id, -1, at=at)


def test_open_holds_are_a_nodes_own_in_order(connection: Connection, at: datetime) -> None:
    first = place(connection, at)
    place(connection, at, node="n2")
    third = place(connection, at)
    ended = place(connection, at)
    holds.release(connection, ended, at=at)
    assert [hold.id for hold in holds.open_holds(connection, "n1")] == [first, third]


def test_what_a_dead_node_left_is_settled_once(connection: Connection, at: datetime) -> None:
    ringing = place(connection, at, reference="ringing")
    running = place(connection, at, amount=12_000, reference="running")
    elsewhere = place(connection, at, node="n2", reference="elsewhere")
    answered = at + timedelta(seconds=3)
    for hold_id in (running, elsewhere):
        holds.answered(connection, hold_id, at=answered)
    restart = at + timedelta(hours=3)
    alive = answered + timedelta(seconds=60.2)
    settled = holds.settle_node(connection, "n1", alive_at=alive, at=restart)
    assert settled == [
        Settlement(ringing, "a", "ringing", None, seconds=0, captured=0),
        Settlement(running, "a", "running", answered, seconds=61, captured=6_100),
    ]
    assert holds.hold(connection, ringing).state is State.RELEASED
    assert holds.hold(connection, running).ended_at == restart
    assert ledger.balance(connection, "a") == Balance(available=187_900, held=6_000)
    assert holds.settle_node(connection, "n1", alive_at=alive, at=restart) == []
    assert revenue(connection) == 6_100
    assert [hold.id for hold in holds.open_holds(connection, "n2")] == [elsewhere]
    assert ledger.verify(connection) == []


def test_a_node_that_died_before_its_next_sign_of_life_charges_nothing(
    connection: Connection, at: datetime
) -> None:
    hold_id = place(connection, at)
    holds.answered(connection, hold_id, at=at)
    alive = at - timedelta(seconds=4)
    (settlement,) = holds.settle_node(connection, "n1", alive_at=alive, at=at)
    assert (settlement.seconds, settlement.captured) == (0, 0)
    assert ledger.balance(connection, "a") == Balance(available=200_000, held=0)


def test_a_clock_that_jumped_does_not_keep_a_call_from_being_settled(
    connection: Connection, at: datetime
) -> None:
    hold_id = place(connection, at)
    holds.answered(connection, hold_id, at=at)
    alive = at + timedelta(days=4000)
    holds.settle_node(connection, "n1", alive_at=alive, at=alive)
    assert ledger.balance(connection, "a") == Balance(available=-100, held=0)
    assert ledger.verify(connection) == []
