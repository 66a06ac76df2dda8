"""Shell: the relay's sockets: each connection's machine, its outbox, and what it asks for."""

from __future__ import annotations

import asyncio
import logging
import resource
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from nips.event import Event
from nips.frames import Ok, encode
from relay_local import information
from relay_local.connection import (
    Connection,
    Cut,
    Effect,
    Listen,
    Search,
    Send,
    Submit,
    Tally,
    Unlisten,
)
from relay_local.door import SESSION_BURST, SESSION_PER_S, STRANGERS_BURST, STRANGERS_PER_S
from relay_local.ingest import Ingest, Submission
from relay_local.inquiries import Inquiries
from relay_local.limits import Limits
from relay_local.management import Management
from relay_local.negentropy import Gather, Reconcile
from relay_local.outbox import REFILL_BELOW_BYTES, Outbox
from relay_local.pacing import Meter
from relay_local.posts import taking_posts
from relay_local.regulations import Book, Regulations
from relay_local.search import pages
from relay_local.store import Store
from relay_local.subscriptions import Subscriptions
from relay_local.word_index import WordIndex

# Above the limit of a frame, so that one somewhat too large is answered and not cut off.
MAX_MESSAGE_BYTES = 4 << 20
PING_INTERVAL_S = 30.0
DRAIN_S = 2.0
MAX_SEARCHES = 8  # under way for one connection, which is not read further meanwhile
MAX_SESSION_CONNECTIONS = 4  # with those that have not said what they want
RESERVED_FILES = 256  # descriptors for the parts, the sessions and the store

log = structlog.get_logger("relay")
_websockets_log = logging.getLogger("relay.websockets")
_websockets_log.addHandler(logging.NullHandler())
_websockets_log.propagate = False  # what a client does wrong is the client's to know


class Peer:
    """One connection: its machine, its outbox, and the searches that run for it."""

    def __init__(self, machine: Connection, outbox: Outbox) -> None:
        self.machine = machine
        self.outbox = outbox
        self.searches: set[asyncio.Task[None]] = set()


