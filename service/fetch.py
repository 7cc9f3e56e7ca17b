"""Fetching for scripts: over HTTP with limits and checked addresses, or from our own storage.

    voicemashup://script/ID      an uploaded script, as the account stored it
    voicemashup://dial-in/...    the pages of the conferences' dial-in
    http://, https://            the rest of the world

One fetch is a chain of requests, one for each redirect. Each is given its call's cookies
and goes to an address that was checked; `service.fetching` has the parts:

    reach      which addresses, and connections to exactly those
    wire       one request and its answer, held to the limits (connections, unpacking, forms)
    freshness  what may be kept, and used again (RFC 9111)
    shared     what is kept for all calls, asked for once at a time (cache, turns)
    cookies    what one call alone remembers (RFC 6265)
"""

import asyncio
import base64
import logging
import time
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx

from service.calls import Call
from service.config import FetchSettings
from service.fetching.cache import HttpCache
from service.fetching.connections import Request
from service.fetching.cookies import CookieJar
from service.fetching.errors import BadStatus, FetchProblem, OverLimit
from service.fetching.forms import ACCEPTED, MULTIPART, Form, form
from service.fetching.freshness import Answer, Fields, first
from service.fetching.reach import Resolve, checked_url, shown
from service.fetching.shared import Hop, Progress, SharedFetches
from service.fetching.unpacking import ACCEPTED as ACCEPTED_ENCODINGS
from service.fetching.wire import Wire
from service.limits import FETCH_REDIRECTS_MAX, FETCH_S_MAX
from vxml_engine.effects import Caching, Fetch, Fetched, FetchFailed

log = logging.getLogger(__name__)

OWN_SCHEME = "voicemashup"
AS_HTTP_SAYS = Caching()
USER_AGENT = f"VoiceMashup/{version('voicemashup')} (VoiceXML 2.1)"
# From the reference of a recording to its WAV file's bytes; None where there is none.
Recordings = Callable[[str], Awaitable[bytes | None]]
OwnPages = Callable[[Fetch, Call], Awaitable[Fetched | FetchFailed]]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
# After these a POST goes on as a GET, without its form (RFC 9110 15.4).
REDIRECTS_TO_GET = frozenset({301, 302, 303})


@dataclass(slots=True)
class _Fetching:
    """One fetch while it is under way."""

    purpose: str
    caching: Caching
    call: Call | None
    progress: Progress
    at: httpx.URL | None = None  # where the redirects have led


