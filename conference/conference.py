"""A conference: when it is, who may come in, and in which state it is.

Everything takes the time as an argument, an aware `datetime`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from conference import limits
from conference.errors import (
    CallerNotListed,
    Ended,
    Full,
    IllegalStep,
    InvalidValue,
    LimitReached,
    NoFreeCode,
    NotStarted,
    OverTwoHours,
    WrongPin,
)

TWO_HOURS = timedelta(seconds=limits.CONFERENCE_SECONDS_MAX)


class State(StrEnum):
    """Where a conference is in its life."""

    SCHEDULED = "scheduled"
    RUNNING = "on"
    ENDED = "ended"


class Event(StrEnum):
    """What can happen to a conference."""

    START = "its start time"
    TIME_UP = "its end time"
    END = "ending it"
    ADD_CALLER = "adding a caller"


STEPS: dict[tuple[State, Event], State] = {
    (State.SCHEDULED, Event.START): State.RUNNING,
    (State.SCHEDULED, Event.END): State.ENDED,
    (State.SCHEDULED, Event.ADD_CALLER): State.SCHEDULED,
    (State.RUNNING, Event.TIME_UP): State.ENDED,
    (State.RUNNING, Event.END): State.ENDED,
    (State.RUNNING, Event.ADD_CALLER): State.RUNNING,
}
"""Every legal step; all others are an IllegalStep."""


class Access(StrEnum):
    """Who is let in."""

    OPEN = "open"  # whoever knows the access code
    PIN = "pin"  # who knows the code and the PIN
    CALLERS = "callers"  # only numbers given with addCaller


@dataclass(frozen=True, slots=True)
class Conference:
    """One scheduled conference; a value, never changed in place.

    ``conf_id`` is 6 hexadecimal digits, ``access_code`` what a caller types; ``start`` and
    ``end`` are aware UTC; ``callers`` are international digits; ``ended_at`` is when it was
    ended by request, None where its time alone ends it.
    """

    conf_id: str
    account_id: str
    access_code: str
    access: Access
    start: datetime
    end: datetime
    max_participants: int = limits.PARTICIPANTS_DEFAULT
    pin: str | None = field(default=None, repr=False)  # a secret: never in a log
    callers: frozenset[str] = frozenset()
    ended_at: datetime | None = None

    @property
    def last_moment(self) -> datetime:
        """When whoever is inside has to leave: its end, at most two hours after its start."""
        bounds = [self.end, self.start + TWO_HOURS]
        return min([*bounds, self.ended_at] if self.ended_at is not None else bounds)


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to join ``conf_id`` now, for at most ``max_seconds`` (more than 0)."""

    conf_id: str
    max_seconds: float


def normalise_number(text: str, name: str = "number") -> str:
    """International digits (E.164, 6 to 15) of a number as people write it: +33 1 99 00 00 01.

    Raises InvalidValue for ``name``.
    """
    digits = re.sub(r"[\s().\-/]", "", text).removeprefix("+")
    if not re.fullmatch(r"[1-9][0-9]{5,14}", digits):
        raise InvalidValue(
            name, text, "international digits without + or 00, as 33199000001", status=433
        )
    return digits


def create(
    *,
    account_id: str,
    now: datetime,
    draw: Callable[[int], bytes],
    id_taken: Callable[[str], bool],
    code_taken: Callable[[str], bool],
    start: datetime | None = None,
    duration_min: int = limits.DURATION_MINUTES_DEFAULT,
    access: str = Access.OPEN,
    pin: str | None = None,
    max_participants: int = limits.PARTICIPANTS_DEFAULT,
) -> Conference:
    """A new conference of ``account_id``, from ``start`` (default: now) for ``duration_min``.

    ``draw(n)`` gives n random bytes; ``id_taken`` and ``code_taken`` say what is in use.
    Raises InvalidValue, which names the field, or NoFreeCode.
    """
    begin = _check_start(start, now)
    if not 1 <= duration_min <= limits.DURATION_MINUTES_MAX:
        raise InvalidValue(
            "duration",
            duration_min,
            f"1 to {limits.DURATION_MINUTES_MAX} minutes",
            status=440 if duration_min > limits.DURATION_MINUTES_MAX else 432,
        )
    mode = _check_access(access, pin)
    if not limits.PARTICIPANTS_MIN <= max_participants <= limits.PARTICIPANTS_MAX:
        raise InvalidValue(
            "max_participants",
            max_participants,
            f"{limits.PARTICIPANTS_MIN} to {limits.PARTICIPANTS_MAX}",
        )
    return Conference(
        conf_id=_unused(lambda: draw(3).hex(), id_taken, "conference identifier"),
        account_id=account_id,
        access_code=_unused(lambda: _digits(draw), code_taken, "access code"),
        access=mode,
        start=begin,
        end=begin + timedelta(minutes=duration_min),
        max_participants=max_participants,
        pin=pin,
    )


