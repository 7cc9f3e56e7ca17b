"""Turns: how many requests are under way at once, in all, for one call and to one host.

Who cannot begin waits in line; the first in line whose call and host have room begins when
another ends. So a host that never answers delays its own callers, not all of them.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import TypeVar

from service.fetching.errors import OverLimit
from service.limits import (
    FETCHES_AT_ONCE_MAX,
    FETCHES_AT_ONCE_PER_CALL_MAX,
    FETCHES_AT_ONCE_PER_HOST_MAX,
    FETCHES_WAITING_MAX,
)

T = TypeVar("T", bound=Hashable)


class Turns:
    """Gives turns; `running` and `waiting` tell how many there are."""

    def __init__(self) -> None:
        self.running = 0
        self._calls: Counter[str] = Counter()
        self._hosts: Counter[Hashable] = Counter()
        self._line: deque[tuple[str, Hashable, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._line)

    @asynccontextmanager
    async def turn(self, call: str, host: Hashable) -> AsyncIterator[None]:
        """Hold a turn; an empty `call` is the service's own. Raises OverLimit at once where
        the line is full.
        """
        await self._take(call, host)
        try:
            yield
        finally:
            self._give_back(call, host)

    async def _take(self, call: str, host: Hashable) -> None:
        if self._has_room(call, host):
            self._begin(call, host)
            return
        if len(self._line) >= FETCHES_WAITING_MAX:
            raise OverLimit(f"{FETCHES_WAITING_MAX} fetches wait already (FETCHES_WAITING_MAX)")
        place = (call, host, asyncio.get_running_loop().create_future())
        self._line.append(place)
        try:
            await place[2]
        except asyncio.CancelledError:
            if place in self._line:
                self._line.remove(place)
            else:
                self._give_back(call, host)  # the turn came together with the end
            raise

    def _has_room(self, call: str, host: Hashable) -> bool:
        return (
            self.running < FETCHES_AT_ONCE_MAX
            and (not call or self._calls[call] < FETCHES_AT_ONCE_PER_CALL_MAX)
            and self._hosts[host] < FETCHES_AT_ONCE_PER_HOST_MAX
        )

    def _begin(self, call: str, host: Hashable) -> None:
        self.running += 1
        self._calls[call] += 1
        self._hosts[host] += 1

    def _give_back(self, call: str, host: Hashable) -> None:
        self.running -= 1
        _less(self._calls, call)
        _less(self._hosts, host)
        for place in list(self._line):
            if self.running >= FETCHES_AT_ONCE_MAX:
                break
            if not place[2].done() and self._has_room(place[0], place[1]):
                self._line.remove(place)
                self._begin(place[0], place[1])
                place[2].set_result(None)


def _less(counter: Counter[T], key: T) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
