"""The one place that knows what a destination is: a number, a phone, a `sip:` URI, a conference.

33199000001, +33 1 99 00 00 01, tel:+33199000001    a number
conf:12a34b                                         a conference
sip:alice@our.domain                                a phone that registers here
sip:33199000001@our.domain                          a number
sip:bob@elsewhere.example                           a SIP address elsewhere
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from service.errors import Refused, Status
from telephony.errors import TelephonyError
from telephony.uri import parse_sip_uri

CONFERENCE = re.compile(r"conf:([0-9a-f]{6})")
DIGITS = re.compile(r"[1-9][0-9]{5,14}")
SEPARATORS = re.compile(r"[\s().\-/]")
FORMS = "a number (33199000001), conf:ID (conf:12a34b) or a sip: URI (sip:alice@example.org)"


@dataclass(frozen=True)
class ConferenceAt:
    conf_id: str

    def __str__(self) -> str:
        return f"conf:{self.conf_id}"


@dataclass(frozen=True)
class PhoneAt:
    """A phone that registers with us."""

    username: str

    def __str__(self) -> str:
        return f"sip:{self.username}"


@dataclass(frozen=True)
class NumberAt:
    """A telephone number: international digits, no + or 00."""

    number: str

    def __str__(self) -> str:
        return self.number


@dataclass(frozen=True)
class SipAt:
    """A SIP address that is not ours."""

    uri: str

    def __str__(self) -> str:
        return self.uri


Destination = ConferenceAt | PhoneAt | NumberAt | SipAt


def parse_number(text: str) -> str | None:
    """Return international digits (E.164, at most 15) for a number as people write it, or None."""
    digits = SEPARATORS.sub("", text).removeprefix("+")
    return digits if DIGITS.fullmatch(digits) else None


def parse_destination(text: str, *, is_ours: Callable[[str], bool], field: str) -> Destination:
    """Return what `text` names; `is_ours(host)` tells our own SIP domain and addresses.

    Raises `Refused` (bad number, or bad from where `field` is `from`) with the forms
    that would be right.
    """
    status = Status.BAD_FROM if field == "from" else Status.BAD_NUMBER
    text = text.strip()
    lower = text.lower()
    if lower.startswith("conf:"):
        if match := CONFERENCE.fullmatch(lower):
            return ConferenceAt(match.group(1))
        raise Refused(
            status,
            f"{text!r} is not a conference's identifier",
            field=field,
            hint="conf: and six hexadecimal digits, as conf:12a34b",
        )
    if lower.startswith(("sip:", "sips:")):
        return _sip_destination(text, is_ours, status, field)
    if number := parse_number(text[4:] if lower.startswith("tel:") else text):
        return NumberAt(number)
    raise Refused(status, f"{text!r} is not a destination", field=field, hint=FORMS)


def _sip_destination(
    text: str, is_ours: Callable[[str], bool], status: Status, field: str
) -> Destination:
    try:
        uri = parse_sip_uri(text)
    except TelephonyError as error:
        raise Refused(status, f"{text!r}: {error}", field=field, hint=FORMS) from error
    if not is_ours(uri.host):
        return SipAt(text)
    user = uri.user or ""
    if user.startswith("conf-") and CONFERENCE.fullmatch(f"conf:{user[5:].lower()}"):
        return ConferenceAt(user[5:].lower())
    if number := parse_number(user):
        return NumberAt(number)
    if not user:
        raise Refused(status, f"{text!r} names no user at this service", field=field, hint=FORMS)
    return PhoneAt(user)
