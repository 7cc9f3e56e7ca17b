"""The types of inputs: what a value may be, and its one normal form.

Each type is a function of a value and its input's bounds that gives the normal form or
raises ValueError with what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol


class Bounds(Protocol):
    """What an input's description may narrow its type by; None does not."""

    @property
    def min(self) -> float | None: ...
    @property
    def max(self) -> float | None: ...
    @property
    def pattern(self) -> str | None: ...


NUMBER = "international digits, as 33199000001"
DESTINATION = (
    f"a number ({NUMBER}), a SIP address (sip:alice@example.org) "
    "or a conference (conf: and 6 hexadecimal digits, as conf:12a34b)"
)


def _text(value: str, bounds: Bounds) -> str:
    if bounds.pattern is not None and not re.fullmatch(bounds.pattern, value):
        raise ValueError(f"text of the form {bounds.pattern}")
    return value


def _number(value: str, _bounds: Bounds) -> str:
    digits = re.sub(r"[\s().\-/]", "", value).removeprefix("tel:").removeprefix("+")
    if not re.fullmatch(r"[1-9][0-9]{5,14}", digits):
        raise ValueError(NUMBER)
    return digits


def _destination(value: str, bounds: Bounds) -> str:
    trimmed = value.strip()
    lower = trimmed.lower()
    if re.fullmatch(r"conf:[0-9a-f]{6}", lower):
        return lower
    if re.fullmatch(r"sips?:([^\s@<>\"]+@)?[^\s@<>\"]+", lower):
        scheme, _, rest = trimmed.partition(":")
        return f"{scheme.lower()}:{rest}"
    try:
        return _number(trimmed, bounds)
    except ValueError:
        meant = f"; did you mean conf:{lower}?" if re.fullmatch(r"[0-9a-f]{6}", lower) else ""
        raise ValueError(f"{DESTINATION}{meant}") from None


def _seconds(value: str, bounds: Bounds) -> str:
    """A time as VoiceXML writes it (2.0 6.5), or a bare number of seconds; gives ``1.5s``."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?|\.\d{1,6})\s*(s|ms)?", value.strip())
    low, high = bounds.min or 0, bounds.max
    right = f"seconds from {low:g}" + ("" if high is None else f" to {high:g}") + ", as 30 or 30s"
    if match is None or not value.isascii():
        raise ValueError(right)
    seconds = Decimal(match[1]) / (1000 if match[2] == "ms" else 1)
    if seconds < Decimal(str(low)) or (high is not None and seconds > Decimal(str(high))):
        raise ValueError(right)
    return f"{seconds.normalize():f}s"


def _language(value: str, _bounds: Bounds) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", value.strip()):
        raise ValueError("a language tag, as fr-FR")
    return value.strip()


TYPES: dict[str, Callable[[str, Bounds], str]] = {
    "destination": _destination,
    "language": _language,
    "number": _number,
    "seconds": _seconds,
    "text": _text,
}
