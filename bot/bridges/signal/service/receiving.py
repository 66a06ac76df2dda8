"""Shell: what the Signal service has received for us, batch after batch, for as long as we run.

    /v1/about ─┬─ normal, native ─► a poll ─► batch ─► a pause ─► a poll …
        ▲      └─ json-rpc ───────► a websocket ─► batch ─► batch …
        └────────── a growing pause ◄── away ◄── any failure

The service deletes what it hands out. So the next poll begins when the caller comes back for the
next batch, which is after it has written the last one down: a crash loses one batch. A websocket
cannot be held back so, because the service drops what is not taken at once: a crash loses what was
read and not yet written down, and what comes while nobody listens is lost to us.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from bot.bridges.pauses import pause_s
from bot.bridges.signal.service.ahead import Ahead
from bot.bridges.signal.service.rest import Service
from bot.bridges.signal.service.salvage import salvage
from bot.bridges.signal.service.shapes import About, Rejected, ServiceError, Unreachable

POLL_S = 1.0
WAIT_S = 1  # of the service for another message; it sends nothing meanwhile
MAX_MESSAGES = 20  # a batch: what a crash loses
GRACE_S = 12.0  # for the poll under way at the end; the supervisor kills after 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
POLLED, STREAMED = frozenset({"normal", "native"}), "json-rpc"

Batch = tuple[Mapping[str, Any], ...]
log = structlog.get_logger()


class State(StrEnum):
    """What the service is to us now."""

    WAITING = "waiting"
    LISTENING = "listening"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Health:
    """How it is. reason: why it is away, in a sentence. since_s: the unix second since when.
    about: what the service last said of itself.
    """

    state: State
    reason: str
    since_s: int
    about: About | None


@dataclass(slots=True)
class Counts:
    """Items received; of them found in what was no array; that began and could not be read; polls
    that were asked and not answered, with each of which a batch may have gone.
    """

    received: int = 0
    salvaged: int = 0
    lost: int = 0
    broken: int = 0


class Receiving:
    """`async for batch in receiving`: items as they are, never an empty batch. Once at a time.

    Come back for the next batch when the last one is written down. Cancelled in the midst of a poll
    it waits for that poll's answer, hands out its batch and ends then.
    number: our own. poll_s: between two polls where the first brought little.
    """

    def __init__(
        self,
        service: Service,
        number: str,
        *,
        poll_s: float = POLL_S,
        max_messages: int = MAX_MESSAGES,
        grace_s: float = GRACE_S,
    ) -> None:
        self._service, self._number = service, number
        self._poll_s, self._max_messages, self._grace_s = poll_s, max_messages, grace_s
        self._attempt, self._is_ending = 0, False
        self._change = asyncio.Event()
        self.health = Health(State.WAITING, "", int(time.time()), None)
        self.counts = Counts()

    @property
    def change(self) -> asyncio.Event:
        """Set when the health is another. Take it before looking, then wait."""
        return self._change

    async def __aiter__(self) -> AsyncIterator[Batch]:
        """Batch after batch, until cancelled; never raises ServiceError."""
        while True:
            try:
                about = await self._service.about()
                async with aclosing(self._source(about)) as source:
                    async for batch in source:
                        # Attack: a service that gives out a hundred thousand at once. Others' work
                        # goes on in between.
                        for start in range(0, len(batch), self._max_messages):
                            yield batch[start : start + self._max_messages]
            except ServiceError as error:
                self._to(State.AWAY, str(error), self.health.about)
            await asyncio.sleep(pause_s(self._attempt, FIRST_PAUSE_S, LONGEST_PAUSE_S))
            self._attempt += 1

    def _source(self, about: About) -> AsyncGenerator[Batch, None]:
        if about.mode in POLLED:
            return self._polled(about)
        if about.mode == STREAMED:
            return self._streamed(about)
        raise ServiceError("The Signal service is in a mode that is not known here.")

    async def _polled(self, about: About) -> AsyncGenerator[Batch, None]:
        while not self._is_ending:
            text = await self._poll()
            self._to(State.LISTENING, "", about)
            batch = self._items(text)
            if batch:
                yield batch
            if len(batch) < self._max_messages and not self._is_ending:
                await asyncio.sleep(self._poll_s)
        raise asyncio.CancelledError

    async def _poll(self) -> str:
        """One poll. Broken off it loses what it would have brought: who is cancelled meanwhile is
        cancelled afterwards.
        """
        asked = self._service.receive(
            self._number, timeout_s=WAIT_S, max_messages=self._max_messages
        )
        poll = asyncio.create_task(asked)
        try:
            try:
                return await asyncio.shield(poll)
            except asyncio.CancelledError:
                await asyncio.wait([poll], timeout=self._grace_s)
                if not poll.done() or poll.cancelled() or poll.exception():
                    raise
                self._is_ending = True
                return poll.result()
        except (Rejected, Unreachable):
            raise
        except ServiceError:
            self.counts.broken += 1
            raise
        finally:
            poll.cancel()

    async def _streamed(self, about: About) -> AsyncGenerator[Batch, None]:
        def opened() -> None:
            self._to(State.LISTENING, "", about)

        async with Ahead(self._service.stream(self._number, opened=opened)) as ahead:
            while texts := await ahead.next(self._max_messages):
                if batch := tuple(item for text in texts for item in self._items(text)):
                    yield batch
        raise ServiceError("The Signal service closed the connection.")

    def _items(self, text: str) -> Batch:
        found = salvage(text)
        self.counts.received += len(found.items)
        self.counts.salvaged += found.n_salvaged
        self.counts.lost += found.n_lost
        if found.n_salvaged or found.n_lost:
            log.warning("salvaged", n_found=found.n_salvaged, n_lost=found.n_lost)
        return found.items

    def _to(self, state: State, reason: str, about: About | None) -> None:
        if state is State.LISTENING:
            self._attempt = 0
        before = self.health
        if (state, reason, about) == (before.state, before.reason, before.about):
            return
        since_s = before.since_s if state is before.state else int(time.time())
        self.health = Health(state, reason, since_s, about)
        log.info("signal service", state=str(state), reason=reason)
        self._change.set()
        self._change = asyncio.Event()