def _check_start(start: datetime | None, now: datetime) -> datetime:
    if start is None:
        return now.astimezone(UTC)
    if start.tzinfo is None:
        raise InvalidValue(
            "start", start.isoformat(), "ISO 8601 with its offset, as 2026-11-24T14:00:00+01:00"
        )
    past, ahead = limits.START_PAST_SECONDS_MAX, limits.START_AHEAD_DAYS_MAX
    if start < now - timedelta(seconds=past):
        raise InvalidValue(
            "start", start.isoformat(), f"not in the past (now is {now.isoformat()}); or leave out"
        )
    if start > now + timedelta(days=ahead):
        raise InvalidValue("start", start.isoformat(), f"at most {ahead} days ahead")
    return start.astimezone(UTC)


def _check_access(access: str, pin: str | None) -> Access:
    try:
        mode = Access(access)
    except ValueError:
        raise InvalidValue("access", access, f"one of {', '.join(Access)}") from None
    few, many = limits.PIN_DIGITS_MIN, limits.PIN_DIGITS_MAX
    right = f"{few} to {many} digits"
    if mode is Access.PIN and pin is None:
        raise InvalidValue("pin", None, f"{right}, due with access=pin", status=430)
    if mode is not Access.PIN and pin is not None:
        # Not echoed: it may be the PIN of another conference.
        raise InvalidValue("pin", "…", f"only with access=pin, and access is {mode}")
    if pin is not None and not re.fullmatch(rf"[0-9]{{{few},{many}}}", pin):
        raise InvalidValue("pin", "…", right)
    return mode


def _digits(draw: Callable[[int], bytes]) -> str:
    lowest = 10 ** (limits.ACCESS_CODE_DIGITS - 1)  # no leading zero: codes survive spreadsheets
    return str(lowest + int.from_bytes(draw(8), "big") % (9 * lowest))


def _unused(make: Callable[[], str], taken: Callable[[str], bool], what: str) -> str:
    for _ in range(limits.DRAWS_MAX):
        if not taken(made := make()):
            return made
    raise NoFreeCode(what)


def state_at(conference: Conference, now: datetime) -> State:
    """The conference's state at ``now``."""
    if conference.ended_at is not None or now >= conference.last_moment:
        return State.ENDED
    return State.RUNNING if now >= conference.start else State.SCHEDULED


def step(conference: Conference, event: Event, now: datetime) -> State:
    """The state after ``event`` at ``now``. Raises IllegalStep."""
    state = state_at(conference, now)
    after = STEPS.get((state, event))
    if after is None:
        raise IllegalStep(conference.conf_id, state, event)
    return after


def end(conference: Conference, now: datetime) -> Conference:
    """The conference, ended by request; before its start too. Raises IllegalStep."""
    step(conference, Event.END, now)
    return replace(conference, ended_at=now.astimezone(UTC))


def add_caller(conference: Conference, number: str, now: datetime) -> Conference:
    """The conference with ``number`` on its list; before its start and while it runs.

    The list decides where access is ``callers``; elsewhere it lets the dial-in recognise who
    calls. A number that is on it already changes nothing. Raises IllegalStep, InvalidValue,
    LimitReached.
    """
    step(conference, Event.ADD_CALLER, now)
    digits = normalise_number(number)
    if digits in conference.callers:
        return conference
    if len(conference.callers) >= limits.CALLERS_MAX:
        raise LimitReached(
            "CALLERS_MAX", limits.CALLERS_MAX, "use access=pin for a conference of many"
        )
    return replace(conference, callers=conference.callers | {digits})


def admit(
    conference: Conference,
    *,
    caller: str | None,
    pin: str | None,
    participants: int,
    now: datetime,
    invited: bool = False,
) -> Admission:
    """Leave for ``caller`` (None: number unknown or hidden) to join now.

    ``participants`` are inside already. ``invited``: the conference called this guest, who
    needs neither list nor PIN. Raises the `Refused` that says why not: time first, then who
    it is, and only those who may come in are told that it is full.
    """
    match state_at(conference, now):
        case State.SCHEDULED:
            raise NotStarted(conference.conf_id, conference.start, now)
        case State.ENDED:
            raise _over(conference)
        case State.RUNNING:
            pass
    if not invited:
        _authenticate(conference, caller, pin)
    if participants >= conference.max_participants:
        raise Full(conference.conf_id, conference.max_participants)
    return Admission(conference.conf_id, (conference.last_moment - now).total_seconds())


def _over(conference: Conference) -> Ended | OverTwoHours:
    if conference.ended_at is None and conference.end >= conference.start + TWO_HOURS:
        return OverTwoHours(conference.conf_id, conference.start)
    return Ended(conference.conf_id, conference.last_moment)


def _authenticate(conference: Conference, caller: str | None, pin: str | None) -> None:
    match conference.access:
        case Access.OPEN:
            return
        case Access.CALLERS:
            try:
                listed = caller is not None and normalise_number(caller) in conference.callers
            except InvalidValue:
                listed = False  # a SIP address is no number that addCaller knows
            if not listed:
                raise CallerNotListed(conference.conf_id, caller)
        case Access.PIN:
            assert conference.pin is not None, "create gives every such conference its PIN"
            if pin is None:
                raise WrongPin(conference.conf_id, missing=True)
            # In constant time: how long a refusal takes tells nothing of the digits.
            if not hmac.compare_digest(pin.encode(), conference.pin.encode()):
                raise WrongPin(conference.conf_id, missing=False)
