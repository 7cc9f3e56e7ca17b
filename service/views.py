"""What the service shows of calls, conferences and balances: values, the same for all who ask.

Times are aware UTC, durations seconds, amounts integer millicredits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class ParticipantView:
    """One participation in a conference; `left_at` is None while it lasts."""

    number: str
    joined_at: datetime
    left_at: datetime | None = None


@dataclass(frozen=True)
class ConferenceView:
    """A conference and who is or was in it."""

    conf_id: str  # six hexadecimal digits
    access_code: str
    phone_number: str  # international digits; empty where no number is assigned to the dial-in
    sip_uri: str
    start: datetime
    end: datetime
    access: str  # open, pin, callers
    state: str  # scheduled, on, ended
    participants: tuple[ParticipantView, ...] = ()


@dataclass(frozen=True)
class TimelineEntry:
    """One thing that happened in a call."""

    at: datetime
    kind: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class CallView:
    """A call, live or ended, with its timeline."""

    call_id: str
    direction: str  # incoming, outgoing
    caller: str
    called: str
    state: str  # ringing, up, ended
    created: datetime
    answered: datetime | None
    ended: datetime | None
    duration_s: int
    cause: str  # empty while it lasts
    cost_millicredits: int
    earned_millicredits: int
    timeline: tuple[TimelineEntry, ...] = ()


@dataclass(frozen=True)
class BalanceView:
    """An account's money: to spend, set aside for running calls, both; earned and spent so far."""

    available: int
    held: int
    total: int
    earned: int
    spent: int
