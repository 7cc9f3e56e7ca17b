"""A web server on loopback that answers as a test says: well, badly, slowly, or never.

It speaks with its own few lines of code, so that it can lie in any way.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType


@dataclass(frozen=True)
class Asked:
    """One request as it came: names of header fields in lower case, in their order."""

    method: str
    target: str
    header: dict[str, str]
    body: bytes


Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def answer(
    body: bytes = b"", *fields: str, status: str = "200 OK", length: int | None = None
) -> bytes:
    """Return an HTTP answer's bytes; `length` is a Content-Length that may lie."""
    said = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {said}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


@dataclass
class Web:
    """The server: `pages` by path, as bytes to send or a handler; `asked` is what came."""

    pages: dict[str, bytes | Handler] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def __aenter__(self) -> "Web":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Return the address of a page."""
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def targets(self) -> list[str]:
        """Return what was asked for, as `GET /path`."""
        return [f"{one.method} {one.target}" for one in self.asked]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError
        ):
            while not writer.is_closing():
                asked = await _read(reader)
                self.asked.append(asked)
                page = self.pages.get(asked.target.partition("?")[0])
                if page is None:
                    page = answer(status="404 Not Found")
                if isinstance(page, bytes):
                    writer.write(page)
                else:
                    await page(asked, writer)
                await writer.drain()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    pairs = [line.partition(":") for line in lines]
    header = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(header.get("content-length", "0")))
    return Asked(method, target, header, body)
