"""Turns, the store of answers, unpacking, forms: each within its limits."""

import asyncio
import email
import email.policy
import gzip
import zlib
from contextlib import AsyncExitStack

import pytest

from service.fetching.cache import OVERHEAD_BYTES, HttpCache
from service.fetching.errors import BrokenAnswer, OverLimit
from service.fetching.forms import MULTIPART, URLENCODED, form
from service.fetching.freshness import Answer
from service.fetching.turns import Turns
from service.fetching.unpacking import Body
from service.limits import (
    CACHED_ADDRESSES_MAX,
    CACHED_VARIANTS_MAX,
    FETCH_BYTES_MAX,
    FETCH_GZIP_MEMBERS_MAX,
    FETCH_SENT_BYTES_MAX,
    FETCHES_AT_ONCE_MAX,
    FETCHES_AT_ONCE_PER_CALL_MAX,
    FETCHES_AT_ONCE_PER_HOST_MAX,
    FETCHES_WAITING_MAX,
)


class Line:
    """Many who want a turn; each holds it until it is told to end."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.held: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def ask(self, name: str, call: str, host: str) -> None:
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, call, host))
        await asyncio.sleep(0)

    async def _hold(self, name: str, call: str, host: str) -> None:
        async with self.turns.turn(call, host):
            self.held.append(name)
            await self._ends[name].wait()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def test_a_call_has_so_many_fetches_at_once() -> None:
    """FETCHES_AT_ONCE_PER_CALL_MAX: others do not wait behind it."""
    line = Line()
    for number in range(FETCHES_AT_ONCE_PER_CALL_MAX + 2):
        await line.ask(f"a{number}", "call-a", f"host-{number}")
    assert len(line.held) == FETCHES_AT_ONCE_PER_CALL_MAX
    await line.ask("b", "call-b", "host-0")
    assert line.held[-1] == "b"
    await line.end("a3")
    assert line.held[-1] == f"a{FETCHES_AT_ONCE_PER_CALL_MAX}"  # the first in line
    await line.close()
    assert (line.turns.running, line.turns.waiting) == (0, 0)


async def test_a_host_is_asked_so_much_at_once() -> None:
    """FETCHES_AT_ONCE_PER_HOST_MAX: a host that hangs delays no other."""
    line = Line()
    for number in range(FETCHES_AT_ONCE_PER_HOST_MAX + 1):
        await line.ask(f"a{number}", f"call-{number}", "slow")
    assert len(line.held) == FETCHES_AT_ONCE_PER_HOST_MAX
    await line.ask("other", "call-x", "quick")
    assert line.held[-1] == "other"
    await line.end("a0")
    assert line.held[-1] == f"a{FETCHES_AT_ONCE_PER_HOST_MAX}"
    await line.close()


async def test_the_service_has_so_many_fetches_at_once() -> None:
    """FETCHES_AT_ONCE_MAX."""
    line = Line()
    for number in range(FETCHES_AT_ONCE_MAX + 1):
        await line.ask(f"a{number}", f"call-{number}", f"host-{number}")
    assert len(line.held) == line.turns.running == FETCHES_AT_ONCE_MAX
    await line.end("a7")
    assert line.held[-1] == f"a{FETCHES_AT_ONCE_MAX}"
    await line.close()


async def test_sounds_of_no_call_share_no_calls_limit() -> None:
    line = Line()
    for number in range(FETCHES_AT_ONCE_PER_CALL_MAX + 1):
        await line.ask(f"a{number}", "", f"host-{number}")
    assert len(line.held) == FETCHES_AT_ONCE_PER_CALL_MAX + 1
    await line.close()


async def test_a_full_line_refuses_at_once() -> None:
    """FETCHES_WAITING_MAX."""
    line = Line()
    for number in range(FETCHES_AT_ONCE_PER_CALL_MAX + FETCHES_WAITING_MAX):
        await line.ask(f"a{number}", "call", f"host-{number}")
    assert line.turns.waiting == FETCHES_WAITING_MAX
    await line.ask("one more", "call", "host")
    with pytest.raises(OverLimit, match="FETCHES_WAITING_MAX"):
        await line.tasks["one more"]
    await line.close()
    assert (line.turns.running, line.turns.waiting) == (0, 0)


async def test_who_leaves_the_line_leaves_no_gap() -> None:
    line = Line()
    for number in range(FETCHES_AT_ONCE_PER_CALL_MAX + 2):
        await line.ask(f"a{number}", "call", "host")
    first, second = (f"a{FETCHES_AT_ONCE_PER_CALL_MAX + extra}" for extra in (0, 1))
    line.tasks[first].cancel()
    await line.end("a0")
    assert line.held[-1] == second
    await line.close()
    assert (line.turns.running, line.turns.waiting) == (0, 0)


async def test_a_turn_that_comes_with_the_end_is_given_on() -> None:
    """Both in the same step: the turn given, and who waited for it cancelled."""
    turns = Turns()
    async with AsyncExitStack() as held:
        for _ in range(FETCHES_AT_ONCE_PER_CALL_MAX - 1):
            await held.enter_async_context(turns.turn("call", "host"))
        last = turns.turn("call", "host")
        await last.__aenter__()
        waits = asyncio.create_task(turns.turn("call", "host").__aenter__())
        await asyncio.sleep(0)
        await last.__aexit__(None, None, None)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert turns.running == FETCHES_AT_ONCE_PER_CALL_MAX - 1
    assert turns.running == 0


def kept(url: str, body: bytes, **vary: str) -> Answer:
    return Answer(url, 200, (), body, "", 0.0, 0.0, tuple(vary.items()))


def test_the_store_has_so_many_bytes_the_least_used_go() -> None:
    """`fetch.cache_mib`."""
    cache = HttpCache(3 * (OVERHEAD_BYTES + 1_100))
    for name in "abc":
        cache.keep(f"http://h/{name}", kept(f"http://h/{name}", bytes(1_000)))
    assert len(cache) == 3
    assert cache.find("http://h/a", ()) is not None  # used: b is now the least
    cache.keep("http://h/d", kept("http://h/d", bytes(1_000)))
    assert cache.find("http://h/b", ()) is None
    assert cache.find("http://h/a", ()) is not None
    cache.keep("http://h/a", kept("http://h/a", bytes(100_000)))  # larger than all together
    assert cache.find("http://h/a", ()) is None
    for name in "cd":
        cache.drop(f"http://h/{name}")
    assert (cache.bytes, len(cache)) == (0, 0)


def test_the_store_has_so_many_addresses() -> None:
    """CACHED_ADDRESSES_MAX."""
    cache = HttpCache(2**40)
    for number in range(CACHED_ADDRESSES_MAX + 3):
        cache.keep(f"http://h/{number}", kept(f"http://h/{number}", b""))
    assert len(cache) == CACHED_ADDRESSES_MAX
    assert cache.find("http://h/0", ()) is None


def test_an_address_has_so_many_variants() -> None:
    """CACHED_VARIANTS_MAX; the same variant is replaced."""
    cache = HttpCache(2**30)
    for number in range(CACHED_VARIANTS_MAX + 1):
        cache.keep("http://h/", kept("http://h/", b"old", cookie=f"c{number}"))
        cache.keep("http://h/", kept("http://h/", b"new", cookie=f"c{number}"))
    assert len(cache) == CACHED_VARIANTS_MAX
    assert cache.find("http://h/", (("cookie", "c0"),)) is None
    found = cache.find("http://h/", (("cookie", "c3"),))
    assert found is not None
    assert found.body == b"new"


TEXT = b"The quick brown fox. " * 2_000


def unpacked(encoding: str, packed: bytes, piece_bytes: int = 1_000) -> bytes:
    body = Body([encoding])
    for start in range(0, len(packed), piece_bytes):
        body.add(packed[start : start + piece_bytes])
    return body.end()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("piece_bytes", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("X-GZIP", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:999]) + gzip.compress(TEXT[999:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
)
def test_what_is_packed_is_unpacked(encoding: str, packed: bytes, piece_bytes: int) -> None:
    assert unpacked(encoding, packed, piece_bytes) == TEXT


def test_nothing_is_nothing_however_packed() -> None:
    assert unpacked("gzip", b"") == b""


@pytest.mark.parametrize(
    ("encoding", "packed", "why"),
    [
        ("gzip", gzip.compress(TEXT)[:-5], "breaks off"),
        ("deflate", zlib.compress(TEXT)[:-5], "breaks off"),
        ("deflate", b"x", "breaks off"),
        ("gzip", TEXT, "damaged"),
        ("deflate", b"\xff" * 50, "damaged"),
        ("gzip", gzip.compress(TEXT) + b"more", "damaged"),
        ("deflate", zlib.compress(TEXT) + b"more", "follows"),
        ("br", TEXT, "packed as br"),
        ("gzip, gzip", TEXT, "packed as gzip, gzip"),
    ],
)
def test_what_is_not_packed_as_said_is_refused(encoding: str, packed: bytes, why: str) -> None:
    with pytest.raises(BrokenAnswer, match=why):
        unpacked(encoding, packed)


def test_a_body_has_so_many_bytes() -> None:
    """FETCH_BYTES_MAX, packed or not."""
    body = Body([])
    body.add(bytes(FETCH_BYTES_MAX))
    assert len(body.end()) == FETCH_BYTES_MAX
    with pytest.raises(OverLimit, match="FETCH_BYTES_MAX"):
        body.add(b"x")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_bomb_unpacks_to_no_more_than_that(pack) -> None:  # type: ignore[no-untyped-def]
    body = Body(["gzip" if pack is gzip.compress else "deflate"])
    bomb = pack(bytes(50 * FETCH_BYTES_MAX))
    assert len(bomb) < FETCH_BYTES_MAX / 10
    with pytest.raises(OverLimit, match="unpacked"):
        body.add(bomb)
    assert len(body._body) == FETCH_BYTES_MAX + 1


def test_a_gzip_has_so_many_members() -> None:
    """FETCH_GZIP_MEMBERS_MAX."""
    member = gzip.compress(b"x")
    assert unpacked("gzip", member * FETCH_GZIP_MEMBERS_MAX) == b"x" * FETCH_GZIP_MEMBERS_MAX
    with pytest.raises(OverLimit, match="FETCH_GZIP_MEMBERS_MAX"):
        unpacked("gzip", member * (FETCH_GZIP_MEMBERS_MAX + 1))


def test_fields_are_sent_in_their_order() -> None:
    """VoiceXML 2.0 5.3.8: twice the same name is twice the same field."""
    made = form([("b", "1 & 2"), ("a", "é"), ("b", "ref")], URLENCODED, {"ref": b"RIFF"})
    assert made.content_type == URLENCODED
    assert made.body == b"b=1+%26+2&a=%C3%A9&b=ref"


def parts(content_type: str, body: bytes) -> list[tuple[str, str | None, str, bytes]]:
    text = b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    message = email.message_from_bytes(text, policy=email.policy.HTTP)
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()  # type: ignore[attr-defined]
    ]


def test_a_recording_is_sent_as_a_file() -> None:
    """VoiceXML 2.0 2.3.6, RFC 7578: its audio, not its reference."""
    audio = b"RIFF\x00\r\n--binary\xff"
    made = form([("name", "Zoë"), ("said", "ref:1"), ("name", "")], MULTIPART, {"ref:1": audio})
    assert made.content_type.startswith("multipart/form-data; boundary=")
    assert parts(made.content_type, made.body) == [
        ("name", None, "text/plain", "Zoë".encode()),
        ("said", "recording.wav", "audio/x-wav", audio),
        ("name", None, "text/plain", b""),
    ]


def test_a_form_of_nothing_is_a_form() -> None:
    made = form([], MULTIPART, {})
    assert parts(made.content_type, made.body) == []
    assert form([], URLENCODED, {}).body == b""


@pytest.mark.parametrize("enctype", [URLENCODED, MULTIPART])
def test_so_much_is_sent(enctype: str) -> None:
    """FETCH_SENT_BYTES_MAX."""
    with pytest.raises(OverLimit, match="FETCH_SENT_BYTES_MAX"):
        form([("a", "x" * FETCH_SENT_BYTES_MAX)], enctype, {})
