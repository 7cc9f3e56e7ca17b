"""Fetching against real servers on loopback: good, lying, slow and endless ones.

Where a server never ends its answer, a fetch of a fraction of a second waits that long.
"""

import asyncio
import gc
import gzip
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service import fetch as module
from service.calls import Call
from service.config import FetchSettings
from service.fetch import USER_AGENT, Fetcher
from service.fetching.freshness import Answer
from service.limits import (
    FETCH_BYTES_MAX,
    FETCH_CONNECTION_IDLE_S_MAX,
    FETCH_CONNECTIONS_IDLE_MAX,
    FETCH_HEADER_BYTES_MAX,
    FETCH_HEADER_FIELDS_MAX,
    FETCH_REDIRECTS_MAX,
    FETCH_S_MAX,
    FETCH_SENT_BYTES_MAX,
    FETCHES_AT_ONCE_PER_CALL_MAX,
)
from tests.kit.clock import VirtualClock
from tests.kit.web import Asked, Web, answer
from vxml_engine.effects import Caching, Fetch, Fetched, FetchFailed

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SHORT_S = 0.25


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web() as started:
        yield started


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(1_700_000_000.0)


@pytest.fixture
async def fetcher(clock: VirtualClock) -> AsyncIterator[Fetcher]:
    made = Fetcher(FetchSettings(allow_private=True), no_pages, recorded, now=clock)
    yield made
    await made.close()


async def no_pages(effect: Fetch, call: Call) -> Fetched | FetchFailed:
    return Fetched(effect.url, 200, "", b"our own")


async def recorded(reference: str) -> bytes | None:
    return b"RIFF audio" if reference == "voicemashup://recording/1" else None


def call(name: str = "call-1") -> Call:
    return Call(name, None, "incoming", "33612345678", "33199000001", NOW, lambda: NOW)


def effect(url: str, **changes: Any) -> Fetch:
    given: dict[str, Any] = {
        "url": url,
        "method": "get",
        "fields": (),
        "enctype": "application/x-www-form-urlencoded",
        "timeout_s": 10.0,
        "purpose": "document",
    }
    return Fetch(**(given | changes))


async def fetched(fetcher: Fetcher, url: str, by: Call | None = None, **changes: Any) -> Fetched:
    got = await fetcher.fetch(effect(url, **changes), by or call())
    assert isinstance(got, Fetched), got
    return got


async def failed(fetcher: Fetcher, url: str, by: Call | None = None, **changes: Any) -> FetchFailed:
    got = await fetcher.fetch(effect(url, **changes), by or call())
    assert isinstance(got, FetchFailed), got
    return got


async def test_a_document_comes_as_it_is(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = answer(b"<vxml/>", "Content-Type: application/voicexml+xml")
    got = await fetched(fetcher, web.url("/a?x=1"))
    assert got == Fetched(web.url("/a?x=1"), 200, "application/voicexml+xml", b"<vxml/>")
    header = web.asked[0].header
    assert web.targets() == ["GET /a?x=1"]
    assert header["user-agent"] == USER_AGENT
    assert header["accept"].startswith("application/voicexml+xml,")
    assert header["accept-encoding"] == "gzip, deflate"
    assert header["host"] == f"127.0.0.1:{web.port}"
    assert "cookie" not in header


@pytest.mark.parametrize(
    ("purpose", "first"),
    [("grammar", "application/srgs+xml"), ("data", "application/xml"), ("script", "application/e")],
)
async def test_each_purpose_asks_for_what_it_can_use(
    fetcher: Fetcher, web: Web, purpose: str, first: str
) -> None:
    web.pages["/a"] = answer(b"x")
    await fetched(fetcher, web.url("/a"), purpose=purpose)
    assert web.asked[0].header["accept"].startswith(first)


async def test_our_own_pages_are_not_fetched(fetcher: Fetcher) -> None:
    assert (await fetched(fetcher, "voicemashup://script/1")).body == b"our own"


async def test_a_packed_document_is_unpacked(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = answer(gzip.compress(b"<vxml/>" * 99), "Content-Encoding: gzip")
    assert (await fetched(fetcher, web.url("/a"))).body == b"<vxml/>" * 99


async def test_a_chunked_document_is_put_together(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;x=y\r\n<vxml\r\n2\r\n/>\r\n0\r\nTrailer: x\r\n\r\n"
    )
    assert (await fetched(fetcher, web.url("/a"))).body == b"<vxml/>"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 500, 503, 599])
