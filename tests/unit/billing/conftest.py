from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy
from sqlalchemy import Connection

from billing import ledger
from billing.tables import metadata

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A connection to a ledger in memory with the account `a`, which has 200 credits."""
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        ledger.open_account(connection, "a", opening_millicredits=200_000, at=AT)
        yield connection
    engine.dispose()


@pytest.fixture
def at() -> datetime:
    return AT
