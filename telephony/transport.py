"""Where a message came from and where one goes to."""

from __future__ import annotations

from typing import NamedTuple


class Flow(NamedTuple):
    """One way between us and a peer: transport, peer's address, and for TCP the connection.

    `transport` is "udp" or "tcp". `connection` is the number of an open TCP connection, or 0
    for "any connection to that host and port, opened if need be". `host` is an IP address,
    or a host name in a flow that we send to.
    """

    transport: str
    host: str
    port: int
    connection: int = 0

    @property
    def reliable(self) -> bool:
        """Whether the transport itself delivers (RFC 3261 17: no retransmissions)."""
        return self.transport != "udp"
