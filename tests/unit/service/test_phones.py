"""SIP accounts: passwords shown once, hashes in memory."""

import hashlib
from datetime import UTC, datetime

import pytest

from service import phones as module
from service.accounts import Accounts
from service.errors import Refused, Status
from service.phones import Phones
from service.storage.database import Database

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REALM = "voice.example"


@pytest.fixture
async def phones(database: Database) -> Phones:
    made = Phones(database, REALM)
    await made.refresh()
    return made


async def test_a_phone_has_the_hashes_of_its_password(phones: Phones, account_id: str) -> None:
    password = await phones.create("alice", account_id, at=NOW)
    secret = f"alice:{REALM}:{password}".encode()
    assert phones.ha1("alice", "MD5") == hashlib.md5(secret).hexdigest()
    assert phones.ha1("alice", "SHA-256") == hashlib.sha256(secret).hexdigest()
    assert phones.ha1("alice", "SHA-512") is None
    assert phones.ha1("bob", "MD5") is None


async def test_another_process_sees_it_after_a_refresh(
    database: Database, phones: Phones, account_id: str
) -> None:
    other = Phones(database, REALM)
    await phones.create("alice", account_id, at=NOW)
    await other.refresh()
    assert other.ha1("alice", "MD5") == phones.ha1("alice", "MD5")
    assert [phone.username for phone in other.list_of(account_id)] == ["alice"]
    assert other.list_of("stranger") == []


async def test_a_new_password_replaces_the_old(
    database: Database, phones: Phones, account_id: str
) -> None:
    first = await phones.create("alice", account_id, at=NOW)
    before = phones.ha1("alice", "MD5")
    second = await phones.new_password("alice")
    assert second != first
    assert phones.ha1("alice", "MD5") != before
    other = Phones(database, REALM)
    await other.refresh()
    assert other.ha1("alice", "SHA-256") == phones.ha1("alice", "SHA-256")
    with pytest.raises(Refused, match="bob"):
        await phones.new_password("bob")


@pytest.mark.parametrize("username", ["", "Alice", "a b", "33612345678", "conf-12a34b", "x" * 33])
async def test_unusable_user_names_are_refused(
    phones: Phones, account_id: str, username: str
) -> None:
    with pytest.raises(Refused) as caught:
        await phones.create(username, account_id, at=NOW)
    assert caught.value.status == Status.BAD_VALUE


async def test_a_user_name_is_taken_once(phones: Phones, account_id: str) -> None:
    await phones.create("alice", account_id, at=NOW)
    before = phones.ha1("alice", "MD5")
    with pytest.raises(Refused, match="already"):
        await phones.create("alice", account_id, at=NOW)
    assert phones.ha1("alice", "MD5") == before


async def test_phones_of_an_account_are_limited(
    phones: Phones, accounts: Accounts, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PHONES_PER_ACCOUNT_MAX", 2)
    await phones.create("alice", account_id, at=NOW)
    await phones.create("bob", account_id, at=NOW)
    with pytest.raises(Refused) as caught:
        await phones.create("carol", account_id, at=NOW)
    assert caught.value.status == Status.LIMIT_REACHED


async def test_hashes_are_not_shown(phones: Phones, account_id: str) -> None:
    await phones.create("alice", account_id, at=NOW)
    phone = phones.get("alice")
    assert phone is not None
    assert phone.ha1_md5 not in repr(phone)