async def test_a_servers_refusal_is_its_status(fetcher: Fetcher, web: Web, status: int) -> None:
    """VoiceXML 2.0 5.2.6."""
    web.pages["/a"] = answer(b"sorry", status=f"{status} No")
    got = await failed(fetcher, web.url("/a?pin=1234"))
    assert got.event == f"error.badfetch.http.{status}"
    assert got.message == f"{web.url('/a')}?…: HTTP {status}"


async def test_no_content_is_an_empty_answer(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = b"HTTP/1.1 204 No Content\r\n\r\n"
    got = await fetched(fetcher, web.url("/a"))
    assert (got.status, got.body) == (204, b"")


async def test_a_form_is_posted(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = answer(b"<vxml/>")
    await fetched(fetcher, web.url("/a"), method="post", fields=(("a", "1 2"), ("b", "é")))
    asked = web.asked[0]
    assert asked.method == "POST"
    assert asked.header["content-type"] == "application/x-www-form-urlencoded"
    assert asked.body == b"a=1+2&b=%C3%A9"


async def test_a_recording_is_posted_as_its_audio(fetcher: Fetcher, web: Web) -> None:
    """VoiceXML 2.0 2.3.6."""
    web.pages["/a"] = answer(b"<vxml/>")
    fields = (("said", "voicemashup://recording/1"), ("other", "voicemashup://recording/2"))
    await fetched(
        fetcher, web.url("/a"), method="post", fields=fields, enctype="multipart/form-data"
    )
    body = web.asked[0].body
    assert b'name="said"; filename="recording.wav"\r\nContent-Type: audio/x-wav' in body
    assert b"RIFF audio" in body
    assert b"voicemashup://recording/2" in body  # nothing of ours: a text like any other
    await fetched(fetcher, web.url("/a"), method="post", fields=fields)
    assert b"RIFF" not in web.asked[1].body


async def test_too_much_is_not_posted(fetcher: Fetcher, web: Web) -> None:
    """FETCH_SENT_BYTES_MAX."""
    fields = (("a", "x" * FETCH_SENT_BYTES_MAX),)
    got = await failed(fetcher, web.url("/a"), method="post", fields=fields)
    assert got.event == "error.badfetch"
    assert "FETCH_SENT_BYTES_MAX" in got.message
    assert web.asked == []


@pytest.mark.parametrize(
    ("status", "method", "fields"),
    [(301, "GET", b""), (302, "GET", b""), (303, "GET", b""), (307, "POST", b"a=1")],
)
async def test_where_a_posted_form_is_redirected(
    fetcher: Fetcher, web: Web, status: int, method: str, fields: bytes
) -> None:
    """RFC 9110 15.4."""
    web.pages["/a"] = answer(b"", "Location: b?c#d", status=f"{status} Go")
    web.pages["/b"] = answer(b"<vxml/>")
    got = await fetched(fetcher, web.url("/a"), method="post", fields=(("a", "1"),))
    assert got.url == web.url("/b?c")
    assert web.targets() == ["POST /a", f"{method} /b?c"]
    assert web.asked[1].body == fields
    assert ("content-type" in web.asked[1].header) is bool(fields)


async def test_a_308_keeps_a_get_a_get(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = answer(b"", f"Location: {web.url('/b')}", status="308 Go")
    web.pages["/b"] = answer(b"<vxml/>")
    assert (await fetched(fetcher, web.url("/a"))).url == web.url("/b")


async def test_redirects_have_an_end(fetcher: Fetcher, web: Web) -> None:
    """FETCH_REDIRECTS_MAX."""
    for number in range(FETCH_REDIRECTS_MAX):
        web.pages[f"/{number}"] = answer(b"", f"Location: /{number + 1}", status="302 Go")
    web.pages[f"/{FETCH_REDIRECTS_MAX}"] = answer(b"<vxml/>")
    assert (await fetched(fetcher, web.url("/0"))).body == b"<vxml/>"
    web.pages["/loop"] = answer(b"", "Location: /loop", status="302 Go")
    web.asked.clear()
    got = await failed(fetcher, web.url("/loop"))
    assert "FETCH_REDIRECTS_MAX" in got.message
    assert len(web.asked) == FETCH_REDIRECTS_MAX + 1


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("voicemashup://script/1", "http and https only"),
        ("file:///etc/passwd", "http and https only"),
        ("http://h.example:25/", "port 25"),
        ("http://h.example:99999/", "port 99999"),
        ("http://h.example:8o/", "no address"),
    ],
)
async def test_a_redirect_leads_nowhere_that_a_script_may_not_go(
    fetcher: Fetcher, web: Web, location: str, why: str
) -> None:
    web.pages["/a"] = answer(b"", f"Location: {location}", status="302 Go")
    got = await failed(fetcher, web.url("/a"))
    assert got.event == "error.badfetch"
    assert why in got.message


async def test_each_redirect_is_looked_up_and_checked(web: Web) -> None:
    """The first host may be reached here; the one it redirects to is inside, and is not."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    fetcher = Fetcher(FetchSettings(), no_pages, resolve=resolve)
    got = await failed(fetcher, "http://inside.example/")
    assert "not public ([fetch] allow_private" in got.message
    open_one = Fetcher(FetchSettings(allow_private=True), no_pages, resolve=resolve)
    web.pages["/a"] = answer(b"", web_location := f"Location: {web.url('/b', 'two.example')}",
                             status="302 Go")  # fmt: skip
    web.pages["/b"] = answer(b"<vxml/>")
    got_there = await fetched(open_one, web.url("/a", "one.example"))
    assert got_there.url == web.url("/b", "two.example")
    assert web_location.endswith("/b")
    assert asked == ["inside.example", "one.example", "two.example"]
    assert [one.header["host"] for one in web.asked] == [
        f"one.example:{web.port}",
        f"two.example:{web.port}",
    ]
    for made in (fetcher, open_one):
        await made.close()


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (b"", "no HTTP answer"),
        (b"HTTP/1.1", "no HTTP answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP answer"),
        (b"\x00\x01\x02\r\n\r\n" * 9, "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabcde", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\nabcde", "no HTTP answer"),
        (b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", "status is 999"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "304"),
        (answer(b"abc", length=9), "breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "breaks off"),
        (answer(b"abc", "Content-Encoding: gzip"), "gzip"),
        (answer(gzip.compress(b"abc")[:-4], "Content-Encoding: gzip"), "gzip breaks off"),
        (answer(b"abc", "Content-Encoding: br"), "packed as br"),
        (answer(b"abc", length=FETCH_BYTES_MAX + 1), "FETCH_BYTES_MAX"),
        (answer(b"abc", length=10**30), "no HTTP answer"),
        (
            answer(b"abc", *("X: y" for _ in range(FETCH_HEADER_FIELDS_MAX))),
            "FETCH_HEADER_FIELDS_MAX",
        ),
        (answer(b"abc", "X: " + "y" * FETCH_HEADER_BYTES_MAX), "FETCH_HEADER_BYTES_MAX"),
        (answer(b"abc", "X: " + "y" * 1_000_000), "FETCH_HEADER_BYTES_MAX"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 99, "FETCH_INTERIM_ANSWERS_MAX"),
    ],
)
async def test_a_broken_answer_is_a_bad_fetch(
    fetcher: Fetcher, web: Web, page: bytes, why: str
) -> None:
    async def send_and_close(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(page)
        await writer.drain()
        writer.close()

    web.pages["/a"] = send_and_close
    got = await failed(fetcher, web.url("/a"))
    assert got.event == "error.badfetch"
    assert got.message.startswith(f"{web.url('/a')}: ")
    assert why in got.message


async def endless(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


async def test_an_endless_answer_ends_at_the_limit(fetcher: Fetcher, web: Web) -> None:
    """FETCH_BYTES_MAX."""
    web.pages["/a"] = endless
    got = await failed(fetcher, web.url("/a"))
    assert got.event == "error.badfetch"
    assert "FETCH_BYTES_MAX" in got.message


async def never(_: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip_header(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_body(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_continue(_: Asked, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("page", "stage"),
    [
        (never, "waiting for the answer"),
        (drip_header, "waiting for the answer"),
        (endless_continue, "waiting for the answer"),
        (drip_body, "reading the answer"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_slow_server_has_the_scripts_time_and_no_more(
    fetcher: Fetcher, web: Web, page: Any, stage: str, method: str
) -> None:
    web.pages["/a"] = page
    began = asyncio.get_running_loop().time()
    got = await failed(fetcher, web.url("/a"), timeout_s=SHORT_S, method=method)
    assert asyncio.get_running_loop().time() - began < SHORT_S + 2
    assert got.event == "error.badfetch"
    assert got.message == f"{web.url('/a')}: no answer in {SHORT_S} s ({stage})"
    web.pages["/b"] = answer(b"<vxml/>")  # and what was cut off disturbs nobody
    assert (await fetched(fetcher, web.url("/b"))).body == b"<vxml/>"


async def test_a_redirects_time_is_part_of_the_whole(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = answer(b"", "Location: /b", status="302 Go")
    web.pages["/b"] = never
    got = await failed(fetcher, web.url("/a"), timeout_s=SHORT_S)
    assert got.message.startswith(f"{web.url('/a')} -> {web.url('/b')}: no answer")


async def test_no_fetch_lasts_longer_than_the_limit(
    fetcher: Fetcher, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FETCH_S_MAX, made short here."""
    assert FETCH_S_MAX == 120
    monkeypatch.setattr(module, "FETCH_S_MAX", SHORT_S)
    web.pages["/a"] = never
    async with asyncio.timeout(5):  # without the limit it would last an hour
        got = await failed(fetcher, web.url("/a"), timeout_s=3600)
    assert f"no answer in {SHORT_S} s" in got.message


async def test_waiting_for_a_turn_is_part_of_the_time(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = never
    mine = call()
    busy = [
        asyncio.create_task(fetched(fetcher, web.url(f"/a?{number}"), mine))
        for number in range(FETCHES_AT_ONCE_PER_CALL_MAX)
    ]
    while len(web.asked) < FETCHES_AT_ONCE_PER_CALL_MAX:  # noqa: ASYNC110  it tells no other way
        await asyncio.sleep(0)
    got = await failed(fetcher, web.url("/b"), mine, timeout_s=SHORT_S)
    assert "waiting for its turn" in got.message
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)


async def test_nobody_listens(fetcher: Fetcher, web: Web) -> None:
    url = web.url("/a")
    await web.__aexit__(None, None, None)
    got = await failed(fetcher, url)
    assert got.event == "error.badfetch"
    assert got.message.startswith(f"{url}: 127.0.0.1 port {web.port}: ")


async def test_more_than_was_announced_reaches_nobody(fetcher: Fetcher, web: Web) -> None:
    """A lying Content-Length: what is behind it is not taken for the next answer."""
    junk = answer(b"poison")
    web.pages["/a"] = answer(b"abc", length=3) + junk
    web.pages["/b"] = answer(b"<vxml/>")
    assert (await fetched(fetcher, web.url("/a"))).body == b"abc"
    assert (await fetched(fetcher, web.url("/b"))).body == b"<vxml/>"


async def test_connections_are_used_again(fetcher: Fetcher, web: Web) -> None:
    """Also after answers whose body nobody wants."""
    web.pages["/a"] = answer(b"<vxml/>")
    web.pages["/b"] = answer(b"moved", "Location: /a", status="302 Go")
    web.pages["/c"] = answer(b"sorry", status="404 No")
    for _ in range(3):
        await fetched(fetcher, web.url("/a"))
        await fetched(fetcher, web.url("/b"))
        await failed(fetcher, web.url("/c"))
    assert (len(web.asked), web.connections) == (12, 1)


async def test_a_connection_closed_between_requests_is_opened_again(
    fetcher: Fetcher, web: Web
) -> None:
    """RFC 9112 9.3.1: a GET is sent once more, where the connection was an old one."""

    async def close_each_second(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(web.asked) % 2 == 0:
            writer.close()
        else:
            writer.write(answer(b"<vxml/>"))

    web.pages["/a"] = close_each_second
    for _ in range(3):
        await fetched(fetcher, web.url("/a"))
    assert (len(web.asked), web.connections) == (5, 3)


async def test_a_form_is_posted_once_over_a_new_connection(fetcher: Fetcher, web: Web) -> None:
    async def close(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.close()

    web.pages["/a"] = answer(b"<vxml/>")
    web.pages["/b"] = close
    await fetched(fetcher, web.url("/a"))
    got = await failed(fetcher, web.url("/b"), method="post")
    assert "no HTTP answer: the server closed" in got.message
    assert web.targets() == ["GET /a", "POST /b"]
    assert web.connections == 2


async def test_so_many_connections_are_kept_and_not_for_long() -> None:
    """FETCH_CONNECTIONS_IDLE_MAX, FETCH_CONNECTION_IDLE_S_MAX."""
    clock = VirtualClock()
    async with AsyncExitStack() as stack:
        count = FETCH_CONNECTIONS_IDLE_MAX + 2
        servers = [await stack.enter_async_context(Web()) for _ in range(count)]
        fetcher = Fetcher(FetchSettings(allow_private=True), no_pages)
        connections = fetcher._wire.connections
        connections._now = clock
        for server in servers:
            server.pages["/a"] = answer(b"<vxml/>")
            await fetched(fetcher, server.url("/a"))
        assert connections.idle == FETCH_CONNECTIONS_IDLE_MAX
        await fetched(fetcher, servers[-1].url("/a"))
        await fetched(fetcher, servers[0].url("/a"))
        assert (servers[-1].connections, servers[0].connections) == (1, 2)
        clock.advance(FETCH_CONNECTION_IDLE_S_MAX + 1)
        await fetched(fetcher, servers[-1].url("/a"))
        assert (servers[-1].connections, connections.idle) == (2, 1)
        await fetcher.close()
        assert connections.idle == 0


async def test_cookies_stay_within_their_call(fetcher: Fetcher, web: Web) -> None:
    """RFC 6265, for each session its own: one caller's basket is not another's."""
    web.pages["/login"] = answer(
        b"", "Set-Cookie: sid=1; Path=/", "Location: /home", status="302 Go"
    )
    web.pages["/home"] = answer(b"<vxml/>")
    ada, bob = call("ada"), call("bob")
    await fetched(fetcher, web.url("/login"), ada, method="post")
    await fetched(fetcher, web.url("/home"), bob)
    await fetched(fetcher, web.url("/home"), ada)
    await fetcher.get(web.url("/home"), call=ada)
    assert [one.header.get("cookie") for one in web.asked] == [
        None,
        "sid=1",
        None,
        "sid=1",
        "sid=1",
    ]


async def test_a_refusals_cookie_is_taken(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = answer(b"", "Set-Cookie: sid=1", status="401 No")
    mine = call()
    for _ in range(2):
        await failed(fetcher, web.url("/a"), mine)
    assert web.asked[1].header["cookie"] == "sid=1"


async def test_cookies_end_with_their_call(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = answer(b"x", "Set-Cookie: sid=1")
    mine = call()
    await fetched(fetcher, web.url("/a"), mine)
    assert len(fetcher._jars) == 1
    del mine
    gc.collect()
    assert fetcher._jars == {}


async def test_a_user_in_the_address_is_sent_to_that_host_only(fetcher: Fetcher, web: Web) -> None:
    """RFC 7617; no answer to it is kept for others (RFC 9111 3.5)."""
    web.pages["/a"] = answer(b"", "Location: /b", "Cache-Control: max-age=60", status="302 Go")
    web.pages["/b"] = answer(b"<vxml/>", "Cache-Control: max-age=60")
    url = web.url("/a").replace("//", "//ada:s%20ecret@")
    for _ in range(2):
        got = await fetched(fetcher, url)
        assert got.url == web.url("/b")
    assert [one.header.get("authorization") for one in web.asked] == [
        "Basic YWRhOnMgZWNyZXQ=",
        None,
        "Basic YWRhOnMgZWNyZXQ=",
    ]
    web.pages["/a"] = answer(status="401 No")
    assert "ecret" not in (await failed(fetcher, url)).message


async def test_what_one_call_fetched_another_is_given(
    fetcher: Fetcher, web: Web, clock: VirtualClock
) -> None:
    web.pages["/a"] = answer(b"<vxml/>", "Cache-Control: max-age=60", "Content-Type: text/xml")
    for name in ("ada", "bob"):
        got = await fetched(fetcher, web.url("/a"), call(name))
        assert (got.body, got.content_type) == (b"<vxml/>", "text/xml")
    assert len(web.asked) == 1
    clock.advance(5)
    await fetched(fetcher, web.url("/a"), caching=Caching(maxage_s=4))
    assert len(web.asked) == 2


async def test_a_kept_redirect_is_followed_without_asking(fetcher: Fetcher, web: Web) -> None:
    web.pages["/a"] = answer(b"", "Location: /b", "Cache-Control: max-age=60", status="301 Go")
    web.pages["/b"] = answer(b"sound", "Cache-Control: max-age=60")
    assert fetcher.at_hand(web.url("/a")) is None
    for _ in range(2):
        got = await fetcher.get(web.url("/a"))
        assert isinstance(got, Answer)
        assert got.url == web.url("/b")
    assert len(web.asked) == 2
    found = fetcher.at_hand(web.url("/a"))
    assert found is not None
    assert found.body == b"sound"


async def test_without_a_cache_each_fetch_asks(web: Web) -> None:
    """fetch.cache_mib = 0."""
    fetcher = Fetcher(FetchSettings(allow_private=True, cache_mib=0), no_pages)
    web.pages["/a"] = answer(b"<vxml/>", "Cache-Control: max-age=60")
    for _ in range(2):
        await fetched(fetcher, web.url("/a"))
    assert len(web.asked) == 2
    await fetcher.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for one.example and 127.0.0.1, signed by itself, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"),
            *("-subj", "/CN=test", "-addext", "subjectAltName=DNS:one.example,IP:127.0.0.1"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
async def secure_web(certificate: Path) -> AsyncIterator[Web]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    async with Web(tls=context) as started:
        started.pages["/a"] = answer(b"<vxml/>")
        yield started


@pytest.mark.peer("openssl")
async def test_a_certificate_is_that_of_the_host_in_the_address(
    secure_web: Web, certificate: Path
) -> None:
    """Both names lead to one address: the connection of one is not used for the other."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    settings = FetchSettings(allow_private=True, ca_file=str(certificate / "cert.pem"))
    fetcher = Fetcher(settings, no_pages, resolve=resolve)
    for host in ("one.example", "127.0.0.1"):
        assert (await fetched(fetcher, secure_web.url("/a", host))).body == b"<vxml/>"
    got = await failed(fetcher, secure_web.url("/a", "two.example"))
    assert "no TLS with two.example" in got.message
    assert "certificate" in got.message.lower()
    await fetcher.close()


@pytest.mark.peer("openssl")
async def test_an_unknown_authority_is_not_trusted(fetcher: Fetcher, secure_web: Web) -> None:
    got = await failed(fetcher, secure_web.url("/a"))
    assert got.event == "error.badfetch"
    assert "certificate" in got.message.lower()
    assert secure_web.asked == []


async def test_http_is_not_taken_for_https(fetcher: Fetcher, web: Web) -> None:
    got = await failed(fetcher, web.url("/a").replace("http:", "https:"), timeout_s=2)
    assert got.event == "error.badfetch"
