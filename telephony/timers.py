"""All timers of one process on one heap, driven from outside by a clock argument."""

from __future__ import annotations

import heapq
from collections.abc import Callable

TimerAction = Callable[[float], object]


class Timer:
    """A started timer. `cancel` is idempotent and leaves the heap's entry to fall out."""

    __slots__ = ("action",)

    def __init__(self, action: TimerAction) -> None:
        self.action: TimerAction | None = action

    def cancel(self) -> None:
        """The action will not run."""
        self.action = None


class Timers:
    """A heap of timers in seconds of a monotonic clock."""

    __slots__ = ("_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0

    def start(self, due: float, action: TimerAction) -> Timer:
        """A timer whose action runs with the clock's value once `due` (seconds) is reached."""
        timer = Timer(action)
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, timer))
        return timer

    def next_due(self) -> float | None:
        """When the next live timer is due, in seconds, or None."""
        heap = self._heap
        while heap:
            if heap[0][2].action is not None:
                return heap[0][0]
            heapq.heappop(heap)
        return None

    def run(self, now: float) -> None:
        """Run every action that is due at `now`, oldest first."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            action = timer.action
            if action is not None:
                timer.action = None
                action(now)
