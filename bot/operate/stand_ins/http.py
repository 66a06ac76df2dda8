"""Shell: HTTP/1.1 as the stand-ins serve it: h11 over asyncio's streams.

A stand-in is a process of ours that tests and the demonstration drive; it trusts its callers, so
nothing here is bounded.
Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

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

    def path(self) -> str:
        """The target without its query, its percent signs resolved."""
        return unquote(urlsplit(self.target).path)

    def query(self) -> dict[str, str]:
        """The query; of a name that stands there twice, the first."""
        pairs = parse_qsl(urlsplit(self.target).query, keep_blank_values=True)
        return dict(reversed(pairs))


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; `kind` is its content type, "" for none."""

    status: int
    body: bytes = b""
    kind: str = ""


class Answer:
    """Writes one answer; `stamp` is the headers that a stand-in puts on each."""

    stamp: tuple[tuple[str, str], ...] = ()

    def __init__(self, connection: h11.Connection, writer: asyncio.StreamWriter) -> None:
        self._connection, self._writer = connection, writer

    async def whole(self, status: int, value: object, *headers: tuple[str, str]) -> None:
        """Answer with JSON."""
        await self.reply(Reply(status, json.dumps(value).encode(), "application/json"), *headers)

    async def reply(self, reply: Reply, *headers: tuple[str, str]) -> None:
        """Answer with what was made before."""
        kind = (("content-type", reply.kind),) if reply.kind else ()
        length = () if reply.status == 204 else (("content-length", str(len(reply.body))),)
        await self.begin(reply.status, *kind, *length, *headers)
        if reply.body:
            await self.piece(reply.body)
        await self.end()

    async def begin(self, status: int, *headers: tuple[str, str]) -> None:
        await self._send(h11.Response(status_code=status, headers=[*headers, *self.stamp]))

    async def piece(self, data: bytes) -> None:
        await self._send(h11.Data(data=data))

    async def end(self) -> None:
        await self._send(h11.EndOfMessage())

    async def switch(self, *headers: tuple[str, str]) -> bytes:
        """Leave HTTP, as the caller asked. Returns what it sent already of what follows."""
        await self._send(h11.InformationalResponse(status_code=101, headers=list(headers)))
        return bytes(self._connection.trailing_data[0])

    async def _send(self, event: h11.Event) -> None:
        if data := self._connection.send(event):
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


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