class Fetcher:
    """Fetches what scripts ask for; `own_pages` answers `voicemashup:` addresses.

    `recordings` reads what references of recordings stand for; `now` tells seconds since
    1970; `resolve` looks up names, where it is not the system's resolver that does.
    """

    def __init__(
        self,
        settings: FetchSettings,
        own_pages: OwnPages,
        recordings: Recordings | None = None,
        *,
        now: Callable[[], float] = time.time,
        resolve: Resolve | None = None,
    ) -> None:
        self._own_pages = own_pages
        self._settings = settings
        self._recordings = recordings
        self._now = now
        self._wire = Wire(settings, resolve)
        cache = HttpCache(settings.cache_mib * 1024 * 1024)
        self._shared = SharedFetches(self._wire, cache, now)
        self._jars: dict[str, CookieJar] = {}  # of the calls there are

    async def fetch(self, effect: Fetch, call: Call) -> Fetched | FetchFailed:
        """Return what a script asks for, or the VoiceXML event of its failure (VoiceXML 2.0 5.2.6).

        Redirects are followed, each address checked. At the end of the effect's time (at
        most FETCH_S_MAX), or at another limit, it has failed.
        """
        if urlsplit(effect.url).scheme.lower() == OWN_SCHEME:
            return await self._own_pages(effect, call)
        fetching = _Fetching(effect.purpose, effect.caching, call, Progress(call.id))
        sent = None
        if effect.method == "post":
            try:
                sent = await self._form(effect)
            except FetchProblem as problem:
                return FetchFailed(problem.event, f"{shown(effect.url)}: {problem}")
        got = await self._in_time(effect.url, sent, fetching, effect.timeout_s)
        if isinstance(got, FetchFailed):
            return got
        # Where nothing redirected, the script's own spelling of the address stays.
        moved = fetching.at is not None and fetching.at != checked_url(effect.url)
        return Fetched(got.url if moved else effect.url, got.status, got.content_type, got.body)

    async def get(
        self, url: str, caching: Caching = AS_HTTP_SAYS, call: Call | None = None
    ) -> Answer | FetchFailed:
        """Return the sound at an address, fetched as `fetch` does."""
        progress = Progress("" if call is None else call.id)
        fetching = _Fetching("audio", caching, call, progress)
        return await self._in_time(url, None, fetching, 0.0)

    def at_hand(self, url: str, caching: Caching = AS_HTTP_SAYS) -> Answer | None:
        """Return the sound that `get` would, where that needs no waiting; None where it does."""
        try:
            target = checked_url(url)
            for _ in range(FETCH_REDIRECTS_MAX + 1):
                request = Request(*_plain(target, _fields("audio")))
                if (found := self._shared.kept(request, caching)) is None:
                    return None
                if (moved := _moved(found, request.url)) is None:
                    return found if found.status < 300 else None
                target = checked_url(moved)
        except FetchProblem:
            pass  # told where it is fetched
        return None

    async def close(self) -> None:
        await self._wire.close()

    async def _in_time(
        self, url: str, sent: Form | None, fetching: _Fetching, timeout_s: float
    ) -> Answer | FetchFailed:
        limit_s = min(timeout_s if timeout_s > 0 else self._settings.timeout_s, FETCH_S_MAX)
        try:
            async with asyncio.timeout(limit_s):
                return await self._follow(url, sent, fetching)
        except TimeoutError:
            event = "error.badfetch"
            reason = f"no answer in {limit_s:g} s ({fetching.progress.stage})"
        except FetchProblem as problem:
            event, reason = problem.event, str(problem)
        places = [shown(url)]
        if fetching.at is not None and shown(fetching.at) != places[0]:
            places.append(shown(fetching.at))
        return FetchFailed(event, f"{' -> '.join(places)}: {reason}")

    async def _follow(self, url: str, sent: Form | None, fetching: _Fetching) -> Answer:
        target = checked_url(url)
        for _ in range(FETCH_REDIRECTS_MAX + 1):
            fetching.at = target
            hop = await self._hop(target, sent, fetching)
            status = hop.answer.status
            moved = _moved(hop.answer, target)
            if moved is None:
                if not 200 <= status < 300:
                    raise BadStatus(status)
                return hop.answer
            if status in REDIRECTS_TO_GET:
                sent = None
            target = checked_url(moved)
        raise OverLimit(f"more than {FETCH_REDIRECTS_MAX} redirects (FETCH_REDIRECTS_MAX)")

    async def _hop(self, target: httpx.URL, sent: Form | None, fetching: _Fetching) -> Hop:
        """Send one request with the call's cookies, and take those that come back."""
        jar = self._jar(fetching.call)
        cookie = jar.header(target, self._now()) if jar is not None else ""
        url, fields = _plain(target, _fields(fetching.purpose, cookie))
        if sent is None:
            hop = await self._shared.get(Request(url, fields), fetching.caching, fetching.progress)
        else:
            fields = (*fields, ("content-type", sent.content_type))
            hop = await self._shared.post(Request(url, fields, sent.body), fetching.progress)
        if jar is not None:
            for text in hop.cookies:
                jar.take(text, url, self._now())
        return hop

    def _jar(self, call: Call | None) -> CookieJar | None:
        """Return a call's cookies; they go with the call."""
        if call is None:
            return None
        if (jar := self._jars.get(call.id)) is None:
            jar = self._jars[call.id] = CookieJar()
            weakref.finalize(call, self._jars.pop, call.id, None).atexit = False
        return jar

    async def _form(self, effect: Fetch) -> Form:
        recordings: dict[str, bytes] = {}
        if effect.enctype == MULTIPART and self._recordings is not None:
            for _, value in effect.fields:
                if (audio := await self._recordings(value)) is not None:
                    recordings[value] = audio
        return form(effect.fields, effect.enctype, recordings)


def _fields(purpose: str, cookie: str = "") -> Fields:
    fields = [
        ("accept", ACCEPTED[purpose]),
        ("accept-encoding", ACCEPTED_ENCODINGS),
        ("user-agent", USER_AGENT),
    ]
    return (*fields, ("cookie", cookie)) if cookie else tuple(fields)


def _plain(target: httpx.URL, fields: Fields) -> tuple[httpx.URL, Fields]:
    """Return an address without its user, who is named in a field instead (RFC 7617)."""
    if not target.userinfo:
        return target, fields
    user = base64.b64encode(f"{target.username}:{target.password}".encode()).decode("ascii")
    return target.copy_with(userinfo=b""), (*fields, ("authorization", f"Basic {user}"))


def _moved(answer: Answer, asked: httpx.URL) -> str | None:
    """Return where a redirect leads (RFC 9110 10.2.2), None where it is none."""
    location = first(answer.fields, "location")
    if answer.status not in REDIRECTS or not location:
        return None
    try:
        return str(asked.copy_with(userinfo=b"").join(location))
    except (httpx.InvalidURL, ValueError):
        raise FetchProblem("it redirects to something that is no address") from None
