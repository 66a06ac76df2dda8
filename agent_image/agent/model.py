"""Shell: language models, asked through the session's own model socket.

No key of a provider is in here: each request is authorised by the session's key (NIP-98), and the
proxy at the other end adds what the provider wants to see. Bodies and answers have the provider's
own form. HTTP/1.1, a connection for each request. Source: RFC 9112; PROTOCOL.md "Models".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from secrets import token_bytes
from types import MappingProxyType

import orjson

from nips import nip98
from nips.key import SecretKey

SOCKET = "/run/nanoclaw/model.sock"
ADDRESS = "http://model.local"
PROXY_AWAY_S = 20.0  # how long we wait for a proxy that is starting
PAUSE_S = 0.05
MAX_HEAD_BYTES = 64 * 1024
MAX_LINE_BYTES = 4 * 2**20  # of a stream: an event is one or a few
NOTHING: Mapping[str, str] = MappingProxyType({})


class ModelUnavailable(Exception):
    """There is no model socket, or the answer broke off."""


class ModelRefused(Exception):
    """An answer that is an error: its status, its sentence, and when to ask again, if ever."""

    def __init__(self, status: int, sentence: str, retry_after_s: int | None) -> None:
        super().__init__(f"{status}: {sentence}")
        self.status, self.sentence, self.retry_after_s = status, sentence, retry_after_s


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer. `headers`: names in lower case."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]

    async def body(self) -> bytes:
        """All of it. Raises ModelUnavailable when it broke off."""
        return b"".join([piece async for piece in self.pieces])


class Models:
    """The models of this session. `now` returns unix seconds."""

    def __init__(self, key: SecretKey, now: Callable[[], float], socket: str = SOCKET) -> None:
        self._key, self._now, self._socket = key, now, socket

    async def names(self) -> list[str]:
        """Those that may be used. Raises ModelRefused, ModelUnavailable."""
        async with self.request("GET", "/v1/models", b"") as answer:
            body = await _expected(answer)
        return [str(one["id"]) for one in orjson.loads(body)["data"]]

    async def ask(self, path: str, fields: Mapping[str, object]) -> dict[str, object]:
        """The whole answer to one request. Raises ModelRefused, ModelUnavailable."""
        async with self.request("POST", path, orjson.dumps(fields)) as answer:
            found: dict[str, object] = orjson.loads(await _expected(answer))
        return found

    async def events(
        self, path: str, fields: Mapping[str, object]
    ) -> AsyncGenerator[dict[str, object]]:
        """The events of a streamed answer, as they come. Raises ModelRefused, ModelUnavailable."""
        streamed = {**fields, "stream": True}
        async with self.request("POST", path, orjson.dumps(streamed)) as answer:
            if answer.status != 200:
                await _expected(answer)
            held = b""
            async for piece in answer.pieces:
                *lines, held = (held + piece).split(b"\n")
                if len(held) > MAX_LINE_BYTES:
                    raise ModelUnavailable("the model's answer has a line without an end")
                for line in lines:
                    if line.startswith(b"data:") and (data := line[5:].strip()) != b"[DONE]":
                        yield _event(data)

    @asynccontextmanager
    async def request(
        self, method: str, path: str, body: bytes, given: Mapping[str, str] = NOTHING
    ) -> AsyncIterator[Answer]:
        """Send one request; yields the head of the answer. given: headers that go along, such as
        `anthropic-beta`. Raises ModelUnavailable."""
        reader, writer = await self._connection()
        try:
            writer.write(self._head(method, path, body, given) + body)
            # What is refused early is answered before the body has been read.
            sending = asyncio.create_task(writer.drain())
            try:
                status, headers = await _head(reader)
                yield Answer(status, headers, _pieces(reader, headers))
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ModelUnavailable("the model proxy broke off") from error
        finally:
            writer.close()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(PROXY_AWAY_S):
                while True:
                    try:
                        return await asyncio.open_unix_connection(
                            self._socket, limit=MAX_HEAD_BYTES
                        )
                    except (FileNotFoundError, ConnectionRefusedError):
                        await asyncio.sleep(PAUSE_S)  # a socket's coming tells nobody
        except TimeoutError:
            raise ModelUnavailable(
                f"no model proxy at {self._socket} within {PROXY_AWAY_S:g} s"
            ) from None

    def _head(self, method: str, path: str, body: bytes, given: Mapping[str, str]) -> bytes:
        template = nip98.template(self._key.public, ADDRESS + path, method, body, int(self._now()))
        # An authorisation counts once, and two equal requests may come in one second.
        nonce = ("nonce", token_bytes(8).hex())
        event = replace(template, tags=(*template.tags, nonce)).sign(self._key, token_bytes(32))
        more = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return (
            f"{method} {path} HTTP/1.1\r\n"
            f"{more}"
            "Host: model.local\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"Authorization: {nip98.header(event)}\r\n"
            "Connection: close\r\n\r\n"
        ).encode()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in filter(None, lines[1:]):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    status = lines[0].split(" ")[1:2]
    if not status or not status[0].isdigit():
        raise ModelUnavailable("the model proxy did not speak HTTP")
    return int(status[0]), headers


async def _pieces(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return
    left = int(headers.get("content-length", "0"))
    while left:
        piece = await reader.read(min(left, MAX_HEAD_BYTES))
        if not piece:
            raise ModelUnavailable("the model's answer broke off")
        left -= len(piece)
        yield piece


async def _expected(answer: Answer) -> bytes:
    body = await answer.body()
    if answer.status == 200:
        return body
    try:
        sentence = str(orjson.loads(body)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        sentence = body[:200].decode(errors="replace")
    after = answer.headers.get("retry-after", "")
    raise ModelRefused(answer.status, sentence, int(after) if after.isdigit() else None)


def _event(data: bytes) -> dict[str, object]:
    try:
        found: dict[str, object] = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ModelUnavailable("the model's answer is no JSON") from error
    if isinstance(told := found.get("error"), dict):
        raise ModelRefused(502, str(told.get("message")), None)
    return found
