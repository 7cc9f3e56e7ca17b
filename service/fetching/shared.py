"""Answers shared by all calls: kept as RFC 9111 permits, asked for once at a time.

A GET is answered from what is kept where that may be used; else the server is asked,
by a condition where something is kept. While it is asked, others who want the same wait
for that answer. Where the header tells that it can't be shared, they ask for themselves.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx

from service.fetching.cache import HttpCache
from service.fetching.connections import Request
from service.fetching.errors import BrokenAnswer, FetchProblem
from service.fetching.freshness import (
    NOT_STORED,
    Answer,
    Fields,
    conditions,
    first,
    holds_still,
    may_store,
    refreshed,
    request_directives,
    usable,
    values,
    vary,
    without,
)
from service.fetching.turns import Turns
from service.fetching.wire import Reply, Wire
from service.limits import UNSHARED_ADDRESSES_MAX
from vxml_engine.effects import Caching

Key = tuple[str, Fields]
# What is being asked for: done when others may look whether it is kept now.
UnderWay = asyncio.Future[None]


@dataclass(slots=True)
class Progress:
    """Who asks, and how far it has come: what a time that has run out is told by."""

    call: str
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """The answer to one request, and the cookies that came with it."""

    answer: Answer
    cookies: tuple[str, ...] = ()


class SharedFetches:
    """Asks servers, or what is kept. `now` tells seconds since 1970."""

    def __init__(self, wire: Wire, cache: HttpCache, now: Callable[[], float]) -> None:
        self._wire = wire
        self._cache = cache
        self._now = now
        self._turns = Turns()
        self._under_way: dict[Key, UnderWay] = {}
        self._unshared: OrderedDict[str, None] = OrderedDict()

    def kept(self, request: Request, caching: Caching) -> Answer | None:
        """Return what is kept, where it may be used without asking its server."""
        found = self._cache.find(str(request.url), request.fields)
        return found if found is not None and usable(found, self._now(), caching) else None

    async def get(self, request: Request, caching: Caching, progress: Progress) -> Hop:
        """Return the answer to a GET. Raises FetchProblem."""
        key = (str(request.url), request.fields)
        joined = False
        while True:
            if (found := self.kept(request, caching)) is not None:
                return Hop(found)
            if not joined and (other := self._to_join(key)) is not None:
                progress.stage = "while another call asked for the same"
                joined = await _join(other)
                continue
            progress.stage = "waiting for its turn"
            async with self._turns.turn(progress.call, request.origin):
                # While it waited, another may have begun to ask, or have been answered.
                if not joined and (self._to_join(key) or self.kept(request, caching)):
                    continue
                with self._leading(key) as mine:
                    return await self._ask(request, caching, progress, mine)

    async def post(self, request: Request, progress: Progress) -> Hop:
        """Return the answer to a POST; forgets what it may have changed (RFC 9111 4.4)."""
        progress.stage = "waiting for its turn"
        async with self._turns.turn(progress.call, request.origin):
            asked_at, progress.stage = self._now(), "waiting for the answer"
            async with self._wire.send(request) as reply:
                came_at, progress.stage = self._now(), "reading the answer"
                if reply.status < 400:
                    self._invalidate(request.url, reply.fields)
                answer = await _answer(request, reply, asked_at, came_at)
                return Hop(answer, tuple(values(reply.fields, "set-cookie")))

    async def _ask(
        self, request: Request, caching: Caching, progress: Progress, mine: UnderWay | None
    ) -> Hop:
        url = str(request.url)
        stale = self._cache.find(url, request.fields)
        asked = conditions(stale) if stale is not None else ()
        while True:
            asked_at, progress.stage = self._now(), "waiting for the answer"
            told = request.fields + asked + request_directives(caching)
            async with self._wire.send(replace(request, fields=told)) as reply:
                came_at, progress.stage = self._now(), "reading the answer"
                cookies = tuple(values(reply.fields, "set-cookie"))
                if reply.status != 304:
                    answer = await self._new(request, reply, asked_at, came_at, mine)
                    return Hop(answer, cookies)
                if stale is None or not asked:
                    raise BrokenAnswer("the answer is 304, though nothing was kept to be validated")
                if holds_still(stale, reply.fields):
                    answer = refreshed(stale, reply.fields, asked_at, came_at)
                    self._keep(request, answer)
                    return Hop(answer, cookies)
            asked = ()

    async def _new(
        self,
        request: Request,
        reply: Reply,
        asked_at: float,
        came_at: float,
        mine: UnderWay | None,
    ) -> Answer:
        """Return a new answer, kept where it may be."""
        url = str(request.url)
        if not may_store(request.fields, reply.status, reply.fields, came_at):
            self._unshare(url, mine)
            if reply.status < 500:
                self._cache.drop(url)
            return await _answer(request, reply, asked_at, came_at)
        answer = await _answer(request, reply, asked_at, came_at)
        self._keep(request, answer)
        return answer

    def _keep(self, request: Request, answer: Answer) -> None:
        url = str(request.url)
        if may_store(request.fields, answer.status, answer.fields, answer.came_at):
            self._unshared.pop(url, None)
            self._cache.keep(url, answer)
        else:
            self._cache.drop(url)

    def _unshare(self, url: str, mine: UnderWay | None) -> None:
        """Let those who wait ask for themselves, and those who come later not wait."""
        self._unshared[url] = None
        self._unshared.move_to_end(url)
        if len(self._unshared) > UNSHARED_ADDRESSES_MAX:
            self._unshared.popitem(last=False)
        if mine is not None and not mine.done():
            mine.set_result(None)

    def _to_join(self, key: Key) -> UnderWay | None:
        return None if key[0] in self._unshared else self._under_way.get(key)

    @contextmanager
    def _leading(self, key: Key) -> Iterator[UnderWay | None]:
        """Let others wait for what is asked for in the context, unless somebody leads already.

        They are told of its problem; where it was cut off, the next of them asks.
        """
        if key in self._under_way:
            yield None
            return
        mine = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            yield mine
            if not mine.done():
                mine.set_result(None)
        except FetchProblem as problem:
            if not mine.done():
                mine.set_exception(problem)
                mine.exception()  # taken note of, should nobody wait
            raise
        finally:
            mine.cancel()
            del self._under_way[key]

    def _invalidate(self, url: httpx.URL, fields: Fields) -> None:
        self._cache.drop(str(url))
        for name in ("location", "content-location"):
            if (text := first(fields, name)) is None:
                continue
            try:
                changed = url.join(text).copy_with(fragment=None)
            except (httpx.InvalidURL, ValueError):
                continue
            if _same_origin(changed, url):  # nobody drops what is another's
                self._cache.drop(str(changed))


async def _join(other: UnderWay) -> bool:
    """Wait for what another asks for; False where it was cut off. Raises its FetchProblem."""
    await asyncio.wait({other})
    if other.cancelled():
        return False
    if (problem := other.exception()) is not None:
        raise FetchProblem(str(problem))
    return True


async def _answer(request: Request, reply: Reply, asked_at: float, came_at: float) -> Answer:
    """Return a whole answer; the body only where it is a success."""
    body = await reply.body() if reply.status < 300 else b""
    return Answer(
        str(request.url),
        reply.status,
        without(reply.fields, NOT_STORED | {"content-encoding", "content-length"}),
        body,
        hashlib.sha256(body).hexdigest(),
        asked_at,
        came_at,
        vary(request.fields, reply.fields),
    )


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.netloc) == (other.scheme, other.netloc)
