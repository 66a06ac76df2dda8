"""Shell: the relay's sockets: who comes in by which, and what is answered to plain HTTP."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from relay_local import crowd, information
from relay_local.connection import Connection
from relay_local.crowd import MAX_SESSION_CONNECTIONS, Crowd, at_most
from relay_local.door import SESSION_BURST, SESSION_PER_S, STRANGERS_BURST, STRANGERS_PER_S
from relay_local.hub import Hub
from relay_local.inlet import MAX_MESSAGE_BYTES, Inlet
from relay_local.outbox import REFILL_BELOW_BYTES
from relay_local.pacing import Meter
from relay_local.peer import Peer
from relay_local.posts import BLOCKED, taking_posts
from relay_local.regulations import Book

PING_INTERVAL_S = 30.0
DRAIN_S = 2.0

_websockets_log = logging.getLogger("relay.websockets")
_websockets_log.addHandler(logging.NullHandler())
_websockets_log.propagate = False  # what a client does wrong is the client's to know


class RelayServer:
    """All connections of one relay, over whichever sockets it listens on."""

    def __init__(self, hub: Hub, version: str) -> None:
        self._hub = hub
        self._version = version
        self._crowd = Crowd(hub.limits.max_connections)
        self._strangers = Meter(STRANGERS_BURST, STRANGERS_PER_S)

    async def listen_tcp(self, host: str, port: int, accepted: Collection[str]) -> Server:
        """Listen on TCP. Raises OSError."""
        posted = taking_posts(partial(self._post, accepted), self._is_blocked)
        handler = self._handler(accepted, None, self._strangers)
        counted = at_most(crowd.tcp_connections(), posted)
        return await serve(handler, host, port, **self._options(counted))

    async def listen_unix(
        self, path: Path, accepted: Collection[str], session: str | None = None
    ) -> Server:
        """Listen on a Unix socket; `session`: the only key that counts on it. Raises OSError."""
        if session is None:
            handler = self._handler(accepted, None, self._strangers)
            return await unix_serve(handler, str(path), **self._options(Inlet))
        handler = self._handler(accepted, session, Meter(SESSION_BURST, SESSION_PER_S))
        few = at_most(MAX_SESSION_CONNECTIONS, Inlet)
        return await unix_serve(handler, str(path), **self._options(few))

    async def drain(self) -> None:
        """Take nothing more in, and answer what has been: what had no OK is sent again."""
        self._hub.is_stopping = True
        await self._hub.ingest.idle()
        unsent = [asyncio.ensure_future(peer.sent()) for peer in self._hub.listeners]
        if unsent:
            _, late = await asyncio.wait(unsent, timeout=DRAIN_S)
            for task in late:  # of clients that do not read
                task.cancel()

    def _options(self, kind: type[ServerConnection]) -> dict[str, Any]:
        return {
            "create_connection": kind,
            "process_request": self._http,
            "compression": None,  # costs more time than a local socket's bytes
            "max_size": MAX_MESSAGE_BYTES,
            "write_limit": REFILL_BELOW_BYTES,
            "ping_interval": PING_INTERVAL_S,
            "ping_timeout": PING_INTERVAL_S,
            "close_timeout": 2.0,
            "server_header": None,
            "logger": _websockets_log,
        }

    async def _post(
        self, accepted: Collection[str], headers: dict[str, str], body: bytes
    ) -> information.Answer:
        return await self._hub.management.post(self._hub.world, accepted, headers, body)

    def _is_blocked(self, socket: ServerConnection) -> bool:
        blocked = _address(socket) in self._hub.management.regulations.of(Book.ADDRESSES)
        if blocked:
            self._hub.counts.turned_away["blocked address"] += 1
        return blocked

    def _http(self, socket: ServerConnection, request: Request) -> Response | None:
        if self._is_blocked(socket):
            return socket.respond(403, BLOCKED.body.decode())
        regulations = self._hub.management.regulations
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return None
        answer = information.answer(
            self._hub.world,
            self._version,
            request.method,
            request.headers.get("Accept"),
            self._hub.limits,
            regulations.of(Book.FACE),
        )
        headers = Headers(answer.headers)
        headers["Connection"] = "close"
        headers["Content-Length"] = str(len(answer.body))
        return Response(answer.status.value, answer.status.phrase, headers, answer.body)

    def _handler(self, accepted: Collection[str], session: str | None, shared: Meter) -> Any:
        return partial(self._serve, accepted=accepted, session=session, shared=shared)

    async def _serve(
        self,
        socket: Inlet,
        accepted: Collection[str],
        session: str | None,
        shared: Meter,
    ) -> None:
        limits = self._hub.limits
        machine = Connection(secrets.token_hex(16), accepted, session, limits, shared=shared)
        if session is not None:
            with self._crowd.of_session(session) as may:
                if may:
                    return await Peer(socket, machine, self._hub).converse()
            self._hub.counts.turned_away["second of a session"] += 1
            return await socket.close(1008, "a session has one connection at a time")
        with self._crowd.from_address(_address(socket)) as may:
            if may:
                return await Peer(socket, machine, self._hub).converse()
        self._hub.counts.turned_away["full address"] += 1
        return await socket.close(1013, "too many connections from this address")


def _address(socket: ServerConnection) -> str | None:
    peername = socket.remote_address  # a Unix socket's is no address
    return str(peername[0]) if isinstance(peername, tuple) else None


async def close_server(server: Server) -> None:
    """Stop listening and end the server's connections with 1001, going away."""
    server.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(5.0):
            await server.wait_closed()
