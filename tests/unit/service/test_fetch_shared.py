"""What is kept for all calls, and asked for once at a time: by a wire of our own and our clock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from service.fetching.cache import HttpCache
from service.fetching.connections import Request
from service.fetching.errors import BrokenAnswer, FetchProblem, Unreachable
from service.fetching.freshness import first
from service.fetching.shared import Progress, SharedFetches
from service.limits import UNSHARED_ADDRESSES_MAX
from tests.kit.clock import VirtualClock
from vxml_engine.effects import Caching

HTTP = Caching()
URL = "http://h.example/a"
MINUTE = ("cache-control", "max-age=60")


class Origin:
    """Stands where the wire is: answers as `says` does, when `open` lets it."""

    def __init__(self, says: Callable[[Request], "Said | Exception"]) -> None:
        self.says = says
        self.asked: list[Request] = []
        self.head = asyncio.Event()
        self.rest = asyncio.Event()
        self.head.set()
        self.rest.set()

    @asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator["Said"]:
        self.asked.append(request)
        said = self.says(request)
        await self.head.wait()
        if isinstance(said, Exception):
            raise said
        said.rest = self.rest
        yield said


class Said:
    """An answer, as the wire gives it."""

    def __init__(self, status: int, *fields: tuple[str, str], body: bytes = b"body") -> None:
        self.status = status
        self.fields = fields
        self.rest = asyncio.Event()
        self._body = body

    async def body(self) -> bytes:
        await self.rest.wait()
        return self._body


def world(
    says: Callable[[Request], Said | Exception],
) -> tuple[SharedFetches, Origin, VirtualClock]:
    clock = VirtualClock(1_700_000_000.0)
    origin = Origin(says)
    return SharedFetches(origin, HttpCache(2**20), clock), origin, clock  # type: ignore[arg-type]


def get(url: str = URL, *fields: tuple[str, str]) -> Request:
    return Request(httpx.URL(url), fields)


async def body(
    shared: SharedFetches, request: Request | None = None, caching: Caching = HTTP
) -> bytes:
    return (await shared.get(request or get(), caching, Progress("call"))).answer.body


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_fresh_is_not_asked_for_again() -> None:
    shared, origin, clock = world(lambda _: Said(200, MINUTE))
    await body(shared)
    clock.advance(59)
    assert await body(shared) == b"body"
    assert len(origin.asked) == 1
    clock.advance(1)
    await body(shared)
    assert len(origin.asked) == 2


async def test_a_server_validates_what_has_expired() -> None:
    """RFC 9111 4.3: one short answer, and the body is used again."""

    def says(request: Request) -> Said:
        if first(request.fields, "if-none-match") == '"v1"':
            return Said(304, MINUTE, ("set-cookie", "seen=1"))
        return Said(200, MINUTE, ("etag", '"v1"'), body=b"the document")

    shared, origin, clock = world(says)
    await body(shared)
    clock.advance(61)
    hop = await shared.get(get(), HTTP, Progress("call"))
    assert hop.answer.body == b"the document"
    assert hop.cookies == ("seen=1",)
    clock.advance(59)  # as long as the 304 said, from when it came
    assert await body(shared) == b"the document"
    assert len(origin.asked) == 2


async def test_what_has_changed_takes_the_old_ones_place() -> None:
    bodies = [b"one", b"two"]
    shared, origin, clock = world(
        lambda _: Said(200, MINUTE, ("etag", "x"), body=bodies[len(origin.asked) - 1])
    )
    assert await body(shared) == b"one"
    clock.advance(61)
    assert await body(shared) == b"two"
    assert await body(shared) == b"two"
    assert len(origin.asked) == 2


async def test_a_304_of_another_etag_is_not_believed() -> None:
    """RFC 9111 4.3.4: the server is asked again, without a condition."""

    def says(request: Request) -> Said:
        if first(request.fields, "if-none-match"):
            return Said(304, ("etag", '"v2"'))
        return Said(200, ("etag", '"v1"'), body=b"%d" % len(origin.asked))

    shared, origin, _ = world(says)
    assert await body(shared) == b"1"
    assert await body(shared) == b"3"


async def test_a_304_that_nobody_asked_for_is_refused() -> None:
    shared, _, _ = world(lambda _: Said(304))
    with pytest.raises(BrokenAnswer, match="304"):
        await body(shared)


async def test_maxage_0_asks_each_time_and_tells_the_caches_on_the_way() -> None:
    shared, origin, clock = world(lambda _: Said(200, MINUTE, ("etag", "x")))
    await body(shared)
    clock.advance(1)
    await body(shared, caching=Caching(maxage_s=0))
    assert len(origin.asked) == 2
    assert first(origin.asked[1].fields, "cache-control") == "max-age=0"


async def test_maxstale_takes_what_has_expired() -> None:
    shared, origin, clock = world(lambda _: Said(200, MINUTE))
    await body(shared)
    clock.advance(70)
    await body(shared, caching=Caching(maxstale_s=10))
    assert len(origin.asked) == 1


@pytest.mark.parametrize(("status", "asked_again_with"), [(404, None), (503, '"v1"')])
async def test_an_error_stands_for_itself(status: int, asked_again_with: str | None) -> None:
    """What is gone is forgotten; a server in trouble is asked by the same condition later."""

    def says(_: Request) -> Said:
        return Said(status) if len(origin.asked) == 2 else Said(200, ("etag", '"v1"'))

    shared, origin, _ = world(says)
    await body(shared)
    hop = await shared.get(get(), HTTP, Progress("call"))
    assert (hop.answer.status, hop.answer.body) == (status, b"")
    await body(shared)
    assert first(origin.asked[2].fields, "if-none-match") == asked_again_with


async def test_a_post_makes_what_it_may_have_changed_be_asked_for_again() -> None:
    """RFC 9111 4.4: the address itself and, on the same host, where the answer points."""
    other = ("content-location", "http://other.example/c")

    def says(request: Request) -> Said:
        if request.method == "POST":
            return Said(status, ("location", "/b"), other)
        return Said(200, MINUTE)

    shared, origin, _ = world(says)
    addresses = (URL, "http://h.example/b", "http://other.example/c")
    for status, asked in ((500, 0), (200, 2), (303, 2)):
        for url in addresses:
            await body(shared, get(url))
        await shared.post(Request(httpx.URL(URL), (), b"x=1"), Progress("call"))
        before = len(origin.asked)
        for url in addresses:
            await body(shared, get(url))
        assert len(origin.asked) - before == asked, status


async def test_variants_are_kept_apart() -> None:
    """RFC 9111 4.1."""
    shared, origin, _ = world(
        lambda request: Said(
            200, MINUTE, ("vary", "Accept"), body=(first(request.fields, "accept") or "").encode()
        )
    )
    for _ in range(2):
        for accept in ("audio/wav", "text/xml"):
            assert await body(shared, get(URL, ("accept", accept))) == accept.encode()
    assert len(origin.asked) == 2


async def test_cookies_are_not_kept_with_the_answer() -> None:
    shared, _, _ = world(lambda _: Said(200, MINUTE, ("set-cookie", "sid=1")))
    mine = await shared.get(get(), HTTP, Progress("call"))
    theirs = await shared.get(get(), HTTP, Progress("other"))
    assert mine.cookies == ("sid=1",)
    assert theirs.cookies == ()
    assert first(theirs.answer.fields, "set-cookie") is None


async def test_many_who_want_the_same_ask_once() -> None:
    shared, origin, _ = world(lambda _: Said(200, MINUTE))
    origin.rest.clear()
    tasks = [asyncio.create_task(body(shared)) for _ in range(100)]
    await settle()
    origin.rest.set()
    assert await asyncio.gather(*tasks) == [b"body"] * 100
    assert len(origin.asked) == 1


async def test_what_is_not_to_be_shared_keeps_nobody_waiting() -> None:
    """Once its header has come, others ask for themselves; later ones do so at once."""
    shared, origin, _ = world(lambda _: Said(200, ("cache-control", "no-store")))
    origin.head.clear()
    origin.rest.clear()
    tasks = [asyncio.create_task(body(shared)) for _ in range(5)]
    await settle()
    assert len(origin.asked) == 1
    origin.head.set()
    await settle()
    assert len(origin.asked) == 5
    origin.head.clear()
    tasks += [asyncio.create_task(body(shared)) for _ in range(2)]
    await settle()
    assert len(origin.asked) == 7
    origin.head.set()
    origin.rest.set()
    await asyncio.gather(*tasks)


async def test_only_so_many_addresses_are_remembered_as_not_shared() -> None:
    """UNSHARED_ADDRESSES_MAX."""
    shared, _, _ = world(lambda _: Said(200))
    for number in range(UNSHARED_ADDRESSES_MAX + 2):
        await body(shared, get(f"http://h.example/{number}"))
    assert len(shared._unshared) == UNSHARED_ADDRESSES_MAX


async def test_who_waits_for_another_shares_its_failure() -> None:
    shared, origin, _ = world(lambda _: Unreachable("no connection"))
    origin.head.clear()
    tasks = [asyncio.create_task(body(shared)) for _ in range(3)]
    await settle()
    origin.head.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [(isinstance(one, FetchProblem), str(one)) for one in results] == [
        (True, "no connection")
    ] * 3
    assert len(origin.asked) == 1
    origin.says = lambda _: Said(200)
    assert await body(shared) == b"body"  # and the next one asks anew


async def test_where_the_one_that_asks_is_cut_off_the_next_one_asks() -> None:
    shared, origin, _ = world(lambda _: Said(200, MINUTE))
    origin.head.clear()
    tasks = [asyncio.create_task(body(shared)) for _ in range(3)]
    await settle()
    tasks[0].cancel()
    await settle()
    assert len(origin.asked) == 2
    origin.head.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [b"body", b"body"]
    assert len(origin.asked) == 2


async def test_who_is_cut_off_while_waiting_disturbs_nobody() -> None:
    shared, origin, _ = world(lambda _: Said(200, MINUTE))
    origin.head.clear()
    tasks = [asyncio.create_task(body(shared)) for _ in range(3)]
    await settle()
    tasks[1].cancel()
    await settle()
    origin.head.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == results[2] == b"body"
    assert len(origin.asked) == 1


async def test_one_calls_full_turns_delay_no_other_call_that_wants_the_same() -> None:
    shared, origin, _ = world(lambda _: Said(200, MINUTE))
    origin.head.clear()
    busy = [
        asyncio.create_task(body(shared, get(f"http://slow{number}.example/")))
        for number in range(9)  # one more than a call may have
    ]
    await settle()
    mine = asyncio.create_task(body(shared, get()))  # waits in its call's line
    await settle()
    theirs = asyncio.create_task(shared.get(get(), HTTP, Progress("other")))
    await settle()
    origin.head.set()
    assert (await theirs).answer.body == b"body"
    await asyncio.gather(mine, *busy)
