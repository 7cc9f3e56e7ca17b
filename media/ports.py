"""Port pairs: RTP on an even port, RTCP on the next odd one (RFC 3550 11), bound ahead of use."""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass

from media.limits import PORTS_READY_MAX


@dataclass(frozen=True)
class PortPair:
    """Two bound sockets."""

    port: int
    rtp: socket.socket
    rtcp: socket.socket

    def close(self) -> None:
        """Close both."""
        self.rtp.close()
        self.rtcp.close()


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


class PortPool:
    """Pairs of a range, used in turn so that a pair rests as long as possible.

    A pair in use elsewhere on the machine is passed over and tried again in its turn.
    """

    def __init__(self, host: str, ports: range) -> None:
        first = ports.start + ports.start % 2
        self._host = host
        self._unbound = deque(range(first, ports.stop - 1, 2))
        self._ready: dict[int, PortPair] = {}

    @property
    def ready(self) -> int:
        """Pairs that are bound and not taken."""
        return len(self._ready)

    @property
    def left(self) -> int:
        """Pairs that are neither bound nor taken."""
        return len(self._unbound)

    def fill(self) -> list[int]:
        """Bind pairs up to PORTS_READY_MAX; return the new ones' RTP ports."""
        new = []
        for _ in range(min(len(self._unbound), 2 * PORTS_READY_MAX)):
            if len(self._ready) >= PORTS_READY_MAX:
                break
            port = self._unbound.popleft()
            try:
                rtp = _bind(self._host, port)
            except OSError:
                self._unbound.append(port)
                continue
            try:
                rtcp = _bind(self._host, port + 1)
            except OSError:
                rtp.close()
                self._unbound.append(port)
                continue
            self._ready[port] = PortPair(port, rtp, rtcp)
            new.append(port)
        return new

    def take(self, port: int) -> PortPair | None:
        """Return a ready pair and forget it; None when it is not ready."""
        return self._ready.pop(port, None)

    def give_back(self, pair: PortPair) -> None:
        """Close a pair and put its ports behind all others: what still comes meets nobody."""
        pair.close()
        self._unbound.append(pair.port)

    def close(self) -> None:
        """Close all that is ready."""
        for pair in self._ready.values():
            pair.close()
        self._ready.clear()
