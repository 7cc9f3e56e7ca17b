"""The same answer for a repeated `request_id`, for a day.

A request with an id first takes its place in the table `replies`, then is carried out,
then leaves its answer there. Whoever comes with the same id meanwhile is told to wait;
afterwards gets the answer; with other parameters is refused. A place that was taken
when the service died stays taken: a call is rather refused than made twice.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from service.api.definition import Method
from service.api.limits import REPEATS_KEPT_S, REPEATS_SWEPT_EVERY_S
from service.api.replies import Reply
from service.errors import Refused, Status
from service.storage.database import Database
from service.storage.tables import replies

KEPT = timedelta(seconds=REPEATS_KEPT_S)
SWEPT_EVERY = timedelta(seconds=REPEATS_SWEPT_EVERY_S)


def fingerprint(method: Method, parameters: Mapping[str, str | bytes]) -> str:
    """What a request asks, in 64 hexadecimal digits; its format and its key play no part."""
    parts = [
        (name, hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value)
        for name, value in sorted(parameters.items())
    ]
    return hashlib.sha256(json.dumps([method.full_name, parts]).encode()).hexdigest()


class Repeats:
    """The answers given to requests with an id."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._swept_at: datetime | None = None

    async def begin(
        self, account_id: str, request_id: str, asked: str, now: datetime
    ) -> Reply | None:
        """The first answer to this id; None where this is the first, and its place is taken.

        Raises `Refused` where the id was used for something else, or is being answered.
        """
        sweep = self._swept_at is None or now - self._swept_at >= SWEPT_EVERY
        if sweep:
            self._swept_at = now

        def write(connection: Connection) -> tuple[str, str] | None:
            if sweep:
                connection.execute(delete(replies).where(replies.c.created_at <= now - KEPT))
            return _take_place(connection, account_id, request_id, asked, now)

        found = await self._database.write(write)
        if found is None:
            return None
        first_asked, text = found
        if first_asked != asked:
            raise Refused(
                Status.REQUEST_ID_REUSED,
                "the first request with it had other parameters",
                field="request_id",
                hint="a new request_id for each new request",
            )
        if not text:
            raise Refused(
                Status.CONFLICT,
                "the first request with this request_id is still being answered",
                field="request_id",
                hint="ask again with the same request_id in a few seconds",
            )
        return Reply.from_text(text)

    async def keep(self, account_id: str, request_id: str, reply: Reply) -> None:
        """Leave the answer for those who ask again."""
        statement = update(replies).where(_is(account_id, request_id)).values(reply=reply.to_text())
        await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def forget(self, account_id: str, request_id: str) -> None:
        """Give the place back: nothing was done, and asking again may do it."""
        statement = delete(replies).where(_is(account_id, request_id))
        await self._database.write(lambda connection: connection.execute(statement).rowcount)


def _is(account_id: str, request_id: str) -> ColumnElement[bool]:
    return (replies.c.account_id == account_id) & (replies.c.request_id == request_id)


def _take_place(
    connection: Connection, account_id: str, request_id: str, asked: str, now: datetime
) -> tuple[str, str] | None:
    """What stands in the place of this id: (fingerprint, reply); None where it was free."""
    mine = _is(account_id, request_id)
    row = connection.execute(
        select(replies.c.request_sha256, replies.c.reply, replies.c.created_at).where(mine)
    ).first()
    if row is not None and now - row.created_at < KEPT:
        return row.request_sha256, row.reply
    if row is not None:
        connection.execute(delete(replies).where(mine))
    connection.execute(
        insert(replies).values(
            account_id=account_id,
            request_id=request_id,
            request_sha256=asked,
            reply="",
            created_at=now,
        )
    )
    return None
