"""Fetching for scripts: over HTTP with limits and checked addresses, or from our own storage.

    voicemashup://script/ID      an uploaded script, as the account stored it
    voicemashup://dial-in/...    the pages of the conferences' dial-in
    http://, https://            the rest of the world

An address is checked when it is connected to, at every redirect, and the connection
goes to the very address that was checked: a name that resolves twice differently
gains nothing.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx

from service.calls import Call
from service.config import FetchSettings
from service.limits import FETCH_BYTES_MAX, FETCH_REDIRECTS_MAX
from vxml_engine.effects import Fetch, Fetched, FetchFailed

log = logging.getLogger(__name__)

OWN_SCHEME = "voicemashup"
OwnPages = Callable[[Fetch, Call], Awaitable[Fetched | FetchFailed]]


class AddressRefused(httpx.ConnectError):
    """The address is one that scripts may not reach."""


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects only to public addresses, unless private ones are allowed."""

    def __init__(self, *, allow_private: bool) -> None:
        self._inner = httpx.AsyncHTTPTransport(retries=0)
        self._allow_private = allow_private

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        address = await self._resolve(host, request.url.port)
        request.extensions = dict(request.extensions) | {"sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return await self._inner.handle_async_request(request)

    async def _resolve(self, host: str, port: int | None) -> str:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError(f"{host} cannot be resolved: {error}") from error
        for *_, sockaddr in found:
            address = ipaddress.ip_address(str(sockaddr[0]).partition("%")[0])
            if self._allow_private or address.is_global:
                return str(address)
        raise AddressRefused(
            f"{host} is at a private address ([fetch] allow_private permits those)"
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class Fetcher:
    """Fetches what scripts ask for; `own_pages` answers `voicemashup:` addresses."""

    def __init__(self, settings: FetchSettings, own_pages: OwnPages) -> None:
        self._own_pages = own_pages
        self._settings = settings
        self._client: httpx.AsyncClient | None = None

    async def fetch(self, effect: Fetch, call: Call) -> Fetched | FetchFailed:
        """Return what a script asks for, or the VoiceXML event of its failure (VoiceXML 2.0 5.2.6).

        Redirects are followed, each address checked; over `FETCH_BYTES_MAX` bytes or
        the effect's time, it failed.
        """
        if urlsplit(effect.url).scheme.lower() == OWN_SCHEME:
            return await self._own_pages(effect, call)
        return await self._over_http(
            effect.method, effect.url, list(effect.fields), effect.timeout_s
        )

    async def get(self, url: str) -> Fetched | FetchFailed:
        """Return what is at an address of the world's, as `fetch` does."""
        return await self._over_http("get", url, [], self._settings.timeout_s)

    async def _over_http(
        self, method: str, url: str, fields: list[tuple[str, str]], timeout_s: float
    ) -> Fetched | FetchFailed:
        if urlsplit(url).scheme.lower() not in ("http", "https"):
            return FetchFailed("error.badfetch", f"{url}: scripts fetch http and https only")
        limit_s = min(timeout_s or self._settings.timeout_s, self._settings.timeout_s)
        try:
            async with asyncio.timeout(limit_s):
                return await self._answer(method, url, fields)
        except TimeoutError:
            return FetchFailed("error.badfetch", f"{url}: no answer in {limit_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return FetchFailed("error.badfetch", f"{url}: {error}")

    async def _answer(
        self, method: str, url: str, fields: list[tuple[str, str]]
    ) -> Fetched | FetchFailed:
        client = self._ready()
        request = client.build_request(
            method.upper(), url, data=_grouped(fields) if method == "post" else None
        )
        response = await client.send(request, stream=True)
        try:
            if response.status_code >= 400:
                event = f"error.badfetch.http.{response.status_code}"
                return FetchFailed(event, f"{url}: HTTP {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > FETCH_BYTES_MAX:
                    return FetchFailed("error.badfetch", f"{url}: over {FETCH_BYTES_MAX} bytes")
        finally:
            await response.aclose()
        kind = response.headers.get("content-type", "")
        return Fetched(url, response.status_code, kind, bytes(body))

    def _ready(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=CheckedTransport(allow_private=self._settings.allow_private),
                follow_redirects=True,
                max_redirects=FETCH_REDIRECTS_MAX,
                timeout=None,  # noqa: S113  the whole fetch has its own
                trust_env=False,
                headers={"User-Agent": "VoiceMashup"},
            )
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _grouped(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in fields:
        grouped.setdefault(name, []).append(value)
    return grouped
