"""What a running call needs of its hold, and when: the clock is an argument.

The house places the first hold (`Meter.first_hold`) before it dials, calls `started`
when the call is answered, then keeps one timer: `get_timer` says when to call `due`.
What comes back are steps for the house to perform, in order:

    Hold        extend the call's hold by `amount`, then tell the outcome to `extended`
    Warn        the credit ends in `seconds_left`: tell the caller
    Exhausted   the credit has ended: end the call with cause credit_exhausted

The hold is always a minute ahead: the next minute is asked for when 60 s are left of what
is held. Where it is refused, what the balance still pays for is asked for instead, so
that the end is known to the second, the warning comes 60 s before it, and shortly
before it one more minute is asked for: a top-up in time keeps the call.
"""

from dataclasses import dataclass

from billing.money import cost, seconds_for, started_seconds

AHEAD_S = 60  # what a hold is extended by, and how long before its end
LAST_TRY_S = 5  # before the end: the last time to ask for another minute


@dataclass(frozen=True)
class Hold:
    """Extend the hold by `amount` millicredits."""

    amount: int


@dataclass(frozen=True)
class Warn:
    """The credit ends in `seconds_left` unless it is topped up."""

    seconds_left: int


@dataclass(frozen=True)
class Exhausted:
    """The credit has ended."""


Step = Hold | Warn | Exhausted


def charge(millicredits_per_minute: int, started: float, stopped: float) -> int:
    """Return the millicredits of a call, or of an incoming participant's earnings.

    Times in seconds of one clock; per started second, rounded up once.
    """
    return cost(millicredits_per_minute, started_seconds(stopped - started))


class Meter:
    """The meter of one call that costs `millicredits_per_minute`; at 0 it never asks anything."""

    def __init__(self, millicredits_per_minute: int) -> None:
        self._price = millicredits_per_minute
        self._started: float | None = None
        self._stopped: float | None = None
        self._covered_s = AHEAD_S  # seconds of the call that the hold pays for
        self._asked_s = 0  # seconds asked for, not answered yet
        self._short = False  # the balance did not cover a whole minute
        self._ending = False  # nor anything in the last try
        self._warned = False
        self._exhausted = False

    @property
    def millicredits_per_minute(self) -> int:
        """The price."""
        return self._price

    @property
    def first_hold(self) -> int:
        """The millicredits to set aside before the call is dialled: its first minute."""
        return cost(self._price, AHEAD_S)

    def started(self, now: float) -> list[Step]:
        """The call was answered; returns what to do at once."""
        assert self._started is None, "a call is answered once"
        self._started = now
        return self.due(now)

    def get_timer(self) -> float | None:
        """Return when to call `due` next; none while nothing is due or an answer is awaited."""
        if self._started is None or self._stopped is not None or not self._price:
            return None
        if self._asked_s or self._exhausted:
            return None
        if self._ending:
            next_s = self._covered_s
        elif self._short:
            next_s = self._covered_s - LAST_TRY_S
        else:
            next_s = self._covered_s - AHEAD_S
        if self._short and not self._warned:
            next_s = min(next_s, self._covered_s - AHEAD_S)
        return self._started + next_s

    def due(self, now: float) -> list[Step]:
        """Return the steps that are due at `now`; an empty list before `get_timer`."""
        steps: list[Step] = []
        while (timer := self.get_timer()) is not None and now >= timer:
            steps.append(self._next(now))
        return steps

    def extended(self, now: float, *, ok: bool, available: int = 0) -> list[Step]:
        """Tell how the last `Hold` went; returns what to do next.

        Where it was refused (`ok` false), `available` is what the balance has, in
        millicredits, as `InsufficientCredit` tells it.
        """
        if self._stopped is not None:  # the call ended while the hold was being extended
            return []
        assert self._started is not None, "the call was not answered"
        assert self._asked_s, "nothing was asked for"
        asked, self._asked_s = self._asked_s, 0
        if ok:
            self._covered_s += asked
            if asked == AHEAD_S:
                self._short = self._ending = self._warned = False
            return self.due(now)
        self._short = True
        paid = cost(self._price, self._covered_s)
        self._covered_s = seconds_for(self._price, paid)  # what rounding up has paid already
        affordable = seconds_for(self._price, paid + max(0, available)) - self._covered_s
        # Never again what was refused, even if the balance has grown since: so this ends.
        if (rest := min(affordable, asked - 1)) > 0:
            return [self._ask(rest)]
        self._ending = now - self._started >= self._covered_s - LAST_TRY_S
        return self.due(now)

    def stopped(self, now: float) -> int:
        """End the meter; returns the call's cost in millicredits, 0 if it never started."""
        if self._stopped is None:
            self._stopped = now
        if self._started is None:
            return 0
        return charge(self._price, self._started, self._stopped)

    def _next(self, now: float) -> Step:
        assert self._started is not None
        left_s = self._covered_s - (now - self._started)
        if self._short and not self._warned and left_s <= AHEAD_S:
            self._warned = True
            return Warn(seconds_left=max(0, round(left_s)))
        if self._ending:
            self._exhausted = True
            return Exhausted()
        return self._ask(AHEAD_S)

    def _ask(self, seconds: int) -> Hold:
        self._asked_s = seconds
        held = cost(self._price, self._covered_s)
        return Hold(cost(self._price, self._covered_s + seconds) - held)