class RelayServer:
    """All connections of one relay, over whichever sockets it listens on."""

    def __init__(
        self,
        store: Store,
        words: WordIndex,
        now_s: Callable[[], int],
        version: str,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.limits = limits
        self.cuts = self.received = self.delivered = 0
        self._peers: set[Peer] = set()
        self._per_address: Counter[str] = Counter()
        self._is_stopping = False
        self._store = store
        self._words = words
        self._inquiries = Inquiries(store, words, now_s)
        self._now_s = now_s
        self._version = version
        self._subscriptions: Subscriptions[tuple[Peer, str]] = Subscriptions()
        self._ingest: Ingest | None = None
        self._sessions_present: set[str] = set()
        self._strangers = Meter(STRANGERS_BURST, STRANGERS_PER_S)
        self.management = Management(store, now_s, self._regulated)

    @property
    def ingest(self) -> Ingest:
        """The way in; set once, before the first socket listens."""
        assert self._ingest is not None
        return self._ingest

    @ingest.setter
    def ingest(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def listen_tcp(self, host: str, port: int, accepted: Collection[str]) -> Server:
        """Listen on TCP. Raises OSError."""
        posted = taking_posts(partial(self._post, accepted))
        handler = self._handler(accepted, None, self._strangers)
        counted = at_most(_tcp_connections(), posted)
        return await serve(handler, host, port, **self._options(counted))

    async def listen_unix(
        self, path: Path, accepted: Collection[str], session: str | None = None
    ) -> Server:
        """Listen on a Unix socket; `session`: the only key that counts on it. Raises OSError."""
        if session is None:
            handler = self._handler(accepted, None, self._strangers)
            return await unix_serve(handler, str(path), **self._options(None))
        handler = self._handler(accepted, session, Meter(SESSION_BURST, SESSION_PER_S))
        few = at_most(MAX_SESSION_CONNECTIONS, ServerConnection)
        return await unix_serve(handler, str(path), **self._options(few))

    def deliver(self, event: Event, body: bytes, seq: int | None) -> None:
        """Queue an event to everybody who listens for it and may see it."""
        world = self.ingest.world
        if seq is not None:
            self._words.stored(seq)
        for peer, name in self._subscriptions.recipients(event):
            self.delivered += 1
            for effect in peer.machine.live(name, event, body, seq, world):
                self._do_at_once(peer, effect)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._peers)

    @property
    def subscriptions(self) -> int:
        """How many filters' sets are live."""
        return len(self._subscriptions)

    async def drain(self) -> None:
        """Take nothing more in, and answer what has been: what had no OK is sent again."""
        self._is_stopping = True
        await self.ingest.idle()
        unsent = [asyncio.ensure_future(peer.outbox.sent()) for peer in self._peers]
        if unsent:
            _, late = await asyncio.wait(unsent, timeout=DRAIN_S)
            for task in late:  # of clients that do not read
                task.cancel()

    def _options(self, kind: type[ServerConnection] | None) -> dict[str, Any]:
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
        return await self.management.post(self.ingest.world, accepted, headers, body)

    def _regulated(self, regulations: Regulations) -> None:
        """A ruling counts at once, for those who are here too."""
        for peer in list(self._peers):
            if regulations.shuts_out(peer.machine.viewer.keys):
                peer.outbox.cut()

    def _http(self, socket: ServerConnection, request: Request) -> Response | None:
        regulations = self.management.regulations
        peername = socket.remote_address
        if isinstance(peername, tuple) and str(peername[0]) in regulations.of(Book.ADDRESSES):
            return socket.respond(403, "This address is blocked here.\n")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return None
        answer = information.answer(
            self.ingest.world,
            self._version,
            request.method,
            request.headers.get("Accept"),
            self.limits,
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
        socket: ServerConnection,
        accepted: Collection[str],
        session: str | None,
        shared: Meter,
    ) -> None:
        machine = Connection(secrets.token_hex(16), accepted, session, shared=shared)
        if session is None:
            await self._serve_address(socket, machine)
        elif session in self._sessions_present:
            # Many connections of one container would be many readers' load.
            await socket.close(1008, "a session has one connection at a time")
        else:
            self._sessions_present.add(session)
            try:
                await self._converse(socket, machine)
            finally:
                self._sessions_present.discard(session)

    async def _serve_address(self, socket: ServerConnection, machine: Connection) -> None:
        peername = socket.remote_address  # a Unix socket's is no address
        address = str(peername[0]) if isinstance(peername, tuple) else ""
        if address and self._per_address[address] >= self.limits.max_connections:
            # One neighbour must not take every descriptor there is.
            await socket.close(1013, "too many connections from this address")
            return
        self._per_address[address] += 1
        try:
            await self._converse(socket, machine)
        finally:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]

    async def _expel(self, peer: Peer, socket: ServerConnection) -> None:
        """End a connection that stays without saying who it is or listening for a request."""
        while not peer.machine.viewer.keys:
            await asyncio.sleep(self.limits.unauthenticated_s)
            if not peer.machine.viewer.keys and not peer.machine.subscriptions():
                await socket.close(1008, "authenticate, or come back when you mean to")
                return

    async def _converse(self, socket: ServerConnection, machine: Connection) -> None:
        peer = Peer(machine, Outbox(socket))
        self._peers.add(peer)
        if not self.ingest.world.public:
            self._start(peer, self._expel(peer, socket))
        try:
            for effect in machine.opened():
                self._do_at_once(peer, effect)
            async for message in socket:
                if self._is_stopping:
                    continue
                self.received += 1
                ingest = self.ingest
                effects = machine.received(message, ingest.world, self._now_s(), ingest.last_seq)
                if self.management.regulations.shuts_out(machine.viewer.keys):
                    await socket.close(1008, "this key is banned here")
                    break
                for effect in effects:
                    if isinstance(effect, Submit):
                        refusal = self.management.regulations.objection(ingest.world, effect.event)
                        if refusal is not None:
                            ok = Ok(effect.event.id, False, str(refusal))
                            peer.outbox.put(encode(ok).encode())
                            continue
                        submission = Submission(effect.event, effect.viewer, peer.outbox.put)
                        await ingest.submit(submission)
                    else:
                        self._do_at_once(peer, effect)
                # Attack: REQs faster than they are answered, until nobody else's is.
                while len(peer.searches) >= MAX_SEARCHES:
                    await asyncio.wait(peer.searches, return_when=asyncio.FIRST_COMPLETED)
        except ConnectionClosed:
            pass
        finally:
            self._peers.discard(peer)
            machine.negotiations.clear()
            for name in machine.subscriptions():
                self._subscriptions.remove((peer, name))
            for task in peer.searches:
                task.cancel()
            await asyncio.gather(*peer.searches, return_exceptions=True)

    def _start(self, peer: Peer, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        peer.searches.add(task)
        task.add_done_callback(peer.searches.discard)

    def _do_at_once(self, peer: Peer, effect: Effect) -> None:
        do = partial(self._do_all, peer)
        match effect:
            case Send(frame):
                peer.outbox.put(frame)
            case Listen(name, filters):
                self._subscriptions.add((peer, name), filters)
            case Unlisten(name):
                self._subscriptions.remove((peer, name))
            case Search():
                self._start(peer, self._search(peer, effect))
            case Tally():
                self._start(peer, self._inquiries.tally(peer.machine, effect, do))
            case Gather():
                self._start(peer, self._inquiries.gather(peer.machine, effect, do))
            case Reconcile():
                self._start(peer, self._inquiries.reconcile(peer.machine, effect, do))
            case Cut(reason):
                self.cuts += 1
                log.warning("connection cut", reason=reason)
                peer.outbox.cut()

    async def _search(self, peer: Peer, search: Search) -> None:
        machine = peer.machine
        try:
            if not search.scope.is_empty:
                if any(one.search is not None for one in search.filters):
                    await self._words.catch_up(search.last)
                async for page in pages(self._store, search, self._now_s()):
                    self._do_all(peer, machine.found(search, page))
                    await peer.outbox.low()
                    if not machine.is_current(search):
                        return
            self._do_all(peer, machine.caught_up(search, self._store.epoch))
        except sqlite3.Error as error:
            log.error("search failed", error=str(error))
            self._do_all(peer, machine.failed(search, "the relay could not read its store"))

    def _do_all(self, peer: Peer, effects: list[Effect]) -> None:
        for effect in effects:
            self._do_at_once(peer, effect)


def at_most(most: int, kind: type[ServerConnection]) -> type[ServerConnection]:
    """A `kind` of connection of which a server has `most`; what comes beyond is ended at once.

    Attack: connections that are opened and left, until the process has no descriptor for
    anybody else. They count from the first byte, long before there is anyone to ask.
    """

    class Counted(kind):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if len(self.server.handler_tasks) > most:
                self.transport.abort()

    return Counted


def _tcp_connections() -> int:
    return max(RESERVED_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FILES)


async def close_server(server: Server) -> None:
    """Stop listening and end the server's connections with 1001, going away."""
    server.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(server.wait_closed(), 5.0)
