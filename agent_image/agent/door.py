"""Shell: the way of the `claude` program to language models: HTTP on the container's loopback.

The program speaks HTTP to an address and knows an API key, of which there is none in here. So it is
given this address and a placeholder, and each request goes on through the session's model socket,
authorised by the session's key; its answer passes as it comes. A request is read whole, for its
hash is signed; of an answer no more than a piece is held.

The door tells nobody apart, and lets nobody do more than the session may: whoever reaches it is a
process of this container, and asks at the session's cost, within the session's grant.
Source: RFC 9112 "HTTP/1.1"; PROTOCOL.md "Models".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol
from urllib.parse import urlsplit

import h11
import orjson

from agent_image.agent.model import Answer, ModelUnavailable

HOST = "127.0.0.1"
READ_BYTES = 64 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 32 * 2**20  # what the model proxy takes
PATHS = frozenset(
    {("POST", "/v1/messages"), ("POST", "/v1/messages/count_tokens"), ("GET", "/v1/models")}
)
# The program's own headers stay here, its placeholder of a key among them; these two change what a
# request means.
PASSED_ON = ("anthropic-version", "anthropic-beta")
# Of one connection, not of the answer (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade"})


class Way(Protocol):
    """Where requests go on to: `Models`, or what stands in their place."""

    def request(
        self, method: str, path: str, body: bytes, given: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Answer]:
        """Send one request; yields the head of the answer. Raises ModelUnavailable."""
        ...


class _HungUp(Exception):
    """The program closed its connection, or speaks something else."""


@asynccontextmanager
async def open_door(way: Callable[[], Way]) -> AsyncIterator[str]:
    """Serve until the block ends; yields the address, `http://127.0.0.1:PORT`. way: is asked for
    with each request."""
    serving: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            with suppress(asyncio.CancelledError, _HungUp):  # cancelled: the door is closing
                await _Caller(way, reader, writer).serve()
        finally:
            serving.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, HOST, 0, limit=READ_BYTES)
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


class _Caller:
    """One connection of the program's, and the requests on it."""

    def __init__(
        self, way: Callable[[], Way], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._way, self._reader, self._writer = way, reader, writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def serve(self) -> None:
        """Answer one request after another. Raises _HungUp."""
        while True:
            head = await self._next()
            if not isinstance(head, h11.Request):
                return
            await self._while_they_wait(head, await self._body())
            if self._http.our_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _while_they_wait(self, head: h11.Request, body: bytes) -> None:
        """Answer, and stop as soon as nobody waits for it: else a model goes on at our cost."""
        answering = asyncio.create_task(self._answer(head, body))
        leaving = asyncio.create_task(self._gone())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (answering, leaving):
                task.cancel()
            ended, _ = await asyncio.gather(answering, leaving, return_exceptions=True)
        if ended is not None:
            raise _HungUp from ended

    async def _answer(self, head: h11.Request, body: bytes) -> None:
        method, path = head.method.decode(), urlsplit(head.target.decode("latin-1")).path
        if (method, path) not in PATHS:
            await self._refuse(404, "not_found_error", f"nothing is served at {method} {path}")
            return
        given = {
            name.decode(): value.decode("latin-1")
            for name, value in head.headers
            if name.decode() in PASSED_ON
        }
        began = False
        try:
            async with self._way().request(method, path, body, given) as answer:
                began = True
                await self._pass_on(answer)
        except ModelUnavailable as error:
            if began:
                raise _HungUp from error  # cut, so that the program sees that the end is missing
            await self._refuse(502, "api_error", str(error))

    async def _pass_on(self, answer: Answer) -> None:
        await self._begin(answer.status, answer.headers)
        async for piece in answer.pieces:
            await self._send(h11.Data(data=piece))
        await self._send(h11.EndOfMessage())

    async def _refuse(self, status: int, kind: str, sentence: str) -> None:
        error = {"type": "error", "error": {"type": kind, "message": sentence}}
        body = orjson.dumps(error)
        length = {"content-type": "application/json", "content-length": str(len(body))}
        await self._begin(status, length)
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    async def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        shown = [
            (name.encode(), value.encode("latin-1"))
            for name, value in headers.items()
            if name not in HOP_BY_HOP
        ]
        await self._send(h11.Response(status_code=status, headers=shown))

    async def _body(self) -> bytes:
        parts = bytearray()
        while True:
            match await self._next():
                case h11.Data(data=data) if len(parts) + len(data) <= MAX_BODY_BYTES:
                    parts += data
                case h11.EndOfMessage():
                    return bytes(parts)
                case _:
                    raise _HungUp

    async def _next(self) -> object:
        while True:
            try:
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event
                if self._http.they_are_waiting_for_100_continue:
                    going_on = h11.InformationalResponse(status_code=100, headers=[])
                    await self._send(going_on)
                self._http.receive_data(await self._reader.read(READ_BYTES))
            except (h11.RemoteProtocolError, OSError) as error:
                raise _HungUp from error

    async def _gone(self) -> None:
        """Return when the program has hung up; what it says early is kept for its turn."""
        while data := await self._reader.read(READ_BYTES):
            self._http.receive_data(data)
            if len(self._http.trailing_data[0]) > MAX_HEAD_BYTES:
                return

    async def _send(self, event: h11.Event) -> None:
        try:
            self._writer.write(self._http.send(event) or b"")
            await self._writer.drain()
        except (h11.LocalProtocolError, OSError) as error:
            raise _HungUp from error
