"""Many tasks, threads and processes on one balance: the writer keeps them apart."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from billing import holds, ledger
from billing.errors import InsufficientCredit
from billing.holds import Settlement
from billing.ledger import Balance
from service.storage.database import Database

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def open_account(connection: Connection) -> None:
    ledger.open_account(connection, "a", opening_millicredits=200_000, at=AT)


def place(connection: Connection) -> int:
    return holds.place(
        connection,
        account_id="a",
        amount=6_000,
        millicredits_per_minute=6_000,
        reference="call",
        node="n",
        at=AT,
    )


async def call(database: Database, extensions: int) -> int:
    """Run a call as the house does; return what it cost, -1 where it was not placed."""
    try:
        hold_id = await database.write(place)
    except InsufficientCredit:
        return -1
    await database.write(lambda connection: holds.answered(connection, hold_id, at=AT))
    held = 6_000
    for _ in range(extensions):
        try:
            await database.write(lambda connection: holds.extend(connection, hold_id, 6_000, at=AT))
        except InsufficientCredit:
            break
        held += 6_000
    if extensions == 3:
        await database.write(lambda connection: holds.release(connection, hold_id, at=AT))
        return 0
    return await database.write(lambda connection: holds.capture(connection, hold_id, held, at=AT))


async def test_a_hundred_calls_at_once_spend_a_balance_once(database: Database) -> None:
    await database.write(open_account)
    costs = await asyncio.gather(*(call(database, number % 4) for number in range(100)))
    balance = await database.read(lambda connection: ledger.balance(connection, "a"))
    assert -1 in costs, "the test must reach the balance's end"
    spent = sum(cost for cost in costs if cost > 0)
    assert balance == Balance(available=200_000 - spent, held=0)
    assert balance.available >= 0
    assert await database.read(ledger.verify) == []


def test_threads_that_hold_at_once_share_what_is_there(database: Database) -> None:

    database.write_now(open_account)

    def hold(_: int) -> int:
        try:
            return database.write_now(place)
        except InsufficientCredit:
            return 0

    with ThreadPoolExecutor(8) as threads:
        placed = [hold_id for hold_id in threads.map(hold, range(64)) if hold_id]
    assert len(placed) == len(set(placed)) == 33
    assert database.read_now(lambda connection: ledger.balance(connection, "a")) == Balance(
        available=2_000, held=198_000
    )
    assert database.read_now(ledger.verify) == []


def settle(connection: Connection) -> list[Settlement]:
    alive_at = AT + timedelta(seconds=45)
    return holds.settle_node(connection, "n", alive_at=alive_at, at=alive_at)


KILLED = """
import asyncio, os, signal, sys
sys.path.insert(0, sys.argv[2])
from sqlalchemy import Connection
from billing import holds
from datetime import UTC, datetime, timedelta
from service.storage.database import Database

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
database = Database.open(sys.argv[1])
ended = 0

async def call(number):
    global ended
    hold_id = await database.write(lambda c: holds.place(
        c, account_id="a", amount=60, millicredits_per_minute=60, reference=f"call{number}",
        node="n", at=AT))
    await database.write(lambda c: holds.answered(c, hold_id, at=AT))
    await database.write(lambda c: holds.extend(c, hold_id, 60, at=AT))
    if number % 3:
        await database.write(lambda c: holds.capture(c, hold_id, 90, at=AT))
        ended += 1
        print(hold_id, flush=True)
        if ended == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    await asyncio.gather(*(call(number) for number in range(300)))

asyncio.run(main())
"""


def test_a_process_killed_among_calls_leaves_a_ledger_that_settles(
    database: Database, url: str
) -> None:

    database.write_now(open_account)
    root = Path(__file__).resolve().parents[3]
    acknowledged: list[int] = []
    for kill_at in (1, 37, 120):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, url, str(root), str(kill_at)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert killed.returncode == -9, killed.stderr
        told = [int(line) for line in killed.stdout.split()]
        assert len(told) == kill_at
        acknowledged += told
        settled = database.write_now(settle)
        assert settled, "the kill came too late to leave anything open"
        assert not {one.hold_id for one in settled} & set(acknowledged)
        assert all(one.captured in (0, 45) for one in settled)
        assert database.read_now(lambda connection: holds.open_holds(connection, "n")) == []
        assert database.read_now(ledger.verify) == []
    for hold_id in acknowledged:
        captured = database.read_now(lambda c, of=hold_id: holds.hold(c, of)).captured
        assert captured == 90, "a capture that was acknowledged is gone"
    assert database.read_now(lambda c: ledger.balance(c, "a")).held == 0
