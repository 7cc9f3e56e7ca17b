"""Amounts: integers of millicredits, 1 credit = 1 euro cent = 1000 millicredits."""

import re
from datetime import datetime, timedelta

from billing.errors import BadAmount
from billing.limits import AMOUNT_MILLICREDITS_MAX, CALL_SECONDS_MAX

MILLICREDITS_PER_CREDIT = 1000

_CREDITS = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,3}))?")
_MICROSECOND = timedelta(microseconds=1)


def parse_credits(text: str) -> int:
    """Return the millicredits of a decimal text of credits, `"12.5"` -> 12500.

    At most three decimals; a dot, no signs but a leading minus. Raises `BadAmount`.
    """
    found = _CREDITS.fullmatch(text.strip())
    if found is None:
        raise BadAmount(f"not an amount of credits: {text!r}; such as 200 or 12.5")
    sign, whole, decimals = found.groups()
    amount = int(whole) * MILLICREDITS_PER_CREDIT + int((decimals or "").ljust(3, "0"))
    return -amount if sign else amount


def format_credits(millicredits: int) -> str:
    """Return the credits as decimal text without needless zeros: 12500 -> `"12.5"`."""
    whole, rest = divmod(abs(millicredits), MILLICREDITS_PER_CREDIT)
    decimals = f".{rest:03}".rstrip("0") if rest else ""
    return f"{'-' if millicredits < 0 else ''}{whole}{decimals}"


def check_amount(millicredits: int, *, least: int = 1) -> int:
    """Return the amount if a posting may move it; raises `BadAmount` otherwise."""
    if not least <= millicredits <= AMOUNT_MILLICREDITS_MAX:
        raise BadAmount(
            f"an amount must be from {least} to {AMOUNT_MILLICREDITS_MAX} millicredits "
            f"(AMOUNT_MILLICREDITS_MAX): {millicredits}"
        )
    return millicredits


def started_seconds(duration_s: float) -> int:
    """Return the started seconds of a duration, 0 for none: 0.2 -> 1, 60.0 -> 60.

    Counted in whole microseconds, so that the last digit of a clock's floating point
    never charges a second. Never more than `CALL_SECONDS_MAX`: a clock that jumped must
    neither charge for months nor keep a call from being settled.
    """
    microseconds = max(0, round(duration_s * 1_000_000))
    return min(-(-microseconds // 1_000_000), CALL_SECONDS_MAX)


def seconds_between(begin: datetime, end: datetime) -> int:
    """Return the started seconds from `begin` to `end`, 0 where `end` is not later."""
    return started_seconds(((end - begin) // _MICROSECOND) / 1_000_000)


def cost(millicredits_per_minute: int, seconds: int) -> int:
    """Return what `seconds` cost at a price a minute, rounded up once to the millicredit."""
    return -(-millicredits_per_minute * seconds // 60)


def seconds_for(millicredits_per_minute: int, millicredits: int) -> int:
    """Return the seconds that an amount pays for in full; the price must not be 0."""
    return max(0, millicredits) * 60 // millicredits_per_minute
