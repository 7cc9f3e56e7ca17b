"""Which addresses scripts may reach, and connections to exactly those that were checked.

A name is looked up and its addresses are checked where the connection is made: a name
that resolves twice differently gains nothing. A connection kept for the next request
belongs to its scheme, host name and port, so a certificate is always that of the host
name in the address.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import httpcore
import httpx

from service.fetching.errors import AddressRefused, OverLimit, Unreachable
from service.limits import (
    FETCH_ADDRESSES_TRIED_MAX,
    FETCH_CONNECT_S_MAX,
    FETCH_LOOKUPS_AT_ONCE_MAX,
    FETCH_URL_CHARS_MAX,
    URL_SHOWN_CHARS_MAX,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# From a host name and port to its addresses, in the order to try them; raises OSError.
Resolve = Callable[[str, int], Awaitable[list[str]]]

# The ports of other protocols, to which no request is sent: what a script posts could read
# as their commands. The list is that of "bad ports" in the WHATWG's Fetch standard.
BAD_PORTS = frozenset(
    (
        *(0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95),
        *(101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161),
        *(179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563),
        *(587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060),
        *(5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
    )
)
DEFAULT_PORTS = {"http": 80, "https": 443}

# IPv6 that is IPv4 in another form: the inner address is what counts (RFC 4291 2.5.5, RFC 6052).
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# All other IPv6 that is routed lies in here (RFC 4291 2.4, as assigned) ...
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# ... except tunnels into IPv4, which could lead anywhere (Teredo, 6to4), and addresses for
# documentation (RFC 9637), which Python 3.11 does not know.
NOBODYS = (
    ipaddress.IPv6Network("2001::/32"),
    ipaddress.IPv6Network("2002::/16"),
    ipaddress.IPv6Network("3fff::/20"),
)
# Anycast relays of 6to4 (RFC 7526), which Python counts as global.
RELAYS = ipaddress.IPv4Network("192.88.99.0/24")


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public network's hosts.

    Not so are loopback, link-local, private and shared ones, multicast, those reserved or for
    documentation, and IPv6 that leads to such an IPv4 address.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in GLOBAL_UNICAST or any(address in net for net in NOBODYS):
            return False
    elif address in RELAYS:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def checked_url(text: str) -> httpx.URL:
    """Return a text as the address of a request, in its normal form and without fragment.

    Raises AddressRefused where scripts may not fetch it, OverLimit where it is too long.
    """
    if len(text) > FETCH_URL_CHARS_MAX:
        raise OverLimit(f"the address has {len(text)} characters (FETCH_URL_CHARS_MAX)")
    try:
        url = httpx.URL(text).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressRefused(f"is no address: {error}") from None
    if url.scheme not in DEFAULT_PORTS:
        raise AddressRefused("scripts fetch http and https only")
    if not url.host:
        raise AddressRefused("is no address: it has no host")
    if url.port is not None and (url.port in BAD_PORTS or not 0 < url.port < 65536):
        raise AddressRefused(f"port {url.port} is not one of the web's")
    return url


def shown(url: str | httpx.URL) -> str:
    """Return an address for messages: cut, without what may be secret (user, query)."""
    text = str(url)
    scheme, marks, rest = text.partition("://")
    place, question, _ = rest.partition("?")
    host, slash, path = place.partition("/")
    safe = f"{scheme}{marks}{host.rpartition('@')[2]}{slash}{path}" + ("?…" if question else "")
    return safe if len(safe) <= URL_SHOWN_CHARS_MAX else safe[: URL_SHOWN_CHARS_MAX - 1] + "…"


class Lookup:
    """Looks up names by the system's resolver, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(FETCH_LOOKUPS_AT_ONCE_MAX, "lookup")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _look_up, host, port)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to public addresses, and to others where `allow_private`."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  as the base class has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of a host's permitted addresses that answers.

        Raises AddressRefused where none is permitted, Unreachable where none answers.
        """
        addresses = await self.addresses(host, port)
        reason = ""
        for address in addresses[:FETCH_ADDRESSES_TRIED_MAX]:
            try:
                return await self._inner.connect_tcp(
                    address, port, FETCH_CONNECT_S_MAX, local_address, socket_options
                )
            except httpcore.ConnectTimeout:
                reason = f"no connection in {FETCH_CONNECT_S_MAX:g} s (FETCH_CONNECT_S_MAX)"
            except httpcore.ConnectError as error:
                reason = _why(error)
        raise Unreachable(f"{host} port {port}: {reason}")

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the permitted addresses of a host, in the resolver's order."""
        try:
            found = await self._resolve(host.strip("[]"), port)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{host} cannot be resolved: {_why(error)}") from None
        permitted = [one for one in found if self._permits(one)]
        if found and not permitted:
            raise AddressRefused(
                f"{host} is at an address that is not public ([fetch] allow_private permits those)"
            )
        if not permitted:
            raise Unreachable(f"{host} has no address")
        return permitted

    def _permits(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        return self._allow_private or is_public(address)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _why(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
