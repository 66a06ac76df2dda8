"""Shell: HTTP/1.1 on a loopback port, one request a connection: h11 over asyncio's streams.

Whoever runs a program on this machine may connect, and so may a web page in its browser. So
everything costs a bounded amount before anybody knows who it is: connections, heads, bodies, and
the time that all of it may take. Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

import h11

MAX_HEAD_BYTES = 16 * 2**10
MAX_CONNECTIONS = 32
READ_BYTES = 16 * 2**10
REQUEST_S = 10.0  # for all of a request, from the connection on
WRITE_S = 5.0
MAX_DISCARD_BYTES, DISCARD_S = 16 * 2**20, 2.0  # so that who sends too much gets to the answer


@dataclass(frozen=True, slots=True)
class Request:
    """headers: by their names in lower case; what stands there twice is left out."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """value: the object that is the body, as JSON."""

    status: int
    value: Mapping[str, object]


Handle = Callable[[Request], Awaitable[Reply]]


class HookServer:
    """handle: answers a request, and raises nothing but CancelledError. max_body_bytes: what is
    longer is answered 413, unread."""

    def __init__(self, handle: Handle, max_body_bytes: int) -> None:
        self._handle, self._max_body_bytes = handle, max_body_bytes
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Begin to serve; returns the port, which 0 leaves to the machine. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=READ_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Serve nobody any more; what is under way is cut."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        # Attack: a program that opens connections until our descriptors are gone.
        if len(self._serving) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._serving.add(task)
        try:
            with suppress(asyncio.CancelledError, OSError, TimeoutError, h11.ProtocolError):
                await self._serve(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        try:
            # Attack: a byte every few seconds holds a connection for ever (slowloris).
            async with asyncio.timeout(REQUEST_S):
                read = await self._read(connection, reader, writer)
        except h11.RemoteProtocolError as error:
            read = Reply(error.error_status_hint, {"error": "that is no HTTP request"})
        except TimeoutError:
            read = Reply(408, {"error": f"a request is sent within {REQUEST_S:g} seconds"})
        if read is None:
            return
        reply = await self._handle(read) if isinstance(read, Request) else read
        await _write(connection, writer, reply)
        if isinstance(read, Reply):
            await _discard(reader)

    async def _read(
        self,
        connection: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Request | Reply | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    writer.write(connection.send(go_on) or b"")
                connection.receive_data(await reader.read(READ_BYTES))
                continue
            match event:
                case h11.Request() as head:
                    if _declared_bytes(head) > self._max_body_bytes:
                        return self._too_long()
                case h11.Data(data=data):
                    body += data
                    if len(body) > self._max_body_bytes:
                        return self._too_long()
                case h11.EndOfMessage() if head is not None:
                    method, target = head.method.decode("ascii"), head.target.decode("latin-1")
                    return Request(method, target, _headers(head), bytes(body))
                case _:
                    return None  # it hung up

    def _too_long(self) -> Reply:
        return Reply(413, {"error": f"what is posted has at most {self._max_body_bytes:,} bytes"})


def _declared_bytes(head: h11.Request) -> int:
    value = _headers(head).get("content-length", "0")
    return int(value[:18]) if value.isascii() and value.isdigit() else 0


def _headers(head: h11.Request) -> Mapping[str, str]:
    names = [name.decode("ascii").lower() for name, _ in head.headers]
    return MappingProxyType(
        {
            name: value.decode("latin-1")
            for name, (_, value) in zip(names, head.headers, strict=True)
            if names.count(name) == 1
        }
    )


async def _write(connection: h11.Connection, writer: asyncio.StreamWriter, reply: Reply) -> None:
    body = json.dumps(reply.value, ensure_ascii=False).encode() + b"\n"
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("connection", "close"),
    ]
    response = h11.Response(status_code=reply.status, headers=headers)
    for event in (response, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    async with asyncio.timeout(WRITE_S):
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _discard(reader: asyncio.StreamReader) -> None:
    """Read what is left of what nobody wants: a connection that is closed before is reset, and the
    answer lost with it."""
    n_bytes = 0
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(DISCARD_S):
            while (data := await reader.read(READ_BYTES)) and n_bytes < MAX_DISCARD_BYTES:
                n_bytes += len(data)
