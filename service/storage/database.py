"""One writer with group commit, and a few readers.

Every change is a *work*: a function that takes a SQLAlchemy `Connection`. Works wait in
a bounded queue; the writer thread takes all that wait, runs them in one SQL
transaction, each inside a savepoint of its own, commits once, and only then resolves
their futures. What is acknowledged is on the disk, and a hundred calls share one fsync.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from service.storage import migrations
from service.storage.errors import DatabaseClosed, Overloaded, UnusableDatabase
from service.storage.limits import (
    BUSY_WAIT_MS_MAX,
    READERS_MAX,
    WORKS_PER_COMMIT_MAX,
    WORKS_QUEUED_MAX,
)

T = TypeVar("T")
Work = Callable[[Connection], T]


@dataclass(frozen=True)
class Counters:
    """What the database has done since it was opened; `queued` is the moment's length."""

    commits: int = 0
    works: int = 0
    failed_works: int = 0
    refused_works: int = 0
    largest_batch: int = 0
    reads: int = 0
    queued: int = 0


class _Job:
    """A work in the queue, whoever waits for it, and how it went."""

    __slots__ = ("error", "loop", "result", "waiter", "work")

    def __init__(
        self,
        work: Work[Any],
        waiter: "asyncio.Future[Any] | Future[Any]",
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.work = work
        self.waiter = waiter
        self.loop = loop  # none: a thread waits, not a task
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Hand the outcome over; on the waiter's own loop where it has one."""
        if self.waiter.done():  # whoever waited was cancelled: the work is done all the same
            return
        if self.error is not None:
            self.waiter.set_exception(self.error)
        else:
            self.waiter.set_result(self.result)


class Database:
    """The service's database. Made with `open`; `migrate` before the first use."""

    def __init__(self, writing: Engine, reading: Engine) -> None:
        self._writing = writing
        self._reading = reading
        self._queue: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._counters = Counters()
        self._readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="storage-reader")
        # A daemon: a command that forgets to close must still be able to end.
        self._writer = threading.Thread(target=self._run_writer, name="storage-writer", daemon=True)
        self._writer.start()

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open `sqlite:////path/of/file.db`, made where it does not exist yet.

        Raises `UnusableDatabase` where the address is no SQLite file or the file
        cannot be opened.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise UnusableDatabase(
                f"not the address of a database: {url!r}; such as sqlite:////var/lib/file.db"
            ) from error
        if parsed.get_backend_name() != "sqlite" or not parsed.database:
            raise UnusableDatabase(
                f"the database must be a SQLite file, such as sqlite:////var/lib/file.db: {url!r}"
            )
        folder = Path(parsed.database).absolute().parent
        if not folder.is_dir():
            raise UnusableDatabase(f"the database's folder does not exist: {folder}; make it first")
        database = cls(_engine(url, writes=True), _engine(url, writes=False))
        try:
            database.write_now(_touch)
        except SQLAlchemyError as error:
            database._stop()
            raise UnusableDatabase(f"cannot open {parsed.database}: {error}") from error
        return database

    def migrate(self) -> None:
        """Bring the schema to the newest revision; all of it or, on an error, nothing."""
        self.write_now(migrations.upgrade)

    async def write(self, work: Work[T]) -> T:
        """Run `work` on the writer and return its result once it is durable.

        An error of the work undoes that work alone and is raised here. A waiter that is
        cancelled does not take its work back: once given, it is done. Raises
        `Overloaded` or `DatabaseClosed` at once where the work is not taken.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        self._put(_Job(work, waiter, loop))
        return await waiter

    def write_now(self, work: Work[T]) -> T:
        """As `write`, blocking: for the command line and for what runs before the loop does."""
        waiter: Future[T] = Future()
        self._put(_Job(work, waiter, None))
        return waiter.result()

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads, on a reader; it sees one state of the whole database."""
        if self._closed:
            raise DatabaseClosed()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, work)

    def read_now(self, work: Work[T]) -> T:
        """As `read`, in the calling thread."""
        if self._closed:
            raise DatabaseClosed()
        with self._reading.connect() as connection, connection.begin():
            connection.exec_driver_sql("BEGIN")
            result = work(connection)
        with self._wake:
            self._counters = replace(self._counters, reads=self._counters.reads + 1)
        return result

    def counters(self) -> Counters:
        """Return the counters at this moment."""
        with self._wake:
            return replace(self._counters, queued=len(self._queue))

    async def close(self) -> None:
        """Finish the works already taken, then let go of every connection."""
        await asyncio.get_running_loop().run_in_executor(None, self._stop)

    def close_now(self) -> None:
        """As `close`, blocking."""
        self._stop()

    def _put(self, job: _Job) -> None:
        with self._wake:
            if self._closed:
                raise DatabaseClosed()
            if len(self._queue) >= WORKS_QUEUED_MAX:
                self._counters = replace(
                    self._counters, refused_works=self._counters.refused_works + 1
                )
                raise Overloaded(WORKS_QUEUED_MAX)
            self._queue.append(job)
            if len(self._queue) == 1:
                self._wake.notify()

    def _take(self) -> list[_Job]:
        """Wait for works and take what one commit may hold; nothing when closed and empty."""
        with self._wake:
            while not self._queue and not self._closed:
                self._wake.wait()
            count = min(len(self._queue), WORKS_PER_COMMIT_MAX)
            return [self._queue.popleft() for _ in range(count)]

    def _run_writer(self) -> None:
        connection: Connection | None = None
        while batch := self._take():
            try:
                if connection is None:
                    connection = self._writing.connect()
                self._commit(connection, batch)
            except BaseException as error:
                # Nothing of this batch is in the database: nobody may be told otherwise.
                for job in batch:
                    job.error = error
                if connection is not None:
                    connection.invalidate()
                    connection.close()
                    connection = None
            self._count(batch)
            _settle(batch)
        if connection is not None:
            connection.close()

    def _commit(self, connection: Connection, batch: list[_Job]) -> None:
        with connection.begin():
            # The write lock first: one that is taken half-way may be refused at once.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            # Savepoints by the driver itself: SQLAlchemy's own cost many times more.
            cursor = connection.connection.cursor()
            for job in batch:
                cursor.execute("SAVEPOINT work")
                try:
                    job.result = job.work(connection)
                except BaseException as error:
                    cursor.execute("ROLLBACK TO work")
                    job.error = _as_settled(error)
                cursor.execute("RELEASE work")

    def _count(self, batch: list[_Job]) -> None:
        failed = sum(job.error is not None for job in batch)
        with self._wake:
            old = self._counters
            self._counters = replace(
                old,
                commits=old.commits + 1,
                works=old.works + len(batch),
                failed_works=old.failed_works + failed,
                largest_batch=max(old.largest_batch, len(batch)),
            )

    def _stop(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._writer.join()
        self._readers.shutdown()
        self._writing.dispose()
        self._reading.dispose()


def _touch(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")


def _as_settled(error: BaseException) -> BaseException:
    """Return `error` in a form that a future accepts."""
    if isinstance(error, StopIteration):
        told = RuntimeError("a work raised StopIteration")
        told.__cause__ = error
        return told
    return error


def _settle(batch: list[_Job]) -> None:
    """Resolve every waiter of a batch, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        if job.loop is None:
            job.settle()
        else:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, jobs)
        except RuntimeError:
            continue  # the loop is closed: nobody waits there any more


def _settle_all(jobs: list[_Job]) -> None:
    for job in jobs:
        job.settle()


def _engine(url: str, *, writes: bool) -> Engine:
    engine = sqlalchemy.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1 if writes else READERS_MAX,
        # A command line's own thread may read beside the pool's.
        max_overflow=0 if writes else 1,
        # The driver begins nothing by itself: `_commit` and `read_now` do, in full view.
        connect_args={"isolation_level": None, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_WAIT_MS_MAX}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL: the log is synced at every commit, so that an acknowledged write outlives
        # a power cut. Group commit pays for it.
        cursor.execute("PRAGMA synchronous=FULL")
        if not writes:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    return engine
