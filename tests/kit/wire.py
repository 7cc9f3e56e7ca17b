"""A wire that loses, doubles, delays and reorders, the same way for the same seed."""

import heapq
import random
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True)
class Faults:
    """How bad a wire is: probabilities from 0 to 1, times in seconds."""

    loss: float = 0.0
    duplicates: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0  # a datagram takes up to this much longer: what overtakes is reordered


class Wire:
    """One direction between two ends. Sans-IO: the clock is an argument.

    `send` puts a datagram in, `arrivals` takes out what has come through by `now`,
    `next_arrival` says when to look again.
    """

    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.lost = 0
        self.doubled = 0
        self._random = random.Random(seed)
        self._order = count()
        self._under_way: list[tuple[float, int, bytes]] = []

    def send(self, datagram: bytes, now: float) -> None:
        """Put `datagram` on the wire at `now`."""
        if self._random.random() < self.faults.loss:
            self.lost += 1
            return
        self._launch(datagram, now)
        if self._random.random() < self.faults.duplicates:
            self.doubled += 1
            self._launch(datagram, now)

    def _launch(self, datagram: bytes, now: float) -> None:
        moment = now + self.faults.delay_s + self._random.random() * self.faults.jitter_s
        heapq.heappush(self._under_way, (moment, next(self._order), datagram))

    def arrivals(self, now: float) -> list[bytes]:
        """Return, in order of arrival, the datagrams that are through by `now`."""
        through = []
        while self._under_way and self._under_way[0][0] <= now:
            through.append(heapq.heappop(self._under_way)[2])
        return through

    def next_arrival(self) -> float | None:
        """Return when the next datagram comes through; None on an empty wire."""
        return self._under_way[0][0] if self._under_way else None
