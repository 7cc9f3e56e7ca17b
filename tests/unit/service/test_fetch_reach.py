"""Which addresses scripts may reach: every class, every way to write one, and rebinding."""

import asyncio
import ipaddress

import httpcore
import pytest

from service.fetching.errors import AddressRefused, OverLimit, Unreachable
from service.fetching.reach import BAD_PORTS, CheckedNetwork, Lookup, checked_url, is_public, shown
from service.limits import (
    FETCH_ADDRESSES_TRIED_MAX,
    FETCH_CONNECT_S_MAX,
    FETCH_LOOKUPS_AT_ONCE_MAX,
    FETCH_URL_CHARS_MAX,
    URL_SHOWN_CHARS_MAX,
)

REFUSED = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "this network",
    "10.1.2.3": "private",
    "100.64.0.1": "shared by carriers",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local: clouds' metadata",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.1": "protocol assignments",
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4 relays",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "IPv4-compatible",
    "::ffff:127.0.0.1": "mapped loopback",
    "::ffff:10.0.0.1": "mapped private",
    "::ffff:169.254.169.254": "mapped link-local",
    "64:ff9b::127.0.0.1": "NAT64 of loopback",
    "64:ff9b::10.0.0.1": "NAT64 of private",
    "64:ff9b:1::1": "local NAT64",
    "100::1": "discard",
    "2001::1": "Teredo",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4 of loopback",
    "2002:808:808::1": "6to4",
    "3fff::1": "documentation",
    "5f00::1": "segment routing",
    "fc00::1": "unique local",
    "fd12:3456::1": "unique local",
    "fe80::1": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
    "ff0e::1": "global multicast",
}
PERMITTED = (
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
)


@pytest.mark.parametrize("text", REFUSED)
def test_addresses_of_nobody_public_are_refused(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text)), REFUSED[text]


@pytest.mark.parametrize("text", PERMITTED)
def test_public_addresses_are_permitted(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


async def connect(network: CheckedNetwork, url: str) -> None:
    target = checked_url(url)
    await network.connect_tcp(target.raw_host.decode(), target.port or 80)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://0/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[fe80::1]/",
        "http://localhost/",
        "http://LocalHost/",
        "http://public.example@127.0.0.1/",
        "http://public.example:80@127.0.0.1:8080/",
        "http://public.example%2f@127.0.0.1/",
        "http://127.0.0.1:80#@public.example/",
        "http://127。0。0。1/",
        "http://①②⑦.0.0.1/",
    ],
)
async def test_every_way_to_write_an_address_inside_is_refused(url: str) -> None:
    """By the system's own resolver, which reads the numbers as any program would."""
    lookup = Lookup()
    network = CheckedNetwork(lookup, allow_private=False)
    try:
        with pytest.raises(AddressRefused):
            await connect(network, url)
    finally:
        lookup.close()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h.example/",
        "file:///etc/passwd",
        "data:text/plain,hello",
        "gopher://h.example/",
        "javascript:alert(1)",
        "voicemashup://script/1",
        "//h.example/",
        "h.example",
        "http:///path",
        "http://",
        "http://h.example:99999/",
        "http://h.example:-1/",
        "http://h.example:8o/",
        "http://[::1/",
        "http://h.example/\x00",
        "http://h.example/a\r\nHost: other",
        "",
    ],
)
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        checked_url(url)


@pytest.mark.parametrize("port", [0, 22, 25, 587, 5060, 6667, 10080])
def test_ports_of_other_protocols_are_refused(port: int) -> None:
    assert port in BAD_PORTS
    with pytest.raises(AddressRefused, match=f"port {port}"):
        checked_url(f"http://h.example:{port}/")


@pytest.mark.parametrize("port", [80, 443, 8080, 8443, 3000, 65535])
def test_odd_ports_of_the_web_are_permitted(port: int) -> None:
    assert checked_url(f"https://h.example:{port}/a").port in (port, None)


def test_a_fragment_is_not_sent() -> None:
    assert str(checked_url("http://h.example/a?b#c")) == "http://h.example/a?b"


def test_too_long_an_address_is_refused() -> None:
    url = "http://h.example/" + "a" * FETCH_URL_CHARS_MAX
    with pytest.raises(OverLimit, match="FETCH_URL_CHARS_MAX"):
        checked_url(url)
    checked_url(url[:FETCH_URL_CHARS_MAX])


