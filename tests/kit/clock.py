"""A clock that stands still until a test moves it."""

import heapq
from collections.abc import Callable
from itertools import count


class VirtualClock:
    """Seconds that pass only when `advance` says so; actions asked for run in their order."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def __call__(self) -> float:
        """Return the present moment in seconds, as `time.monotonic` would."""
        return self.now

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Run `action` when the clock reaches `moment` (at the next step if that is past)."""
        heapq.heappush(self._due, (moment, next(self._order), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` when `seconds` have passed."""
        self.at(self.now + seconds, action)

    def advance(self, seconds: float) -> None:
        """Let time pass; each action runs with `now` at its own moment, even one added meanwhile.

        Raises ValueError where time would go backwards.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            moment, _, action = heapq.heappop(self._due)
            self.now = max(self.now, moment)
            action()
        self.now = end
