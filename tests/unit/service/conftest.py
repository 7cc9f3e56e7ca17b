"""A database of its own for each test that asks."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.accounts import Accounts
from service.storage.database import Database

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path / 'test.db'}")
    opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
async def accounts(database: Database) -> Accounts:
    made = Accounts(database, b"s" * 32)
    await made.refresh()
    return made


@pytest.fixture
async def account_id(accounts: Accounts) -> str:
    return (await accounts.create("Ada", opening_millicredits=200_000, at=NOW)).id
