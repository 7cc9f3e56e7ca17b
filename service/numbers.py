"""Numbers that reach us, and what each one reaches: a script, a phone, or the dial-in.

Inside and outside, a number is international digits without `+` or `00`
(`33XXXXXXXXX`); `normalise` takes it as people write it. The operator adds numbers;
an account assigns those that are its own or free.
"""

import re
from dataclasses import dataclass

import phonenumbers
from sqlalchemy import Connection, func, insert, select, update

from service.errors import Refused, Status
from service.storage.database import Database
from service.storage.tables import numbers, phones, scripts

NUMBERS_PER_ACCOUNT_MAX = 1_000
DIAL_IN = "dial-in"
WRITTEN_CHARS_MAX = 40

_separators = re.compile(r"[\s.()/\-\u00a0\u2010\u2011]")
_written = re.compile(r"(\+|00)?[0-9]{4,17}")
# A number as it is dialled inside France: ten digits, a zero and then none. No country's
# digits begin with a zero, so it can't be anything else.
_french = re.compile(r"0[1-9][0-9]{8}")
HINT = "international digits such as 33612345678 (+33 6 12 34 56 78 and 06 12 34 56 78 are taken)"


@dataclass(frozen=True)
class Number:
    """A number and what it reaches; all empty where it reaches nothing yet."""

    number: str
    account_id: str | None
    script_id: str | None = None
    phone: str | None = None
    dial_in: bool = False


def normalise(text: str, *, field: str = "number") -> str:
    """International digits (E.164, at most 15) for a number as people write it.

    Taken: digits with or without `+` or `00`, separated by spaces, dots, hyphens, slashes
    and brackets; and French numbers as dialled in France (ten digits, `0X...`). The
    country and the length must exist. Raises `Refused` (`BAD_NUMBER`) naming `field`.
    """
    digits = _separators.sub("", text) if len(text) <= WRITTEN_CHARS_MAX else ""
    if not _written.fullmatch(digits):
        raise _bad(text, "is not a telephone number", field)
    if _french.fullmatch(digits):
        digits = "33" + digits[1:]
    digits = digits.removeprefix("+")
    if digits.startswith("00"):
        digits = digits[2:]
    if digits.startswith("0"):
        raise _bad(text, "begins like a national number, and its country is not known", field)
    try:
        parsed = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        raise _bad(text, "begins with no country's digits", field) from None
    if not phonenumbers.is_possible_number(parsed):
        raise _bad(text, "has too few or too many digits for its country", field)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def _bad(text: str, reason: str, field: str) -> Refused:
    shown = text if len(text) <= WRITTEN_CHARS_MAX else text[:WRITTEN_CHARS_MAX] + "…"
    return Refused(Status.BAD_NUMBER, f"{shown!r} {reason}", field=field, hint=HINT)


class Numbers:
    """The numbers of the database, all in memory; `refresh` before the first use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_number: dict[str, Number] = {}

    async def refresh(self) -> None:
        """Take over what the database holds, whoever wrote it."""
        statement = select(numbers)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        self._by_number = {
            row.number: Number(row.number, row.account_id, row.script_id, row.phone, row.dial_in)
            for row in rows
        }

    def get(self, number: str) -> Number | None:
        """What a number (digits) reaches, from memory; None where it is not ours."""
        return self._by_number.get(number)

    def list_of(self, account_id: str | None = None) -> list[Number]:
        """The numbers of an account, or of all, in order."""
        return [
            number
            for _, number in sorted(self._by_number.items())
            if account_id is None or number.account_id == account_id
        ]

    async def add(self, number: str) -> str:
        """Add a number that a trunk brings us, free to be assigned; returns its digits."""
        digits = normalise(number)

        def write(connection: Connection) -> None:
            if connection.scalar(select(func.count()).where(numbers.c.number == digits)):
                return
            connection.execute(insert(numbers).values(number=digits, dial_in=False))

        await self._database.write(write)
        self._by_number.setdefault(digits, Number(digits, None))
        return digits

    async def assign(
        self,
        account_id: str,
        number: str,
        *,
        script_id: str | None = None,
        phone: str | None = None,
        dial_in: bool = False,
    ) -> Number:
        """Let a number of the account, or a free one, reach one thing instead of what it did.

        Raises `Refused`: the number is not ours or another's, not exactly one thing is
        named, or the script or phone is not the account's.
        """
        if (script_id is not None) + (phone is not None) + dial_in != 1:
            raise Refused(
                Status.CONTENT_MISSING,
                "a number reaches exactly one thing",
                field="script",
                hint="give one of script, phone and conference",
            )
        digits = normalise(number)
        assigned = Number(digits, account_id, script_id, phone, dial_in)

        def write(connection: Connection) -> None:
            _check_owners(connection, assigned)
            connection.execute(
                update(numbers)
                .where(numbers.c.number == digits)
                .values(account_id=account_id, script_id=script_id, phone=phone, dial_in=dial_in)
            )

        await self._database.write(write)
        self._by_number[digits] = assigned
        return assigned


def _check_owners(connection: Connection, wanted: Number) -> None:
    """Refuse to assign what does not belong to the account."""
    of = wanted.account_id
    row = connection.execute(
        select(numbers.c.account_id).where(numbers.c.number == wanted.number)
    ).first()
    if row is None or row.account_id not in (None, of):
        raise Refused(
            Status.NOT_FOUND,
            f"{wanted.number} is not a number of the account, nor a free one",
            field="number",
            hint="number.listNumbers tells the account's; the operator adds others",
        )
    if row.account_id is None:
        owned = connection.scalar(select(func.count()).where(numbers.c.account_id == of))
        if (owned or 0) >= NUMBERS_PER_ACCOUNT_MAX:
            raise Refused(
                Status.LIMIT_REACHED,
                f"an account has at most {NUMBERS_PER_ACCOUNT_MAX} numbers",
                field="number",
            )
    if wanted.script_id is not None:
        owner = connection.scalar(
            select(scripts.c.account_id).where(scripts.c.id == wanted.script_id)
        )
        if owner != of:
            raise Refused(
                Status.NOT_FOUND,
                f"the account has no script {wanted.script_id!r}",
                field="script",
                hint="the script_id that uploadScript answered",
            )
    if wanted.phone is not None:
        owner = connection.scalar(
            select(phones.c.account_id).where(phones.c.username == wanted.phone)
        )
        if owner != of:
            raise Refused(
                Status.NOT_FOUND,
                f"the account has no phone {wanted.phone!r}",
                field="phone",
                hint="a phone's user name",
            )
