"""The writer with group commit, and the readers."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from service.errors import Refused, Status
from service.storage import database as module
from service.storage.database import Database
from service.storage.errors import DatabaseClosed, Overloaded, UnusableDatabase
from service.storage.limits import WORKS_PER_COMMIT_MAX, WORKS_QUEUED_MAX
from service.storage.tables import nodes

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def add(name: str) -> Any:
    def work(connection: Connection) -> str:
        connection.execute(insert(nodes), {"id": name, "started_at": AT, "alive_at": AT})
        return name

    return work


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(nodes)).scalar_one()


class Gate:
    """A work that keeps the writer busy until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, connection: Connection) -> None:
        self.entered.set()
        assert self.opened.wait(30)


async def shut(database: Database) -> tuple[Gate, "asyncio.Task[None]"]:
    gate = Gate()
    task = asyncio.create_task(database.write(gate))
    await asyncio.to_thread(gate.entered.wait, 30)
    return gate, task


async def test_a_write_returns_its_works_result_and_a_read_sees_it(database: Database) -> None:
    assert await database.write(add("n1")) == "n1"
    assert await database.read(count) == 1
    assert database.read_now(count) == 1


def test_what_is_acknowledged_is_seen_by_another_process(
    database: Database, tmp_path: Path
) -> None:
    database.write_now(add("n1"))
    script = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute(sys.argv[2]))"
    told = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "service.db", "select id from nodes"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "n1" in told.stdout


