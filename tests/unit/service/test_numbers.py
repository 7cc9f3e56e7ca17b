"""Numbers: written as people write them, assigned to what belongs to the account."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from service import numbers as module
from service.accounts import Accounts
from service.errors import Refused, Status
from service.numbers import Number, Numbers, normalise
from service.phones import Phones
from service.storage.database import Database
from service.storage.tables import scripts

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NUMBER = "33199000001"


@pytest.fixture
async def numbers(database: Database) -> Numbers:
    made = Numbers(database)
    await made.add(NUMBER)
    return made


@pytest.fixture
async def script_id(database: Database, account_id: str) -> str:
    row = {"id": "s1", "account_id": account_id, "name": "hello", "version": 1, "created_at": NOW}
    await database.write(
        lambda connection: connection.execute(insert(scripts).values(row)).rowcount
    )
    return "s1"


@pytest.mark.parametrize(
    "written",
    ["33612345678", "+33612345678", "0033612345678", "+33 6 12-34.56 (78)", "06 12 34 56 78"],
)
def test_a_number_is_taken_as_people_write_it(written: str) -> None:
    assert normalise(written) == "33612345678"


@pytest.mark.parametrize("written", ["442079460000", "12025550123", NUMBER])
def test_numbers_of_other_countries_are_kept(written: str) -> None:
    assert normalise(written) == written


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "is not a telephone number"),
        ("bob", "is not a telephone number"),
        ("33 6 12 34 56 7x", "is not a telephone number"),
        ("9" * 41, "is not a telephone number"),
        ("02079460000", "country is not known"),
        ("0000000000", "country is not known"),
        ("33612", "too few or too many digits"),
        ("3361234567890", "too few or too many digits"),
        ("999612345678", "no country"),
        ("٣٣٦١٢٣٤٥٦٧٨", "is not a telephone number"),
    ],
)
def test_what_is_no_number_is_refused_with_field_and_hint(written: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        normalise(written, field="to")
    assert caught.value.status == Status.BAD_NUMBER
    assert caught.value.field == "to"
    assert "33612345678" in caught.value.hint


async def test_a_number_is_assigned_and_found(
    database: Database, numbers: Numbers, account_id: str, script_id: str
) -> None:
    assert numbers.get(NUMBER) == Number(NUMBER, None)
    await numbers.assign(account_id, "+33 1 99 00 00 01", script_id=script_id)
    other = Numbers(database)
    await other.refresh()
    wanted = Number(NUMBER, account_id, script_id=script_id)
    assert numbers.get(NUMBER) == wanted
    assert other.get(NUMBER) == wanted
    assert other.list_of(account_id) == [wanted]
    assert other.list_of("stranger") == []


async def test_assigning_again_replaces_what_it_reached(
    database: Database, numbers: Numbers, account_id: str, script_id: str
) -> None:
    await Phones(database, "example").create("alice", account_id, at=NOW)
    await numbers.assign(account_id, NUMBER, script_id=script_id)
    await numbers.assign(account_id, NUMBER, phone="alice")
    await numbers.refresh()
    assert numbers.get(NUMBER) == Number(NUMBER, account_id, phone="alice")
    await numbers.assign(account_id, NUMBER, dial_in=True)
    await numbers.refresh()
    assert numbers.get(NUMBER) == Number(NUMBER, account_id, dial_in=True)
    await numbers.add(NUMBER)
    assert numbers.get(NUMBER) == Number(NUMBER, account_id, dial_in=True)


async def test_only_what_belongs_to_the_account_is_assigned(
    numbers: Numbers, accounts: Accounts, account_id: str, script_id: str
) -> None:
    stranger = (await accounts.create("Bob", opening_millicredits=0, at=NOW)).id
    with pytest.raises(Refused, match="no script 's1'"):
        await numbers.assign(stranger, NUMBER, script_id=script_id)
    with pytest.raises(Refused, match="no phone 'alice'"):
        await numbers.assign(stranger, NUMBER, phone="alice")
    assert numbers.get(NUMBER) == Number(NUMBER, None)
    await numbers.assign(account_id, NUMBER, dial_in=True)
    with pytest.raises(Refused, match="not a number of the account") as caught:
        await numbers.assign(stranger, NUMBER, dial_in=True)
    assert caught.value.status == Status.NOT_FOUND
    with pytest.raises(Refused, match="not a number of the account"):
        await numbers.assign(account_id, "33199000099", dial_in=True)


async def test_exactly_one_thing_is_reached(numbers: Numbers, account_id: str) -> None:
    with pytest.raises(Refused, match="exactly one"):
        await numbers.assign(account_id, NUMBER)
    with pytest.raises(Refused, match="exactly one"):
        await numbers.assign(account_id, NUMBER, phone="alice", dial_in=True)


async def test_numbers_of_an_account_are_limited(
    numbers: Numbers, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NUMBERS_PER_ACCOUNT_MAX", 1)
    await numbers.add("33199000002")
    await numbers.assign(account_id, NUMBER, dial_in=True)
    await numbers.assign(account_id, NUMBER, dial_in=True)
    with pytest.raises(Refused, match="at most 1 numbers") as caught:
        await numbers.assign(account_id, "33199000002", dial_in=True)
    assert caught.value.status == Status.LIMIT_REACHED
