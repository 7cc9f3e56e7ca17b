"""What a minute to a destination costs: a table of prefixes, the longest match wins.

A tariff is a CSV text of three columns, `prefix,destination,millicredits_per_minute`.
A prefix is the first digits of an international number; two names stand where a
prefix would: `sip` is the rate of a SIP URI elsewhere, `phone` that of a phone
registered with us. The price `refused` is no price: numbers of that prefix cannot be
called although a shorter prefix has a rate; so it is with premium and satellite
numbers. Prices are per second from the first one. Lines that start with `#` and
empty lines are comments.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from billing.errors import BadTariff, NoTariff
from billing.limits import (
    DESTINATION_CHARS_MAX,
    PREFIX_DIGITS_MAX,
    RATE_MILLICREDITS_PER_MINUTE_MAX,
    TARIFF_BYTES_MAX,
    TARIFF_ROWS_MAX,
)

COLUMNS = ["prefix", "destination", "millicredits_per_minute"]
SIP = "sip"
PHONE = "phone"
REFUSED = "refused"

_PREFIX = re.compile(rf"[1-9][0-9]{{0,{PREFIX_DIGITS_MAX - 1}}}|{SIP}|{PHONE}")
_PRICE = re.compile(r"[0-9]{1,12}")
_NUMBER = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True)
class Rate:
    """A row with a price: `prefix` is digits, `sip` or `phone`."""

    prefix: str
    destination: str
    millicredits_per_minute: int


@dataclass(frozen=True)
class Refusal:
    """A row without a price: numbers of this prefix are not called."""

    prefix: str
    destination: str


class Tariff:
    """An immutable tariff. Made with `parse`."""

    def __init__(self, rows: tuple[Rate | Refusal, ...]) -> None:
        self.rows = rows
        self._by_prefix = {row.prefix: row for row in rows}
        self._longest = max(len(row.prefix) for row in rows)

    @classmethod
    def parse(cls, text: str) -> "Tariff":
        """Return the tariff of a CSV text; raises `BadTariff` with the line at fault."""
        if len(text.encode()) > TARIFF_BYTES_MAX:
            raise BadTariff(1, f"the file is over {TARIFF_BYTES_MAX} bytes (TARIFF_BYTES_MAX)")
        rows: dict[str, Rate | Refusal] = {}
        lines: dict[str, int] = {}
        headed = False
        for line, cells in _cells(text):
            if not headed:
                if cells != COLUMNS:
                    raise BadTariff(line, f"the columns must be {','.join(COLUMNS)}")
                headed = True
                continue
            row = _row(line, cells)
            if row.prefix in rows:
                raise BadTariff(
                    line, f"the prefix {row.prefix} is in line {lines[row.prefix]} already"
                )
            if len(rows) == TARIFF_ROWS_MAX:
                raise BadTariff(line, f"more than {TARIFF_ROWS_MAX} rows (TARIFF_ROWS_MAX)")
            rows[row.prefix] = row
            lines[row.prefix] = line
        if not rows:
            raise BadTariff(1, "there is no row with a prefix")
        return cls(tuple(rows.values()))

    def rate_for(self, number: str) -> Rate:
        """Return the rate of an international number (digits only, no + or 00).

        Raises `NoTariff` where no prefix matches, or where the longest that does is refused.
        """
        if _NUMBER.fullmatch(number):
            for length in range(min(len(number), self._longest), 0, -1):
                if (row := self._by_prefix.get(number[:length])) is not None:
                    return _priced(row, number)
        raise NoTariff(number)

    def rate_for_sip(self) -> Rate:
        """Return the rate of a SIP URI elsewhere; raises `NoTariff`."""
        return self._named(SIP)

    def rate_for_phone(self) -> Rate:
        """Return the rate of a phone registered with us; raises `NoTariff`."""
        return self._named(PHONE)

    def _named(self, name: str) -> Rate:
        row = self._by_prefix.get(name)
        if row is None:
            raise NoTariff(name)
        return _priced(row, name)


@cache
def default_tariff() -> Tariff:
    """Return the tariff that comes with the service, `data/tariff.csv`."""
    return Tariff.parse(
        resources.files("billing").joinpath("data/tariff.csv").read_text(encoding="utf-8")
    )


def _cells(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give each row's line and cells, comments and empty lines left out."""
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        for cells in reader:
            if cells and not cells[0].startswith("#"):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise BadTariff(reader.line_num, f"not CSV: {error}") from error


def _row(line: int, cells: list[str]) -> Rate | Refusal:
    if len(cells) != len(COLUMNS):
        raise BadTariff(line, f"{len(COLUMNS)} columns are needed, {len(cells)} are there")
    prefix, destination, price = cells
    if not _PREFIX.fullmatch(prefix):
        raise BadTariff(
            line,
            f"a prefix is 1 to {PREFIX_DIGITS_MAX} digits, the first not 0, or {SIP} or {PHONE}: "
            f"{prefix!r}",
        )
    if not 1 <= len(destination) <= DESTINATION_CHARS_MAX:
        raise BadTariff(line, f"a destination has 1 to {DESTINATION_CHARS_MAX} characters")
    if price == REFUSED:
        return Refusal(prefix, destination)
    if not _PRICE.fullmatch(price) or int(price) > RATE_MILLICREDITS_PER_MINUTE_MAX:
        raise BadTariff(
            line,
            f"a price is a whole number from 0 to {RATE_MILLICREDITS_PER_MINUTE_MAX} millicredits "
            f"a minute (RATE_MILLICREDITS_PER_MINUTE_MAX), or {REFUSED}: {price!r}",
        )
    return Rate(prefix, destination, int(price))


def _priced(row: Rate | Refusal, number: str) -> Rate:
    match row:
        case Rate():
            return row
        case Refusal():
            raise NoTariff(number, row.destination)