def test_what_is_acknowledged_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "killed.db"
    script = """
import os, signal, sys
from service.storage.database import Database
database = Database.open("sqlite:///" + sys.argv[1])
database.write_now(lambda c: c.exec_driver_sql("create table t (x)"))
for x in range(20):
    database.write_now(lambda c: c.exec_driver_sql(f"insert into t values ({x})"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", script, path], check=False)
    assert ended.returncode == -9
    assert sqlite3.connect(path).execute("select count(*) from t").fetchone() == (20,)


async def test_works_that_wait_together_share_one_commit(database: Database) -> None:
    before = database.counters()
    gate, held = await shut(database)
    tasks = [asyncio.create_task(database.write(add(f"n{i}"))) for i in range(50)]
    await asyncio.sleep(0)
    assert database.counters().queued == 50
    assert not any(task.done() for task in tasks)
    gate.opened.set()
    assert await asyncio.gather(*tasks) == [f"n{i}" for i in range(50)]
    await held
    after = database.counters()
    assert after.commits - before.commits == 2
    assert after.works - before.works == 51
    assert after.largest_batch == 50


async def test_no_commit_holds_more_works_than_its_limit(database: Database) -> None:
    gate, held = await shut(database)
    works = [database.write(add(f"n{i}")) for i in range(WORKS_PER_COMMIT_MAX + 1)]
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.sleep(0)
    assert database.counters().queued == WORKS_PER_COMMIT_MAX + 1
    gate.opened.set()
    await asyncio.gather(held, *tasks)
    assert database.counters().largest_batch == WORKS_PER_COMMIT_MAX
    assert await database.read(count) == WORKS_PER_COMMIT_MAX + 1


async def test_an_error_undoes_its_own_work_and_no_other(database: Database) -> None:
    def half(connection: Connection) -> None:
        add("half")(connection)
        raise LookupError("half-way")

    def stop(connection: Connection) -> None:
        raise StopIteration

    gate, held = await shut(database)
    works = [add("n1"), half, add("n1"), stop, add("n2")]
    tasks = [asyncio.create_task(database.write(work)) for work in works]
    await asyncio.sleep(0)
    assert database.counters().queued == len(works)
    gate.opened.set()
    await held
    first, halved, doubled, stopped, last = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, last) == ("n1", "n2")
    assert isinstance(halved, LookupError)
    assert isinstance(doubled, IntegrityError)
    assert isinstance(stopped, RuntimeError)
    names = await database.read(lambda c: c.execute(select(nodes.c.id)).scalars().all())
    assert sorted(names) == ["n1", "n2"]
    assert database.counters().failed_works == 3


async def test_nobody_is_told_of_success_when_the_commit_fails(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: Connection) -> None:
        # A deferred constraint is the one thing that fails at the commit itself.
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        connection.exec_driver_sql("INSERT INTO keys VALUES (x'00', 'nobody', 'abc', 0, NULL)")

    gate, held = await shut(database)
    tasks = [asyncio.create_task(database.write(work)) for work in (add("n1"), broken)]
    await asyncio.sleep(0)
    assert database.counters().queued == 2
    gate.opened.set()
    await held
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, IntegrityError) for outcome in outcomes)
    assert await database.read(count) == 0
    assert await database.write(add("n2")) == "n2"


async def test_a_full_queue_refuses(database: Database) -> None:
    gate, held = await shut(database)
    waiting = [asyncio.ensure_future(database.write(count)) for _ in range(WORKS_QUEUED_MAX)]
    await asyncio.sleep(0)
    assert database.counters().queued == WORKS_QUEUED_MAX
    with pytest.raises(Overloaded, match=f"{WORKS_QUEUED_MAX} writes.*WORKS_QUEUED_MAX") as told:
        await database.write(count)
    assert isinstance(told.value, Refused)
    assert told.value.status is Status.STOPPING
    assert database.counters().refused_works == 1
    gate.opened.set()
    await asyncio.gather(held, *waiting)
    assert await database.write(add("n1")) == "n1"


async def test_a_cancelled_waiter_does_not_take_its_work_back(database: Database) -> None:
    gate, held = await shut(database)
    task = asyncio.create_task(database.write(add("n1")))
    await asyncio.sleep(0)
    assert database.counters().queued == 1
    task.cancel()
    gate.opened.set()
    await held
    assert await database.write(count) == 1
    assert task.cancelled()


async def test_closing_finishes_what_was_taken_and_refuses_the_rest(url: str) -> None:
    database = Database.open(url)
    database.migrate()
    gate, held = await shut(database)
    tasks = [asyncio.create_task(database.write(add(f"n{i}"))) for i in range(5)]
    await asyncio.sleep(0)
    assert database.counters().queued == 5
    closing = asyncio.create_task(database.close())
    gate.opened.set()
    await asyncio.gather(held, closing, *tasks)
    for attempt in (database.write(count), database.read(count)):
        with pytest.raises(DatabaseClosed):
            await attempt
    with pytest.raises(DatabaseClosed):
        database.write_now(count)
    again = Database.open(url)
    assert again.read_now(count) == 5
    again.close_now()


def test_closing_twice_is_closing_once(url: str) -> None:
    database = Database.open(url)
    database.close_now()
    database.close_now()


def test_a_waiter_whose_loop_is_gone_stops_nobody_else(database: Database) -> None:
    gate = Gate()

    async def leave() -> None:
        for work in (gate, add("n1")):
            task = asyncio.ensure_future(database.write(work))
            await asyncio.sleep(0)
            task.cancel()

    asyncio.run(leave())
    gate.opened.set()
    assert database.write_now(add("n2")) == "n2"
    assert database.read_now(count) == 2


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        await database.read(add("n1"))


async def test_a_reader_sees_one_state_while_the_writer_goes_on(database: Database) -> None:
    def twice(connection: Connection) -> tuple[int, int]:
        before = count(connection)
        database.write_now(add("n1"))
        return before, count(connection)

    assert await database.read(twice) == (0, 0)
    assert await database.read(count) == 1


def test_another_process_that_writes_is_waited_for(database: Database, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "service.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.05, other.execute, ["COMMIT"])
    release.start()
    assert database.write_now(add("n1")) == "n1"
    release.join()
    other.close()


def test_another_process_that_writes_too_long_is_an_error(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_WAIT_MS_MAX", 1)
    database = Database.open(url)
    database.migrate()
    other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        database.write_now(add("n1"))
    other.close()
    assert database.write_now(add("n1")) == "n1"
    database.close_now()


def test_foreign_keys_are_held(database: Database) -> None:
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        database.write_now(
            lambda c: c.exec_driver_sql("INSERT INTO keys VALUES (x'00', 'nobody', 'abc', 0, NULL)")
        )


def test_the_file_syncs_every_commit(database: Database) -> None:
    def pragma(connection: Connection) -> tuple[Any, Any]:
        return (
            connection.exec_driver_sql("PRAGMA journal_mode").scalar(),
            connection.exec_driver_sql("PRAGMA synchronous").scalar(),
        )

    assert database.write_now(pragma) == ("wal", 2)


@pytest.mark.parametrize(
    "address", ["", "nonsense", "sqlite://", "postgresql://localhost/x", "oracle:///x.db"]
)
def test_an_address_that_cannot_be_used_says_what_would_be(address: str) -> None:
    with pytest.raises(UnusableDatabase, match=r"sqlite:////var/lib/file\.db"):
        Database.open(address)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase, match="nowhere"):
        Database.open(f"sqlite:///{tmp_path}/nowhere/service.db")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is a letter, not a database" * 100)
    with pytest.raises(UnusableDatabase, match=r"text\.db"):
        Database.open(f"sqlite:///{path}")
