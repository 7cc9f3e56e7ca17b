"""The double-entry ledger.

A posting moves an amount above zero from one ledger account, the giver, to another,
the taker; nothing else changes a balance, so the balances always sum to zero. An
account has two: `account:ID`, what can be spent, and `held:ID`, what is set aside for
calls that run. The others are ours: `revenue:calls` takes what calls cost,
`expense:earnings`, `grant:...` and `topup:...` give (their balances are negative).

Every function runs inside the caller's SQL transaction and writes all or, on an
error, leaves it to the caller to roll back.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from billing.errors import AccountExists, InsufficientCredit, TooLong, UnknownAccount
from billing.limits import ACCOUNT_ID_CHARS_MAX, MEMO_CHARS_MAX, REFERENCE_CHARS_MAX
from billing.money import check_amount
from billing.tables import holds, ledger_accounts, microseconds, postings

REVENUE = "revenue:calls"
EARNINGS = "expense:earnings"
OPENING = "grant:opening"

# Ledger accounts of our own, opened when first used.
OWN_KINDS = ("revenue:", "expense:", "grant:", "topup:")


# Statements are made once: SQLAlchemy then finds each compiled text by identity.
_SELECT_BALANCE = select(ledger_accounts.c.balance_millicredits).where(
    ledger_accounts.c.name == bindparam("of")
)
_SELECT_BALANCES = select(ledger_accounts.c.name, ledger_accounts.c.balance_millicredits).where(
    ledger_accounts.c.name.in_([bindparam("spendable"), bindparam("aside")])
)
_SELECT_MOVED = select(func.coalesce(func.sum(postings.c.amount_millicredits), 0)).where(
    postings.c.giver == bindparam("of"), postings.c.taker == bindparam("to")
)
_ADD = (
    update(ledger_accounts)
    .where(ledger_accounts.c.name == bindparam("of"))
    .values(balance_millicredits=ledger_accounts.c.balance_millicredits + bindparam("amount"))
)
_TAKE = (
    update(ledger_accounts)
    .where(
        ledger_accounts.c.name == bindparam("of"),
        ledger_accounts.c.balance_millicredits >= bindparam("amount"),
    )
    .values(balance_millicredits=ledger_accounts.c.balance_millicredits - bindparam("amount"))
)
_OPEN = insert(ledger_accounts)
_POST = insert(postings)


@dataclass(frozen=True)
class Balance:
    """An account's money in millicredits: to spend, set aside for calls, and both."""

    available: int
    held: int

    @property
    def total(self) -> int:
        """What the account owns: `available + held`."""
        return self.available + self.held


def spendable(account_id: str) -> str:
    """Return the name of the ledger account with what can be spent."""
    return f"account:{account_id}"


def aside(account_id: str) -> str:
    """Return the name of the ledger account with what is set aside."""
    return f"held:{account_id}"


def open_account(
    connection: Connection, account_id: str, *, opening_millicredits: int, at: datetime
) -> None:
    """Open an account with a balance of `opening_millicredits` (0 or more), a grant.

    Raises `AccountExists`, `BadAmount`, `TooLong`.
    """
    if not 1 <= len(account_id) <= ACCOUNT_ID_CHARS_MAX:
        raise TooLong(f"an account's id has 1 to {ACCOUNT_ID_CHARS_MAX} characters: {account_id!r}")
    check_amount(opening_millicredits, least=0)
    if connection.execute(_SELECT_BALANCE, {"of": spendable(account_id)}).first() is not None:
        raise AccountExists(f"account {account_id} is in the ledger already")
    opened = {"balance_millicredits": 0, "opened_at_us": microseconds(at)}
    connection.execute(_OPEN, [{"name": name(account_id), **opened} for name in (spendable, aside)])
    if opening_millicredits:
        grant(
            connection, account_id, opening_millicredits, at=at, source=OPENING, memo="opening gift"
        )


def balance(connection: Connection, account_id: str) -> Balance:
    """Return an account's balance. Raises `UnknownAccount`."""
    names = {"spendable": spendable(account_id), "aside": aside(account_id)}
    found = {row[0]: row[1] for row in connection.execute(_SELECT_BALANCES, names)}
    if len(found) != 2:
        raise UnknownAccount(f"the ledger has no account {account_id!r}")
    return Balance(available=found[names["spendable"]], held=found[names["aside"]])


@dataclass(frozen=True)
class Totals:
    """What an account earned by incoming calls and spent on outgoing ones, in millicredits."""

    earned: int
    spent: int


def totals(connection: Connection, account_id: str) -> Totals:
    """Return what an account earned and spent since it was opened, by its postings."""

    def moved(giver: str, taker: str) -> int:
        found = connection.execute(_SELECT_MOVED, {"of": giver, "to": taker})
        return int(found.scalar_one())

    mine, held = spendable(account_id), aside(account_id)
    return Totals(earned=moved(EARNINGS, mine), spent=moved(mine, REVENUE) + moved(held, REVENUE))


