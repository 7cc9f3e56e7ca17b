"""Two-sided postings, balances, and the check that both agree."""

from datetime import datetime

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError

from billing import holds, ledger
from billing.errors import AccountExists, BadAmount, TooLong, UnknownAccount
from billing.ledger import Balance
from billing.limits import (
    ACCOUNT_ID_CHARS_MAX,
    AMOUNT_MILLICREDITS_MAX,
    MEMO_CHARS_MAX,
    REFERENCE_CHARS_MAX,
)
from billing.tables import postings


def test_a_new_account_has_its_opening_credit(connection: Connection) -> None:
    assert ledger.balance(connection, "a") == Balance(available=200_000, held=0)
    assert ledger.balance(connection, "a").total == 200_000
    assert ledger.verify(connection) == []


def test_an_account_may_open_with_nothing(connection: Connection, at: datetime) -> None:
    ledger.open_account(connection, "b", opening_millicredits=0, at=at)
    assert ledger.balance(connection, "b") == Balance(available=0, held=0)


def test_an_account_opens_once(connection: Connection, at: datetime) -> None:
    with pytest.raises(AccountExists, match="account a "):
        ledger.open_account(connection, "a", opening_millicredits=200_000, at=at)
    assert ledger.balance(connection, "a").total == 200_000


def test_earning_pays_the_account_with_a_posting_of_its_call(
    connection: Connection, at: datetime
) -> None:
    ledger.earn(connection, "a", 2_000, reference="call1", at=at, memo="60 s")
    assert ledger.balance(connection, "a").available == 202_000
    row = connection.execute(select(postings).where(postings.c.reference == "call1")).one()
    assert (row.giver, row.taker, row.amount_millicredits, row.memo) == (
        "expense:earnings",
        "account:a",
        2_000,
        "60 s",
    )
    assert ledger.verify(connection) == []


def test_earning_nothing_posts_nothing(connection: Connection, at: datetime) -> None:
    ledger.earn(connection, "a", 0, reference="call1", at=at)
    assert connection.execute(select(postings)).all()[1:] == []


def test_credit_is_granted_from_a_named_source(connection: Connection, at: datetime) -> None:
    ledger.grant(connection, "a", 5_000, at=at, source="topup:card", reference="payment1")
    assert ledger.balance(connection, "a").available == 205_000
    assert ledger.verify(connection) == []


def test_credit_cannot_be_granted_out_of_another_account(
    connection: Connection, at: datetime
) -> None:
    ledger.open_account(connection, "b", opening_millicredits=1_000, at=at)
    with pytest.raises(UnknownAccount, match="account:b"):
        ledger.grant(connection, "a", 500, at=at, source="account:b")


def test_an_unknown_account_is_named(connection: Connection, at: datetime) -> None:
    with pytest.raises(UnknownAccount, match="nobody"):
        ledger.balance(connection, "nobody")
    with pytest.raises(UnknownAccount, match="nobody"):
        ledger.earn(connection, "nobody", 1, reference="", at=at)


@pytest.mark.parametrize("amount", [0, -1, AMOUNT_MILLICREDITS_MAX + 1])
def test_amounts_have_limits(connection: Connection, at: datetime, amount: int) -> None:
    with pytest.raises(BadAmount, match=f"{AMOUNT_MILLICREDITS_MAX}.*{amount}"):
        ledger.grant(connection, "a", amount, at=at)
    ledger.grant(connection, "a", AMOUNT_MILLICREDITS_MAX, at=at)


def test_texts_have_limits(connection: Connection, at: datetime) -> None:
    ledger.grant(
        connection, "a", 1, at=at, reference="r" * REFERENCE_CHARS_MAX, memo="m" * MEMO_CHARS_MAX
    )
    with pytest.raises(TooLong, match=str(REFERENCE_CHARS_MAX)):
        ledger.grant(connection, "a", 1, at=at, reference="r" * (REFERENCE_CHARS_MAX + 1))
    with pytest.raises(TooLong, match=str(MEMO_CHARS_MAX)):
        ledger.grant(connection, "a", 1, at=at, memo="m" * (MEMO_CHARS_MAX + 1))
    name = "i" * ACCOUNT_ID_CHARS_MAX
    ledger.open_account(connection, name, opening_millicredits=0, at=at)
    for wrong in (name + "i", ""):
        with pytest.raises(TooLong, match=str(ACCOUNT_ID_CHARS_MAX)):
            ledger.open_account(connection, wrong, opening_millicredits=0, at=at)


def test_a_time_without_a_zone_is_refused(connection: Connection, at: datetime) -> None:
    with pytest.raises(ValueError, match="without a zone"):
        ledger.grant(connection, "a", 1, at=at.replace(tzinfo=None))


def test_the_database_itself_refuses_a_posting_that_moves_nothing(connection: Connection) -> None:
    with pytest.raises(IntegrityError, match="postings_move_something"):
        connection.execute(text("UPDATE postings SET amount_millicredits = 0"))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            "UPDATE ledger_accounts SET balance_millicredits = 7 WHERE name = 'account:a'",
            ["sum to", "account:a has 7 millicredits but its postings sum to 199000"],
        ),
        (
            "DELETE FROM postings WHERE reference = 'call1'",
            ["held:a has 1000 millicredits but its postings sum to 0"],
        ),
        (
            "UPDATE holds SET held_millicredits = 3",
            ["held:a has 1000 millicredits but its open holds sum to 3"],
        ),
        (
            "UPDATE holds SET account_id = 'b'",
            ["held:a has 1000 millicredits", "held:b has None millicredits"],
        ),
    ],
)
def test_damage_is_found(
    connection: Connection, at: datetime, damage: str, found: list[str]
) -> None:
    holds.place(
        connection,
        account_id="a",
        amount=1_000,
        millicredits_per_minute=1_000,
        reference="call1",
        node="n",
        at=at,
    )
    assert ledger.verify(connection) == []
    connection.execute(text(damage))
    told = "\n".join(ledger.verify(connection))
    for sentence in found:
        assert sentence in told
