"""Shell: HTTP/1.1 on a Unix socket: h11 over asyncio's streams.

One `Exchange` is one request and its answer. Who calls is said by the socket, so nothing here
looks at addresses. Everything a caller may do costs a bounded amount: heads, bodies, connections,
and time in which nothing moves.
Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import h11

MAX_HEAD_BYTES = 64 * 1024
READ_BYTES = 64 * 1024
MAX_CONNECTIONS = 16  # on one socket
IDLE_S = 60.0  # between two requests, and between two pieces of one
WRITE_S = 60.0  # for the caller to take what is sent
MAX_DISCARD_BYTES = 64 * 2**20
DISCARD_S = 5.0


class BodyTooLarge(Exception):
    """The request's body is larger than was allowed."""


class CallerGone(Exception):
    """The caller hung up, fell silent in the middle, or does not speak HTTP."""


class Exchange:
    """One request, head first: read its `body`, then answer it, in one go or in pieces."""

    def __init__(
        self,
        connection: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: h11.Request,
    ) -> None:
        self._connection, self._reader, self._writer = connection, reader, writer
        self.method = head.method.decode("ascii")
        self.target = head.target.decode("ascii", "replace")
        self._headers = [
            (name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers
        ]
        self.began = False

    def header(self, name: str) -> str | None:
        """The value of a header that stands there once; None where it is missing or doubled."""
        values = [value for known, value in self._headers if known == name]
        return values[0] if len(values) == 1 else None

    def declared_bytes(self) -> int:
        """The size that the head gives the body; 0 where it does not."""
        value = self.header("content-length") or "0"
        return int(value) if value.isascii() and value.isdigit() else 0

    async def body(self, most_bytes: int) -> bytes:
        """The request's body. Raises BodyTooLarge, CallerGone."""
        if self.declared_bytes() > most_bytes:
            raise BodyTooLarge
        if self._connection.they_are_waiting_for_100_continue:
            await self._write(
                self._connection.send(h11.InformationalResponse(status_code=100, headers=[]))
            )
        parts = bytearray()
        while True:
            match await self._next():
                case h11.Data(data=data):
                    parts += data
                    if len(parts) > most_bytes:
                        raise BodyTooLarge
                case h11.EndOfMessage():
                    return bytes(parts)

    async def answer(
        self, status: int, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> None:
        """Answer in one go. Raises CallerGone."""
        await self.begin(status, [*headers, ("content-length", str(len(body)))])
        if body:
            await self.send(body)
        await self.end()

    async def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Send the head of an answer whose body follows in pieces. Raises CallerGone."""
        self.began = True
        response = h11.Response(
            status_code=status, headers=[(n.encode(), v.encode("latin-1")) for n, v in headers]
        )
        await self._write(self._connection.send(response))

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body, at once. Raises CallerGone."""
        await self._write(self._connection.send(h11.Data(data=piece)))

    async def end(self) -> None:
        """The body is complete. Raises CallerGone."""
        await self._write(self._connection.send(h11.EndOfMessage()))

    async def hung_up(self) -> None:
        """Return when the caller has closed the connection. The body must have been read."""
        with suppress(OSError):
            while data := await self._reader.read(READ_BYTES):
                # A next request that comes early waits in the buffer of h11, which is bounded
                # by our reading no further.
                self._connection.receive_data(data)
                if len(self._connection.trailing_data[0]) > MAX_HEAD_BYTES:
                    return

    async def discard(self) -> None:
        """Read what is left of a body that nobody wants, so that its sender gets to the answer."""
        n_bytes = 0
        with suppress(CallerGone, TimeoutError):
            async with asyncio.timeout(DISCARD_S):
                while self._connection.their_state is h11.SEND_BODY:
                    match await self._next():
                        case h11.Data(data=data) if (n_bytes := n_bytes + len(data)) < (
                            MAX_DISCARD_BYTES
                        ):
                            continue
                        case _:
                            return

    async def _next(self) -> object:
        return await next_event(self._connection, self._reader)

    async def _write(self, data: bytes | None) -> None:
        if not data:
            return
        try:
            self._writer.write(data)
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            raise CallerGone from error


Handle = Callable[[Exchange], Awaitable[None]]  # may raise CallerGone


async def next_event(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    """The next thing that a caller says. Raises CallerGone."""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise CallerGone from error
        if event is not h11.NEED_DATA:
            if isinstance(event, h11.ConnectionClosed):
                raise CallerGone
            return event
        try:
            async with asyncio.timeout(IDLE_S):
                data = await reader.read(READ_BYTES)
        except (OSError, TimeoutError) as error:
            raise CallerGone from error
        connection.receive_data(data)


class Listener:
    """A socket that is served, and the connections that came by it."""

    def __init__(self, path: Path, handle: Handle) -> None:
        self._path, self._handle = path, handle
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to serve. Raises OSError."""
        self._server = await asyncio.start_unix_server(self._accept, self._path, limit=READ_BYTES)

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
        # Attack: a container that opens connections until our descriptors are gone.
        if len(self._serving) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._serving.add(task)
        try:
            with suppress(asyncio.CancelledError):  # by `close`; asyncio would log it as an error
                await _serve(reader, writer, self._handle)
        finally:
            self._serving.discard(task)
            writer.close()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handle
) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    with suppress(CallerGone):
        while True:
            head = await next_event(connection, reader)
            if not isinstance(head, h11.Request):
                return
            exchange = Exchange(connection, reader, writer, head)
            await handle(exchange)
            if connection.our_state is not h11.DONE:
                if connection.our_state is h11.MUST_CLOSE:
                    await exchange.discard()
                return
            if connection.their_state is not h11.DONE:
                await exchange.discard()
                return
            connection.start_next_cycle()
