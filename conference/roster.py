"""Who is inside a conference, and who was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from conference import limits
from conference.errors import AlreadyInside, LimitReached, NotInside


@dataclass(frozen=True, slots=True)
class Participant:
    """One stay of one leg; ``number`` is None where the caller's is unknown or hidden."""

    leg_id: str
    number: str | None
    joined_at: datetime
    left_at: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """How long the stay lasted, or has lasted until ``now``."""
        return ((self.left_at or now) - self.joined_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Joined:
    """``participant`` came in; ``inside`` are there now, this one included."""

    participant: Participant
    inside: int


@dataclass(frozen=True, slots=True)
class Left:
    """``participant`` went; ``inside`` remain."""

    participant: Participant
    inside: int


class Roster:
    """The participants of one conference with their history; a leg may come back."""

    def __init__(self) -> None:
        self._stays: list[Participant] = []
        self._inside: dict[str, int] = {}  # leg id to its stay's place in the history

    @property
    def count(self) -> int:
        """How many are inside."""
        return len(self._inside)

    @property
    def inside(self) -> tuple[Participant, ...]:
        """Who is inside, in the order they came."""
        return tuple(self._stays[place] for place in self._inside.values())

    @property
    def history(self) -> tuple[Participant, ...]:
        """Every stay, in the order they began."""
        return tuple(self._stays)

    def join(self, leg_id: str, number: str | None, now: datetime) -> Joined:
        """``leg_id`` comes in. Raises AlreadyInside, LimitReached (JOINS_MAX)."""
        if leg_id in self._inside:
            raise AlreadyInside(leg_id)
        if len(self._stays) >= limits.JOINS_MAX:
            raise LimitReached("JOINS_MAX", limits.JOINS_MAX, "create another conference")
        self._inside[leg_id] = len(self._stays)
        self._stays.append(Participant(leg_id, number, now))
        return Joined(self._stays[-1], self.count)

    def leave(self, leg_id: str, now: datetime) -> Left:
        """``leg_id`` goes. Raises NotInside."""
        place = self._inside.pop(leg_id, None)
        if place is None:
            raise NotInside(leg_id)
        self._stays[place] = replace(self._stays[place], left_at=now)
        return Left(self._stays[place], self.count)

    def leave_all(self, now: datetime) -> tuple[Left, ...]:
        """Everybody goes: the conference is over."""
        return tuple(self.leave(leg_id, now) for leg_id in tuple(self._inside))
