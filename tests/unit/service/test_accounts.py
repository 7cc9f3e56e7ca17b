"""Accounts and keys: made, verified from memory, revoked, never stored in the clear."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from billing import ledger
from service import accounts as module
from service.accounts import Accounts, new_key, server_secret
from service.errors import Refused, Status
from service.storage.database import Database
from service.storage.tables import keys

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def test_an_account_opens_with_its_credits(database: Database, account_id: str) -> None:
    balance = await database.read(lambda connection: ledger.balance(connection, account_id))
    assert balance.available == 200_000


async def test_a_name_is_taken_once_and_leaves_nothing_behind(
    accounts: Accounts, account_id: str
) -> None:
    with pytest.raises(Refused, match="Ada") as caught:
        await accounts.create("Ada", opening_millicredits=1, at=NOW)
    assert caught.value.status == Status.CONFLICT
    assert [account.name for account in await accounts.list_all()] == ["Ada"]


@pytest.mark.parametrize("name", ["", "  ", "x" * (module.NAME_CHARS_MAX + 1), "a\nb"])
async def test_an_unusable_name_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(Refused):
        await accounts.create(name, opening_millicredits=1, at=NOW)


async def test_accounts_are_found_by_name_and_id(accounts: Accounts, account_id: str) -> None:
    assert (await accounts.find("Ada")).id == account_id
    assert (await accounts.find(account_id)).name == "Ada"
    with pytest.raises(Refused, match="Bob"):
        await accounts.find("Bob")


async def test_a_key_is_known_from_memory(accounts: Accounts, account_id: str) -> None:
    key = await accounts.create_key(account_id, at=NOW)
    assert accounts.account_of(key) == account_id
    assert accounts.account_of("a1234b56789") is None
    assert accounts.account_of("é\udcff") is None


def test_keys_have_the_form_that_clients_know() -> None:
    drawn = {new_key() for _ in range(200)}
    assert len(drawn) == 200
    assert all(re.fullmatch(r"[a-z][a-z0-9]{10}", key) for key in drawn)


async def test_a_key_is_not_in_the_database(
    database: Database, accounts: Accounts, account_id: str
) -> None:
    key = await accounts.create_key(account_id, at=NOW)
    row = await database.read(lambda connection: connection.execute(select(keys)).one())
    assert key not in repr(row)
    other = Accounts(database, b"another secret")
    await other.refresh()
    assert other.account_of(key) is None


async def test_a_key_made_by_another_process_is_found(
    database: Database, accounts: Accounts, account_id: str
) -> None:
    other = Accounts(database, b"s" * 32)
    key = await other.create_key(account_id, at=datetime.now(UTC))
    assert accounts.account_of(key) is None
    assert await accounts.authenticate(key, now=10.0) == account_id
    assert accounts.account_of(key) == account_id


async def test_unknown_keys_ask_the_database_once_a_second(
    database: Database, accounts: Accounts
) -> None:
    reads = database.counters().reads
    for now in (10.0, 10.1, 10.9):
        assert await accounts.authenticate("z9999z99999", now=now) is None
    assert database.counters().reads == reads + 1
    await accounts.authenticate("z9999z99999", now=10.0 + module.UNKNOWN_KEY_LOOKUP_S)
    assert database.counters().reads == reads + 2


async def test_a_revoked_key_is_dead_at_once_and_elsewhere_after_a_refresh(
    database: Database, accounts: Accounts, account_id: str
) -> None:
    other = Accounts(database, b"s" * 32)
    key = await accounts.create_key(account_id, at=datetime.now(UTC))
    await other.refresh()
    await accounts.revoke_key(account_id, key, at=datetime.now(UTC))
    assert accounts.account_of(key) is None
    assert other.account_of(key) == account_id
    await other.refresh()
    assert other.account_of(key) is None
    (shown,) = await accounts.keys_of(account_id)
    assert shown.hint == key[:3]
    assert shown.revoked_at is not None


async def test_a_key_can_be_revoked_by_its_beginning(accounts: Accounts, account_id: str) -> None:
    key = await accounts.create_key(account_id, at=NOW)
    await accounts.revoke_key(account_id, key[:3], at=NOW)
    assert accounts.account_of(key) is None
    with pytest.raises(Refused, match="no valid keys"):
        await accounts.revoke_key(account_id, key[:3], at=NOW)


async def test_another_accounts_key_cannot_be_revoked(accounts: Accounts, account_id: str) -> None:
    stranger = await accounts.create("Bob", opening_millicredits=0, at=NOW)
    key = await accounts.create_key(account_id, at=NOW)
    with pytest.raises(Refused):
        await accounts.revoke_key(stranger.id, key, at=NOW)
    assert accounts.account_of(key) == account_id


async def test_keys_are_limited(accounts: Accounts, account_id: str) -> None:
    for _ in range(module.KEYS_PER_ACCOUNT_MAX):
        await accounts.create_key(account_id, at=NOW)
    with pytest.raises(Refused, match=str(module.KEYS_PER_ACCOUNT_MAX)) as caught:
        await accounts.create_key(account_id, at=NOW)
    assert caught.value.status == Status.LIMIT_REACHED


def test_the_secret_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    first = server_secret(tmp_path)
    assert len(first) == module.SECRET_BYTES
    assert server_secret(tmp_path) == first
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_broken_secret_is_said(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(ValueError, match="must hold 32 bytes, not 5"):
        server_secret(tmp_path)
