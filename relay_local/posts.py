"""Shell: POST requests on the relay's port; everything else is a WebSocket's business.

The library of the WebSockets refuses a request with a body, so a POST is read here, from the
first bytes of its connection on. It is bounded in bytes; in time by the limit on handshakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection

from relay_local.information import Answer
from relay_local.inlet import Inlet

MAX_HEAD_BYTES = 16 << 10
MAX_BODY_BYTES = 64 << 10
BLOCKED = Answer(HTTPStatus.FORBIDDEN, {}, b"This address is blocked here.\n")
_POST = b"POST "

Answering = Callable[[dict[str, str], bytes], Awaitable[Answer]]
IsBlocked = Callable[[ServerConnection], bool]


class _Posted(Inlet):
    answering: Answering
    is_blocked: IsBlocked

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._first = b""
        self._is_post: bool | None = None
        self._reply: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Take in what came, until it is known whose business it is."""
        if self._is_post is False:
            return super().data_received(data)
        if self._reply is not None:
            return None  # all that was announced is here; what comes beyond it is nobody's
        self._first += data
        if len(self._first) < len(_POST) and _POST.startswith(self._first):
            return None
        self._is_post = self._first.startswith(_POST)
        if not self._is_post:
            return super().data_received(self._first)
        request: tuple[dict[str, str], bytes] | Answer | None = BLOCKED
        # Attack: who was shut out still has bodies read and signatures checked.
        if not self.is_blocked(self):
            request = _complete(self._first)
        if request is not None:
            self._reply = self.loop.create_task(self._answer(request))
        return None

    async def _answer(self, request: tuple[dict[str, str], bytes] | Answer) -> None:
        answer = request if isinstance(request, Answer) else await self.answering(*request)
        self.transport.write(_wire(answer))
        self.transport.close()


def taking_posts(answering: Answering, is_blocked: IsBlocked) -> type[Inlet]:
    """A kind of connection that answers POST by a function of headers and body; of those that
    are blocked nothing is read but the method."""
    functions = {"answering": staticmethod(answering), "is_blocked": staticmethod(is_blocked)}
    return type("Posted", (_Posted,), functions)


def _complete(data: bytes) -> tuple[dict[str, str], bytes] | Answer | None:
    """The request's headers, by lower-case name, and body; None while more must come."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return _refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, len(data), MAX_HEAD_BYTES)
    headers = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "")
    if not length.isascii() or not length.isdigit() or len(length) > 9:
        return Answer(HTTPStatus.LENGTH_REQUIRED, {}, b"")
    if int(length) > MAX_BODY_BYTES:
        return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {}, b"")
    return (headers, body[: int(length)]) if len(body) >= int(length) else None


def _refused(status: HTTPStatus, size: int, most: int) -> Answer | None:
    return Answer(status, {}, b"") if size > most else None


def _wire(answer: Answer) -> bytes:
    headers = {
        **answer.headers,
        "Connection": "close",
        "Content-Length": str(len(answer.body)),
    }
    lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + answer.body
