"""A server of whatever bytes a test wants, in the test's own process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(slots=True)
class RawServer:
    """asked: every request, head and body, in order of arrival."""

    port: int = 0
    asked: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def whole(body: bytes, status: str = "200 OK", *fields: str) -> bytes:
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def a_raw_server(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[RawServer]:
    """Answer each connection once and hang up. answer: None holds it open, unanswered."""
    server = RawServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            if length := _LENGTH.search(request):
                request += await reader.readexactly(int(length.group(1)))
            server.asked.append(request)
            server.arrived.set()
            if (reply := answer(request)) is None:
                await server._ended.wait()
            else:
                writer.write(reply)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            server._ended.set()
