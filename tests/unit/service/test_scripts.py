"""Scripts: checked before they are kept, kept by version, cached by content."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from service import scripts as module
from service.errors import Refused, Status
from service.scripts import ScriptRefused, Scripts
from service.storage.database import Database
from service.storage.tables import script_versions
from vxml_engine.problems import Problem

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ERROR = Problem(3, 5, "unknown-element", "error", "<fro> is not an element")
WARNING = Problem(2, 1, "unused", "warning", "x is never used")


def check(source: bytes) -> list[Problem]:
    found = [ERROR] * source.count(b"error")
    return found + [WARNING] * source.count(b"warning")


@pytest.fixture
def scripts(database: Database) -> Scripts:
    return Scripts(database, check)


async def test_an_uploaded_script_is_loaded(scripts: Scripts, account_id: str) -> None:
    uploaded = await scripts.upload(account_id, "hello", b"<vxml/>", at=NOW)
    assert uploaded.version == 1
    assert await scripts.load(uploaded.script_id) == (b"<vxml/>", 1)
    with pytest.raises(Refused, match="no script 'none'"):
        await scripts.load("none")


async def test_a_name_keeps_its_script_and_counts_versions(
    database: Database, scripts: Scripts, account_id: str
) -> None:
    first = await scripts.upload(account_id, "hello", b"one", at=NOW)
    second = await scripts.upload(account_id, " hello ", b"two", at=NOW)
    again = await scripts.upload(account_id, "hello", b"two", at=NOW)
    assert (second.script_id, second.version) == (first.script_id, 2)
    assert again.version == 2
    assert await scripts.load(first.script_id) == (b"two", 2)
    assert await Scripts(database, check).load(first.script_id) == (b"two", 2)


async def test_errors_refuse_with_the_place_and_all_problems(
    scripts: Scripts, account_id: str
) -> None:
    with pytest.raises(ScriptRefused, match=r"3:5: unknown-element: <fro>") as caught:
        await scripts.upload(account_id, "hello", b"warning error", at=NOW)
    assert caught.value.status == Status.BAD_VALUE
    assert caught.value.field == "source"
    assert caught.value.problems == (WARNING, ERROR)


async def test_the_text_of_a_refusal_is_cut(scripts: Scripts, account_id: str) -> None:
    with pytest.raises(ScriptRefused, match="and 4 more") as caught:
        await scripts.upload(account_id, "hello", b"error" * 9, at=NOW)
    assert len(caught.value.problems) == 9


async def test_warnings_are_told_and_do_not_refuse(scripts: Scripts, account_id: str) -> None:
    uploaded = await scripts.upload(account_id, "hello", b"warning", at=NOW)
    assert uploaded.problems == (WARNING,)


@pytest.mark.parametrize("name", ["", " ", "a/b", "-x", "x" * (module.NAME_CHARS_MAX + 1)])
async def test_unusable_names_are_refused(scripts: Scripts, account_id: str, name: str) -> None:
    with pytest.raises(Refused) as caught:
        await scripts.upload(account_id, name, b"x", at=NOW)
    assert caught.value.field == "name"


async def test_size_is_limited(scripts: Scripts) -> None:
    assert scripts.check(b"x" * module.SOURCE_BYTES_MAX) == ()
    with pytest.raises(Refused, match="1048577") as caught:
        scripts.check(b"x" * (module.SOURCE_BYTES_MAX + 1))
    assert caught.value.status == Status.TOO_LONG
    with pytest.raises(Refused, match="empty"):
        scripts.check(b" \n")


async def test_old_versions_are_deleted(
    database: Database, scripts: Scripts, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VERSIONS_PER_SCRIPT_MAX", 2)
    for text in (b"one", b"two", b"three"):
        uploaded = await scripts.upload(account_id, "hello", text, at=NOW)
    kept = await database.read(
        lambda connection: connection.scalars(select(script_versions.c.version)).all()
    )
    assert sorted(kept) == [2, 3]
    assert uploaded.version == 3


async def test_scripts_of_an_account_are_limited(
    scripts: Scripts, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCRIPTS_PER_ACCOUNT_MAX", 1)
    await scripts.upload(account_id, "one", b"x", at=NOW)
    await scripts.upload(account_id, "one", b"y", at=NOW)
    with pytest.raises(Refused) as caught:
        await scripts.upload(account_id, "two", b"x", at=NOW)
    assert caught.value.status == Status.LIMIT_REACHED


async def test_loading_again_reads_no_database(
    database: Database, scripts: Scripts, account_id: str
) -> None:
    uploaded = await scripts.upload(account_id, "hello", b"x", at=NOW)
    await scripts.load(uploaded.script_id)
    reads = database.counters().reads
    await scripts.load(uploaded.script_id)
    assert database.counters().reads == reads


async def test_a_refresh_sees_what_another_process_uploaded(
    database: Database, scripts: Scripts, account_id: str
) -> None:
    uploaded = await scripts.upload(account_id, "hello", b"one", at=NOW)
    await scripts.load(uploaded.script_id)
    await Scripts(database, check).upload(account_id, "hello", b"two", at=NOW)
    assert await scripts.load(uploaded.script_id) == (b"one", 1)
    scripts.refresh()
    assert await scripts.load(uploaded.script_id) == (b"two", 2)


async def test_the_cache_is_bounded(
    database: Database, scripts: Scripts, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOURCES_CACHED_BYTES_MAX", 4)
    first = await scripts.upload(account_id, "one", b"111", at=NOW)
    second = await scripts.upload(account_id, "two", b"222", at=NOW)
    await scripts.load(first.script_id)
    await scripts.load(second.script_id)
    reads = database.counters().reads
    assert await scripts.load(first.script_id) == (b"111", 1)
    assert database.counters().reads == reads + 1
