"""One request and its answer, held to the limits whatever the server does."""

import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import certifi

from service.config import FetchSettings
from service.fetching.connections import Connection, Connections, Request
from service.fetching.errors import BrokenAnswer, OverLimit
from service.fetching.freshness import Fields, first, values
from service.fetching.reach import CheckedNetwork, Lookup, Resolve
from service.fetching.unpacking import Body
from service.limits import FETCH_BYTES_MAX


class Reply:
    """An answer whose header is there; the body is read on demand."""

    def __init__(self, connection: Connection, status: int, fields: Fields) -> None:
        self._connection = connection
        self.status = status
        self.fields = fields

    async def body(self) -> bytes:
        """Return the whole body, unpacked. Raises OverLimit and BrokenAnswer."""
        told = first(self.fields, "content-length") or ""
        if told.isdecimal() and int(told) > FETCH_BYTES_MAX:
            raise OverLimit(f"{told} bytes; at most {FETCH_BYTES_MAX} (FETCH_BYTES_MAX)")
        gathered = Body(values(self.fields, "content-encoding"))
        async with aclosing(self._connection.pieces()) as pieces:
            async for piece in pieces:
                gathered.add(piece)
        return gathered.end()


class Wire:
    """Sends requests over connections to checked addresses."""

    def __init__(self, settings: FetchSettings, resolve: Resolve | None = None) -> None:
        self._lookup = Lookup()
        network = CheckedNetwork(resolve or self._lookup, allow_private=settings.allow_private)
        self.connections = Connections(network, lambda: _trusted(settings.ca_file))

    @asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Reply]:
        """Send a request; gives the answer's header, and its body while the context is open.

        Raises FetchProblem.
        """
        connection, status, fields = await self._answered(request)
        try:
            if not 200 <= status <= 599:
                raise BrokenAnswer(f"the answer's status is {status}")
            yield Reply(connection, status, fields)
        finally:
            await self.connections.give_back(request.origin, connection)

    async def close(self) -> None:
        await self.connections.close()
        self._lookup.close()

    async def _answered(self, request: Request) -> tuple[Connection, int, Fields]:
        """Send a request, a GET over a kept connection where there is one.

        A server may close that just when it is used again (RFC 9112 9.3.1): then it is sent
        once more over a new one. A POST may have been done already, so it has a new one always.
        """
        fresh = request.body is not None
        while True:
            connection = await self.connections.take(request.origin, fresh=fresh)
            try:
                return connection, *await connection.ask(request)
            except BrokenAnswer:
                await connection.close()
                if not connection.used:
                    raise
                fresh = True
            except BaseException:
                await connection.close()
                raise


def _trusted(ca_file: str) -> ssl.SSLContext:
    """Return the authorities that certificates are verified by, with those of `ca_file`."""
    context = ssl.create_default_context(cafile=certifi.where())
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context
