"""Which of this machine's addresses a peer can reach."""

import socket
from functools import lru_cache

from service.limits import PEER_ADDRESSES_REMEMBERED_MAX

WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104  compared with, not bound
# An address that every machine routes like the rest of the world (RFC 5737: nobody's).
ANYWHERE = "192.0.2.1"


@lru_cache(maxsize=PEER_ADDRESSES_REMEMBERED_MAX)
def local_address_towards(peer_ip: str) -> str:
    """Return the local IP address from which packets to `peer_ip` leave.

    Asks the kernel's routing table through an unconnected UDP socket: nothing is
    sent. Answers the loopback address where there is no route.
    """
    family = socket.AF_INET6 if ":" in peer_ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer_ip, 9))
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"
        return str(probe.getsockname()[0])


def address_for_peer(bound: str, advertised: str, peer_ip: str) -> str:
    """Return the address to tell `peer_ip`: the advertised one, the bound one, or the route's."""
    if advertised:
        return advertised
    return local_address_towards(peer_ip) if bound in WILDCARDS else bound