def earn(
    connection: Connection,
    account_id: str,
    millicredits: int,
    *,
    reference: str,
    at: datetime,
    memo: str = "",
) -> None:
    """Pay an account what an incoming call earned it; `reference` is the call's id.

    An amount of 0 posts nothing. Raises `UnknownAccount`, `BadAmount`, `TooLong`.
    """
    if check_amount(millicredits, least=0):
        taker = spendable(account_id)
        move(connection, EARNINGS, taker, millicredits, reference=reference, at=at, memo=memo)


def grant(
    connection: Connection,
    account_id: str,
    millicredits: int,
    *,
    at: datetime,
    source: str = "grant:manual",
    reference: str = "",
    memo: str = "",
) -> None:
    """Give an account credit from `source`, a ledger account `grant:...` or `topup:...`.

    Raises `UnknownAccount`, `BadAmount`, `TooLong`.
    """
    if not source.startswith(("grant:", "topup:")):
        raise UnknownAccount(f"credit comes from grant:... or topup:..., not from {source!r}")
    taker = spendable(account_id)
    move(connection, source, taker, millicredits, reference=reference, at=at, memo=memo)


def move(
    connection: Connection,
    giver: str,
    taker: str,
    millicredits: int,
    *,
    reference: str,
    at: datetime,
    memo: str = "",
    guarded: bool = False,
) -> None:
    """Post an amount above zero from `giver` to `taker`, with both balances.

    With `guarded` the giver must have the amount: the test and the taking are one
    UPDATE, so that no two calls can spend the same credit; raises `InsufficientCredit`.
    Raises `UnknownAccount`, `BadAmount`, `TooLong`.
    """
    check_amount(millicredits)
    if len(reference) > REFERENCE_CHARS_MAX or len(memo) > MEMO_CHARS_MAX:
        raise TooLong(
            f"a posting's reference has at most {REFERENCE_CHARS_MAX} characters and its memo "
            f"{MEMO_CHARS_MAX}: {reference!r}, {memo!r}"
        )
    at_us = microseconds(at)
    if guarded:
        _take(connection, giver, millicredits)
    else:
        _add(connection, giver, -millicredits, at_us)
    _add(connection, taker, millicredits, at_us)
    connection.execute(
        _POST,
        {
            "giver": giver,
            "taker": taker,
            "amount_millicredits": millicredits,
            "reference": reference,
            "memo": memo,
            "at_us": at_us,
        },
    )


def _take(connection: Connection, name: str, amount: int) -> None:
    if connection.execute(_TAKE, {"of": name, "amount": amount}).rowcount:
        return
    available = connection.execute(_SELECT_BALANCE, {"of": name}).scalar_one_or_none()
    if available is None:
        raise UnknownAccount(f"the ledger has no {name!r}")
    raise InsufficientCredit(name.partition(":")[2], available=available, needed=amount)


def _add(connection: Connection, name: str, amount: int, at_us: int) -> None:
    if connection.execute(_ADD, {"of": name, "amount": amount}).rowcount:
        return
    if not name.startswith(OWN_KINDS):
        raise UnknownAccount(f"the ledger has no {name!r}")
    connection.execute(_OPEN, {"name": name, "balance_millicredits": amount, "opened_at_us": at_us})


def verify(connection: Connection) -> list[str]:
    """Return what is wrong with the ledger, a sentence each; an empty list when sound.

    Checked: all balances sum to zero; each equals the sum of its postings; what is set
    aside for each account equals its open holds; only `account:...` may be below zero
    by the final seconds that `holds.capture` allows, never `held:...`.
    """
    balances = {
        row[0]: row[1]
        for row in connection.execute(
            select(ledger_accounts.c.name, ledger_accounts.c.balance_millicredits)
        )
    }
    problems = []
    if total := sum(balances.values()):
        problems.append(f"the ledger's balances sum to {total} millicredits, not to zero")
    sums = dict.fromkeys(balances, 0)
    amount = func.sum(postings.c.amount_millicredits)
    for side, sign in ((postings.c.taker, 1), (postings.c.giver, -1)):
        for name, moved in connection.execute(select(side, amount).group_by(side)):
            sums[name] = sums.get(name, 0) + sign * int(moved)
    problems += [
        f"{name} has {balances.get(name)} millicredits but its postings sum to {posted}"
        for name, posted in sums.items()
        if balances.get(name) != posted
    ]
    held = select(holds.c.account_id, func.sum(holds.c.held_millicredits))
    aside_for = {
        aside(account_id): int(amount)
        for account_id, amount in connection.execute(held.group_by(holds.c.account_id))
    }
    for name in {name for name in balances if name.startswith("held:")} | set(aside_for):
        if balances.get(name) != aside_for.get(name, 0):
            problems.append(
                f"{name} has {balances.get(name)} millicredits but its open holds sum to "
                f"{aside_for.get(name, 0)}"
            )
    return problems
