"""An event loop whose clock jumps: where all wait for a time, it is that time.

For coroutines that wait with asyncio itself; a test of an hour takes a moment.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class StandsStill(Exception):
    """All wait, and no time is set at which any of them goes on."""


class _Selector(selectors.DefaultSelector):
    now = 1_000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events and timeout is None:
            raise StandsStill
        if not events and timeout is not None:
            self.now += max(0.0, timeout)
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Selector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_jumping(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end on a loop whose clock jumps."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
