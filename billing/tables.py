"""The tables of the ledger.

`postings` is append-only and is the truth; `ledger_accounts.balance_millicredits` is
the running sum of an account's postings, kept in the same transaction so that a balance
is one row to read and one row to guard. `ledger.verify` compares the two.

Times (`*_us`) are microseconds since 1970-01-01T00:00Z.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

from billing.limits import ACCOUNT_ID_CHARS_MAX, MEMO_CHARS_MAX, REFERENCE_CHARS_MAX

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

LEDGER_NAME = String(ACCOUNT_ID_CHARS_MAX + 16)
ROW_ID = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

ledger_accounts = Table(
    "ledger_accounts",
    metadata,
    # account:ID, held:ID, revenue:calls, expense:earnings, grant:opening, topup:...
    Column("name", LEDGER_NAME, primary_key=True),
    Column("balance_millicredits", BigInteger, nullable=False),
    Column("opened_at_us", BigInteger, nullable=False),
)

postings = Table(
    "postings",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("giver", ForeignKey("ledger_accounts.name"), nullable=False),
    Column("taker", ForeignKey("ledger_accounts.name"), nullable=False),
    Column("amount_millicredits", BigInteger, nullable=False),
    Column("reference", String(REFERENCE_CHARS_MAX), nullable=False),  # of a call: its id
    Column("memo", String(MEMO_CHARS_MAX), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    CheckConstraint("amount_millicredits > 0", name="postings_move_something"),
    CheckConstraint("giver <> taker", name="postings_have_two_sides"),
)
Index("postings_between", postings.c.giver, postings.c.taker)

holds = Table(
    "holds",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("account_id", String(ACCOUNT_ID_CHARS_MAX), nullable=False),
    Column("reference", String(REFERENCE_CHARS_MAX), nullable=False),  # the call's id
    Column("node", String(64), nullable=False),  # the one that runs the call
    Column("state", String(8), nullable=False),  # see holds.STEPS
    Column("millicredits_per_minute", BigInteger, nullable=False),
    Column("held_millicredits", BigInteger, nullable=False),  # 0 once it has ended
    Column("captured_millicredits", BigInteger, nullable=False),
    Column("placed_at_us", BigInteger, nullable=False),
    Column("answered_at_us", BigInteger),
    Column("ended_at_us", BigInteger),
    CheckConstraint("held_millicredits >= 0", name="holds_hold_no_debt"),
)
Index("holds_of_node", holds.c.node, holds.c.state)


def microseconds(at: datetime) -> int:
    """Return an aware time as microseconds since 1970; raises `ValueError` without a zone."""
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone cannot be stored: {at!r}")
    return (at - EPOCH) // MICROSECOND


def moment(microseconds: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970."""
    return EPOCH + microseconds * MICROSECOND