def test_messages_show_no_secrets_and_are_cut() -> None:
    assert shown("http://user:secret@h.example/a?pin=1234") == "http://h.example/a?…"
    long = shown("http://h.example/" + "a" * 500)
    assert len(long) == URL_SHOWN_CHARS_MAX
    assert long.endswith("…")


class Connections:
    """Stands where connections are made: notes the addresses, and lets some fail."""

    def __init__(self, network: CheckedNetwork, failing: dict[str, Exception]) -> None:
        self.tried: list[str] = []
        self._failing = failing
        network._inner = self  # type: ignore[assignment]

    async def connect_tcp(self, host: str, port: int, limit_s: float, *_: object) -> str:
        assert limit_s == FETCH_CONNECT_S_MAX
        self.tried.append(host)
        if host in self._failing:
            raise self._failing[host]
        return f"connected to {host}"


def resolver(*answers: list[str]):  # type: ignore[no-untyped-def]
    """A resolver that gives one answer after the other."""
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        return left.pop(0)

    return resolve


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """DNS rebinding: a second look-up would lead inside, but there is none."""
    network = CheckedNetwork(resolver(["8.8.8.8"], ["127.0.0.1"]), allow_private=False)
    connections = Connections(network, {})
    await network.connect_tcp("rebinding.example", 80)
    assert connections.tried == ["8.8.8.8"]
    with pytest.raises(AddressRefused):  # the next connection is checked for itself
        await network.connect_tcp("rebinding.example", 80)
    assert connections.tried == ["8.8.8.8"]


async def test_of_mixed_addresses_only_the_public_are_tried() -> None:
    network = CheckedNetwork(
        resolver(["127.0.0.1", "fe80::1%eth0", "8.8.8.8", "nonsense"]), allow_private=False
    )
    connections = Connections(network, {})
    await network.connect_tcp("mixed.example", 80)
    assert connections.tried == ["8.8.8.8"]


async def test_private_addresses_are_reached_where_that_is_configured() -> None:
    network = CheckedNetwork(resolver(["10.0.0.1"]), allow_private=True)
    connections = Connections(network, {})
    await network.connect_tcp("inside.example", 80)
    assert connections.tried == ["10.0.0.1"]


async def test_the_next_address_is_tried_but_not_all_of_them() -> None:
    addresses = [f"8.8.8.{number}" for number in range(FETCH_ADDRESSES_TRIED_MAX + 2)]
    network = CheckedNetwork(resolver(addresses, addresses), allow_private=False)
    connections = Connections(network, {"8.8.8.0": httpcore.ConnectError("refused")})
    await network.connect_tcp("h.example", 80)
    assert connections.tried == ["8.8.8.0", "8.8.8.1"]
    broken = Connections(network, {one: httpcore.ConnectTimeout() for one in addresses})
    with pytest.raises(Unreachable, match="FETCH_CONNECT_S_MAX"):
        await network.connect_tcp("h.example", 80)
    assert broken.tried == addresses[:FETCH_ADDRESSES_TRIED_MAX]


async def test_a_name_that_does_not_resolve_says_so() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    network = CheckedNetwork(resolve, allow_private=False)
    with pytest.raises(Unreachable, match=r"nowhere\.example cannot be resolved: Name or service"):
        await network.connect_tcp("nowhere.example", 80)
    network = CheckedNetwork(resolver([]), allow_private=False)
    with pytest.raises(Unreachable, match="has no address"):
        await network.connect_tcp("empty.example", 80)


async def test_slow_look_ups_take_no_thread_from_others() -> None:
    """As many as FETCH_LOOKUPS_AT_ONCE_MAX hang; work in threads goes on beside them."""
    import threading

    lookup, release = Lookup(), threading.Event()
    begun = threading.Semaphore(0)

    def hang() -> None:
        begun.release()
        release.wait(10)

    for _ in range(FETCH_LOOKUPS_AT_ONCE_MAX + 5):
        lookup._threads.submit(hang)
    for _ in range(FETCH_LOOKUPS_AT_ONCE_MAX):
        await asyncio.to_thread(begun.acquire)
    assert not begun.acquire(blocking=False)  # no more than that many run
    lookup.close()
    release.set()
