"""Random money, random crashes: the ledger always adds up and nobody is overdrawn.

A model beside the ledger knows what each account must have. A crash is what a database
makes of one: all that was not committed is gone, at any statement of any operation.
"""

import contextlib
from datetime import UTC, datetime, timedelta

import sqlalchemy
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)
from sqlalchemy import Connection, event, select

from billing import holds, ledger
from billing.errors import HoldClosed, IllegalHoldStep, InsufficientCredit
from billing.holds import State
from billing.money import cost
from billing.tables import holds as holds_table
from billing.tables import metadata

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
ACCOUNTS = ("a", "b")
PRICE_MAX = 60_000

amounts = st.integers(1, 30_000)


class Crash(Exception):
    """The process died here."""


class Money(RuleBasedStateMachine):
    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.engine = sqlalchemy.create_engine(
            "sqlite://", connect_args={"isolation_level": None, "check_same_thread": False}
        )
        self.connection: Connection = self.engine.connect()
        self.at = START
        self.statements_left: int | None = None
        self.put_in = dict.fromkeys(ACCOUNTS, 0)  # credit given to each
        self.taken = dict.fromkeys(ACCOUNTS, 0)  # credit each paid for calls
        self.nodes = {"n1", "n2"}

        @event.listens_for(self.engine, "before_cursor_execute")
        def count_down(*_: object) -> None:
            if self.statements_left is not None:
                self.statements_left -= 1
                if self.statements_left < 0:
                    raise Crash

    def teardown(self) -> None:
        self.restart("n1", 1_000.0)
        self.restart("n2", 0.0)
        left = self.connection.execute(
            select(holds_table).where(holds_table.c.state.in_(holds.OPEN))
        ).all()
        assert left == [], "a hold never ended"
        assert all(ledger.balance(self.connection, name).held == 0 for name in ACCOUNTS)
        self.adds_up()
        self.connection.close()
        self.engine.dispose()

    def _begin(self, crash_after: int | None = None) -> None:
        self.connection.exec_driver_sql("BEGIN IMMEDIATE")
        self.statements_left = crash_after

    def _end(self, *, good: bool) -> None:
        self.statements_left = None
        self.connection.exec_driver_sql("COMMIT" if good else "ROLLBACK")

    @initialize(opening=st.integers(0, 100_000))
    def open(self, opening: int) -> None:
        self.connection.exec_driver_sql("BEGIN IMMEDIATE")
        metadata.create_all(self.connection)
        for name in ACCOUNTS:
            ledger.open_account(self.connection, name, opening_millicredits=opening, at=self.at)
            self.put_in[name] += opening
        self._end(good=True)

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    @rule(name=st.sampled_from(ACCOUNTS), amount=amounts, bought=st.booleans())
    def put(self, name: str, amount: int, bought: bool) -> None:
        self._begin()
        if bought:
            ledger.grant(self.connection, name, amount, at=self.at, source="topup:card")
        else:
            ledger.earn(self.connection, name, amount, reference="in", at=self.at)
        self._end(good=True)
        self.put_in[name] += amount

    @rule(
        target=calls,
        name=st.sampled_from(ACCOUNTS),
        amount=st.integers(0, 30_000),
        price=st.integers(0, PRICE_MAX),
        node=st.sampled_from(["n1", "n2"]),
    )
    def place(self, name: str, amount: int, price: int, node: str) -> int:
        self._begin()
        before = ledger.balance(self.connection, name)
        try:
            hold_id = holds.place(
                self.connection,
                account_id=name,
                amount=amount,
                millicredits_per_minute=price,
                reference="call",
                node=node,
                at=self.at,
            )
        except InsufficientCredit:
            self._end(good=False)
            assert before.available < amount
            return 0
        self._end(good=True)
        assert before.available >= amount
        return hold_id

    @rule(hold_id=calls)
    def answer(self, hold_id: int) -> None:
        if not hold_id:
            return
        self._begin()
        before = holds.hold(self.connection, hold_id).state
        try:
            holds.answered(self.connection, hold_id, at=self.at)
        except (HoldClosed, IllegalHoldStep):
            self._end(good=False)
            assert before is not State.PLACED
        else:
            self._end(good=True)
            assert before is State.PLACED

    @rule(hold_id=calls, amount=amounts)
    def extend(self, hold_id: int, amount: int) -> None:
        if not hold_id:
            return
        self._begin()
        row = holds.hold(self.connection, hold_id)
        available = ledger.balance(self.connection, row.account_id).available
        try:
            holds.extend(self.connection, hold_id, amount, at=self.at)
        except InsufficientCredit:
            self._end(good=False)
            assert available < amount
        except HoldClosed:
            self._end(good=False)
            assert row.state not in holds.OPEN
        else:
            self._end(good=True)
            assert holds.hold(self.connection, hold_id).held == row.held + amount

    @rule(hold_id=calls, amount=st.integers(0, 100_000))
    def capture(self, hold_id: int, amount: int) -> None:
        """Calls stay in the bundle: what has ended is tried again."""
        if not hold_id:
            return
        self._begin()
        row = holds.hold(self.connection, hold_id)
        available = ledger.balance(self.connection, row.account_id).available
        try:
            taken = holds.capture(self.connection, hold_id, amount, at=self.at)
        except HoldClosed:
            self._end(good=False)
            assert row.state not in holds.OPEN
            return
        self._end(good=True)
        self.taken[row.account_id] += taken
        reach = available + cost(row.millicredits_per_minute, 1)
        assert taken == min(amount, row.held + max(0, reach))

    @rule(hold_id=consumes(calls))
    def release(self, hold_id: int) -> None:
        if not hold_id:
            return
        self._begin()
        row = holds.hold(self.connection, hold_id)
        try:
            holds.release(self.connection, hold_id, at=self.at)
        except HoldClosed:
            self._end(good=False)
            assert row.state not in holds.OPEN
        else:
            self._end(good=True)

    @rule(hold_id=calls, statements=st.integers(0, 12), what=st.sampled_from(["end", "more"]))
    def crash_within(self, hold_id: int, statements: int, what: str) -> None:
        if not hold_id:
            return
        before = [ledger.balance(self.connection, name) for name in ACCOUNTS]
        self._begin(crash_after=statements)
        try:
            if what == "end":
                holds.capture(self.connection, hold_id, 1_000, at=self.at)
            else:
                holds.extend(self.connection, hold_id, 1_000, at=self.at)
        except (Crash, HoldClosed, InsufficientCredit):
            pass
        self._end(good=False)
        assert before == [ledger.balance(self.connection, name) for name in ACCOUNTS]

    @rule(node=st.sampled_from(["n1", "n2"]), alive_for=st.floats(0, 200), twice=st.booleans())
    def restart(self, node: str, alive_for: float, twice: bool = True) -> None:
        alive_at = self.at + timedelta(seconds=alive_for)
        for time in range(1 + twice):
            self._begin()
            settled = holds.settle_node(self.connection, node, alive_at=alive_at, at=self.at)
            self._end(good=True)
            assert not (time and settled), "a second start settled again"
            for one in settled:
                self.taken[one.account_id] += one.captured
                assert one.answered_at is not None or one.captured == 0
        assert holds.open_holds(self.connection, node) == []

    @rule(node=st.sampled_from(["n1", "n2"]), statements=st.integers(0, 40))
    def crash_within_a_restart(self, node: str, statements: int) -> None:
        before = holds.open_holds(self.connection, node)
        self._begin(crash_after=statements)
        with contextlib.suppress(Crash):
            holds.settle_node(self.connection, node, alive_at=self.at, at=self.at)
        self._end(good=False)
        assert holds.open_holds(self.connection, node) == before

    @invariant()
    def adds_up(self) -> None:
        if not self.put_in:
            return
        assert ledger.verify(self.connection) == []
        for name in ACCOUNTS:
            balance = ledger.balance(self.connection, name)
            assert balance.total == self.put_in[name] - self.taken[name]
            assert balance.available >= -cost(PRICE_MAX, 1)
            assert balance.held >= 0


class TestMoney(Money.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
