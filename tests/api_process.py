"""What the stand-ins of language model providers share: each is an HTTP server, a process.

    python -m tests.MODULE LOG      the API key comes on stdin, one line

It says `api: ready PORT`. LOG gets a JSON line for whatever a stand-in notes, and `gone` for each
caller that hung up.
"""

from __future__ import annotations

import asyncio
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import h11


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller sent; the target is a path with its query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def fields(self) -> Any:
        """The JSON of its body, `{}` where that is empty; None where it is no JSON."""
        try:
            return json.loads(self.body or b"{}")
        except json.JSONDecodeError:
            return None


class Answer:
    """Writes one answer; `stamp` is the headers that a provider puts on each."""

    stamp: tuple[tuple[str, str], ...] = ()

    def __init__(self, connection: h11.Connection, writer: asyncio.StreamWriter) -> None:
        self._connection, self._writer = connection, writer

    async def whole(self, status: int, value: object, *headers: tuple[str, str]) -> None:
        body = json.dumps(value).encode()
        length = ("content-length", str(len(body)))
        await self.begin(status, ("content-type", "application/json"), length, *headers)
        await self.piece(body)
        await self.end()

    async def begin(self, status: int, *headers: tuple[str, str]) -> None:
        await self._send(h11.Response(status_code=status, headers=[*headers, *self.stamp]))

    async def piece(self, data: bytes) -> None:
        await self._send(h11.Data(data=data))

    async def end(self) -> None:
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        if data := self._connection.send(event):
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


To = TypeVar("To", bound=Answer)


class ApiProcess(ABC, Generic[To]):
    """Serves; a stand-in brings `_answer`, and the class that writes its answers."""

    def __init__(self, key: str, log: Path, answering: type[To]) -> None:
        self._key, self._log, self._answering = key, log, answering
        self._forever = asyncio.Event()  # waited for, it is silence

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            while (request := await read_request(connection, reader)) is not None:
                await self._answer(self._answering(connection, writer), request)
                if connection.our_state is not h11.DONE:
                    return
                connection.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):
            self._note(gone=True)
        finally:
            writer.close()

    @abstractmethod
    async def _answer(self, to: To, request: Request) -> None:
        """May raise ConnectionError, to hang up on the caller."""

    def _note(self, **what: object) -> None:
        with self._log.open("a") as log:
            log.write(json.dumps(what) + "\n")


async def read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the caller has hung up."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(65_536))
            case h11.Request() as head:
                pass
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage() if head is not None:
                headers = {name.decode(): value.decode() for name, value in head.headers}
                return Request(head.method.decode(), head.target.decode(), headers, bytes(body))
            case _:
                return None


def run(api: Callable[[str, Path], ApiProcess[Any]]) -> None:
    """Be the process, until a signal ends it. api: makes it of the key and the log."""
    asyncio.run(_run(api))


async def _run(api: Callable[[str, Path], ApiProcess[Any]]) -> None:
    made = api(sys.stdin.readline().strip(), Path(sys.argv[1]))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    print(f"api: ready {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()
