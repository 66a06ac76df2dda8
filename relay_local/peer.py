"""Shell: one connection as long as it lasts: what its machine wants done is done here."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine
from typing import Any

import structlog

from nips.event import Event
from nips.frames import Ok, encode
from nips.refusal import Refusal
from relay_local.connection import Connection
from relay_local.effects import Cut, Effect, Listen, Search, Send, Submit, Tally, TurnAway, Unlisten
from relay_local.hub import Hub
from relay_local.ingest import Submission
from relay_local.inlet import Inlet
from relay_local.inquiries import told_of
from relay_local.negentropy import Gather, Reconcile
from relay_local.outbox import Outbox
from relay_local.regulations import Regulations
from relay_local.search import pages
from relay_local.world import World

MAX_SEARCHES = 8  # under way for one connection, which is not read further meanwhile

log = structlog.get_logger("relay")


class Peer:
    """One connection: its machine, its outbox, and what is being looked up for it."""

    def __init__(self, socket: Inlet, machine: Connection, hub: Hub) -> None:
        self._machine = machine
        self._outbox = Outbox(socket)
        self._socket = socket
        self._hub = hub
        self._searches: set[asyncio.Task[None]] = set()

    async def converse(self) -> None:
        """Serve the client until one of the two leaves."""
        expelling = asyncio.create_task(self._expel())
        self._hub.listeners.add(self)
        try:
            self._do_all(self._machine.opened())
            while messages := await self._socket.messages():
                for message in messages:
                    if not (self._hub.is_stopping or await self._take(message)):
                        return
        finally:
            self._hub.listeners.discard(self)
            self._machine.negotiations.clear()
            for name in self._machine.feeds.names():
                self._hub.subscriptions.remove((self, name))
            tasks = [expelling, *self._searches]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def hear(self, name: str, event: Event, body: bytes, seq: int | None, world: World) -> None:
        """Take a live event for a subscription."""
        self._do_all(self._machine.live(name, event, body, seq, world))

    def regulated(self, regulations: Regulations) -> None:
        """End the connection of somebody who has just been banned."""
        if regulations.shuts_out(self._machine.viewer.keys):
            self._outbox.cut()

    async def sent(self) -> None:
        """Wait until what has been said to the client is on its way."""
        await self._outbox.sent()

    async def _take(self, message: str | bytes) -> bool:
        """Do what one message asks; False when the connection is over."""
        hub = self._hub
        hub.counts.received += 1
        ingest, regulations = hub.ingest, hub.management.regulations
        effects = self._machine.received(message, ingest.world, hub.now_s(), ingest.last_seq)
        if regulations.shuts_out(self._machine.viewer.keys):
            await self._socket.close(1008, "this key is banned here")
            return False
        for effect in effects:
            if not isinstance(effect, Submit):
                self._do_at_once(effect)
            elif (refusal := regulations.objection(ingest.world, effect.event)) is not None:
                self._turn_away(effect.event.id, refusal)
            else:
                await ingest.submit(Submission(effect.event, effect.viewer, self._outbox.put))
        # Attack: REQs faster than they are answered, until nobody else's is.
        while len(self._searches) >= MAX_SEARCHES:
            await asyncio.wait(self._searches, return_when=asyncio.FIRST_COMPLETED)
        return True

    async def _expel(self) -> None:
        """End a connection that stays without saying who it is or listening for a request."""
        machine = self._machine
        while not machine.viewer.keys and not self._hub.world.public:
            await asyncio.sleep(self._hub.limits.unauthenticated_s)
            if not machine.viewer.keys and not machine.feeds.names():
                await self._socket.close(1008, "authenticate, or come back when you mean to")
                return

    def _turn_away(self, event_id: str, refusal: Refusal) -> None:
        self._hub.counts.turned_away[refusal.prefix] += 1
        self._outbox.put(encode(Ok(event_id, False, str(refusal))).encode())

    def _do_all(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._do_at_once(effect)

    def _do_at_once(self, effect: Effect) -> None:
        hub = self._hub
        match effect:
            case Send(frame):
                self._outbox.put(frame)
            case Listen(name, filters):
                hub.subscriptions.add((self, name), filters)
            case Unlisten(name):
                hub.subscriptions.remove((self, name))
            case Search():
                self._start(self._search(effect))
            case Tally():
                self._start(hub.inquiries.tally(self._machine, effect, self._do_all))
            case Gather():
                self._start(hub.inquiries.gather(self._machine, effect, self._do_all))
            case Reconcile():
                self._start(hub.inquiries.reconcile(self._machine, effect, self._do_all))
            case TurnAway(event_id, refusal):
                self._turn_away(event_id, refusal)
            case Cut(reason):
                hub.counts.cuts += 1
                log.warning("connection cut", reason=reason)
                self._outbox.cut()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._searches.add(task)
        task.add_done_callback(self._searches.discard)

    async def _search(self, search: Search) -> None:
        feeds, hub = self._machine.feeds, self._hub
        hub.words.disturb()
        try:
            if not search.scope.is_empty:
                if any(one.search is not None for one in search.filters):
                    await hub.words.catch_up(search.last)
                async for page in pages(hub.store, search, hub.now_s()):
                    self._outbox.put_all(feeds.found(search, page))
                    await self._outbox.low()
                    if not feeds.is_current(search):
                        return
                await hub.ingest.told()
            self._do_all(feeds.caught_up(search, hub.store.epoch))
        except sqlite3.Error as error:
            self._do_all(feeds.failed(search, told_of(error)))
