"""Connections that speak HTTP/1.1, and are kept for the next request to the same host.

A connection is kept only where the last answer ended exactly where it said: what a server
sends behind it is never read as the answer to another request.
"""

import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import h11
import httpcore
import httpx

from service.fetching.errors import BrokenAnswer, FetchProblem, OverLimit, Unreachable
from service.fetching.freshness import Fields
from service.fetching.reach import DEFAULT_PORTS
from service.limits import (
    FETCH_CONNECTION_IDLE_S_MAX,
    FETCH_CONNECTIONS_IDLE_MAX,
    FETCH_HEADER_BYTES_MAX,
    FETCH_HEADER_FIELDS_MAX,
    FETCH_INTERIM_ANSWERS_MAX,
)

READ_BYTES = 32 * 1024
# h11's word for a header that is too long.
TOO_LONG = 431


class Origin(NamedTuple):
    """Whom a connection leads to: it is used for no other host name or port."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: fields in lower case, `body` None for a GET."""

    url: httpx.URL
    fields: Fields
    body: bytes | None = None

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"

    @property
    def origin(self) -> Origin:
        url = self.url
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        return Origin(url.scheme, url.raw_host.decode("ascii"), port)


class Connection:
    """One connection; `used` once a whole answer has come over it."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._http = _state()
        self.used = False
        self.idle_since = 0.0

    async def ask(self, request: Request) -> tuple[int, Fields]:
        """Send a request; return the answer's status and header fields.

        Raises BrokenAnswer and OverLimit.
        """
        try:
            sent = self._http.send(_head(request))
            if request.body:
                sent += self._http.send(h11.Data(data=request.body))
            sent += self._http.send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise FetchProblem(f"it cannot be asked for: {error}") from None
        with suppress(httpcore.NetworkError):  # it may answer before it heard all, and close
            await self._stream.write(sent)
        return await self._answer_head()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Give the answer's body as it comes. Raises BrokenAnswer where it breaks off."""
        while True:
            event = await self._event("the answer breaks off")
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return

    def ready_again(self) -> bool:
        """Make ready for the next request, where nothing is left of this one; tell whether."""
        try:
            while isinstance(self._http.next_event(), h11.Data):
                pass  # of a body that nobody wanted: as much as has come
        except h11.RemoteProtocolError:
            return False
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if not done or self._http.trailing_data[0] or not self.quiet():
            return False
        self._http.start_next_cycle()
        self.used = True
        return True

    def quiet(self) -> bool:
        """Return whether the server has sent nothing that was not asked for, nor closed."""
        return not self._stream.get_extra_info("is_readable")

    async def close(self) -> None:
        await self._stream.aclose()

    async def _answer_head(self) -> tuple[int, Fields]:
        for _ in range(FETCH_INTERIM_ANSWERS_MAX + 1):
            event = await self._event("no HTTP answer")
            if isinstance(event, h11.Response):
                return event.status_code, _checked(event)
        raise OverLimit(
            f"more than {FETCH_INTERIM_ANSWERS_MAX} interim answers (FETCH_INTERIM_ANSWERS_MAX)"
        )

    async def _event(self, problem: str) -> h11.Event:
        """Return what comes next; `problem` says what it means where nothing does."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                piece = await self._stream.read(READ_BYTES)
                if not piece and self._http.their_state is h11.SEND_RESPONSE:
                    raise BrokenAnswer(f"{problem}: the server closed the connection")
                self._http.receive_data(piece)
        except httpcore.NetworkError as error:
            raise BrokenAnswer(f"{problem}: {_why(error)}") from None
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == TOO_LONG:
                raise OverLimit(
                    f"a header of more than {FETCH_HEADER_BYTES_MAX} bytes (FETCH_HEADER_BYTES_MAX)"
                ) from None
            raise BrokenAnswer(f"{problem}: {_why(error)}") from None
        if isinstance(event, h11.Event):
            return event
        raise BrokenAnswer(f"{problem}: the server closed the connection")


class Connections:
    """Makes connections through a checked network, and keeps some.

    `trusted` gives the authorities for certificates, asked for once.
    """

    def __init__(
        self,
        network: httpcore.AsyncNetworkBackend,
        trusted: Callable[[], ssl.SSLContext],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._trusted = trusted
        self._now = now
        self._idle: list[tuple[Origin, Connection]] = []  # the longest idle first
        self._tls: ssl.SSLContext | None = None

    @property
    def idle(self) -> int:
        return len(self._idle)

    async def take(self, origin: Origin, *, fresh: bool) -> Connection:
        """Return a connection to a host, a new one where `fresh`. Raises FetchProblem."""
        await self._close_old()
        if not fresh:
            for place in reversed(self._idle):
                if place[0] == origin:
                    self._idle.remove(place)
                    if place[1].quiet():
                        return place[1]
                    await place[1].close()
        return Connection(await self._connect(origin))

    async def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection for the next request, or close it where that can't be."""
        if not connection.ready_again():
            await connection.close()
            return
        connection.idle_since = self._now()
        self._idle.append((origin, connection))
        await self._close_old()

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop()[1].close()

    async def _connect(self, origin: Origin) -> httpcore.AsyncNetworkStream:
        stream = await self._network.connect_tcp(origin.host, origin.port)
        if origin.scheme == "http":
            return stream
        if self._tls is None:
            self._tls = self._trusted()
        try:
            return await stream.start_tls(self._tls, server_hostname=origin.host)
        except httpcore.ConnectError as error:
            await stream.aclose()
            raise Unreachable(f"no TLS with {origin.host}: {_why(error)}") from None
        except BaseException:  # cut off in the middle: nothing stays open
            await stream.aclose()
            raise

    async def _close_old(self) -> None:
        """Close what is idle for too long, and the longest idle where there are too many."""
        oldest = self._now() - FETCH_CONNECTION_IDLE_S_MAX
        while self._idle and (
            len(self._idle) > FETCH_CONNECTIONS_IDLE_MAX or self._idle[0][1].idle_since < oldest
        ):
            await self._idle.pop(0)[1].close()


def _state() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=FETCH_HEADER_BYTES_MAX)


def _head(request: Request) -> h11.Request:
    fields = [(b"Host", request.url.netloc)]
    fields += [(name.encode("ascii"), value.encode("latin-1")) for name, value in request.fields]
    if request.body is not None:
        fields.append((b"Content-Length", str(len(request.body)).encode()))
    return h11.Request(method=request.method, target=request.url.raw_path, headers=fields)


def _checked(response: h11.Response) -> Fields:
    """Return an answer's header fields, where they keep to the limits."""
    raw = list(response.headers)
    header_bytes = sum(len(name) + len(value) + 4 for name, value in raw)
    if header_bytes > FETCH_HEADER_BYTES_MAX:
        raise OverLimit(f"a header of {header_bytes} bytes (FETCH_HEADER_BYTES_MAX)")
    if len(raw) > FETCH_HEADER_FIELDS_MAX:
        raise OverLimit(f"{len(raw)} header fields (FETCH_HEADER_FIELDS_MAX)")
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)


def _why(error: BaseException) -> str:
    return str(error)[:200] or type(error).__name__
