"""Shell: what the public relays bring, each event once, with no gap that goes unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

from bot.bridges.nostr.lookup import Lookup
from bot.bridges.nostr.pool import Ended, Heard, Pool
from bot.bridges.nostr.tending import Progress, Tending
from nips.event import Event
from nips.kinds import Kind

BATCH = 64
MAX_QUEUED = 20_000
MAX_QUEUED_BYTES = 64 << 20  # a stranger's wraps may have 400 kB each
MAX_LISTS = 1_000
MAX_SEEN = 100_000


class Arrivals(AbstractAsyncContextManager["Arrivals"]):
    """The pool's one reader.

    public_key: whose wraps. healthy: per relay the unix second up to which nothing was missed,
    from an earlier run. `lookup` answers what is asked once.
    """

    def __init__(self, pool: Pool, public_key: str, healthy: Mapping[str, int]) -> None:
        self._pool = pool
        self._public_key = public_key
        self._progress = Progress()
        self._progress.room.set()
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._queued_bytes = 0
        self._lists: asyncio.Queue[Event] = asyncio.Queue(MAX_LISTS)
        self._seen: dict[str, None] = {}
        self._tending = {
            url: Tending(pool, url, public_key, healthy.get(url), self._progress)
            for url in pool.relays
        }
        self.lookup = Lookup(pool)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks.append(asyncio.create_task(self._read()))
        self._tasks += [asyncio.create_task(tending.run()) for tending in self._tending.values()]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wraps(self) -> AsyncIterator[tuple[Event, ...]]:
        """Yield gift wraps for us, each id once, a few at a time; not verified.

        Coming back for more says that those before are stored: only then does a relay's
        `healthy` move past them.
        """
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            yield tuple(batch)
            self._progress.stored += len(batch)
            self._queued_bytes -= sum(map(_size, batch))
            if not self._is_filled(1 / 2):
                self._progress.room.set()

    async def follow_lists(self, authors: Iterable[str]) -> None:
        """Ask every relay for profiles and inbox lists of `authors`, stored and new."""
        wanted = {
            "kinds": [int(Kind.PROFILE), int(Kind.INBOX_RELAYS)],
            "authors": sorted(authors),
        }
        for tending in self._tending.values():
            await tending.follow_lists(wanted)

    async def lists(self) -> AsyncIterator[Event]:
        """Yield what `follow_lists` brings, from each relay; not verified."""
        while True:
            yield await self._lists.get()

    @property
    def change(self) -> asyncio.Event:
        """Set when a relay is there again. Take it before looking, then wait."""
        return self._progress.change

    async def status(self) -> dict[str, dict[str, Any]]:
        """What each configured relay is doing; `healthy_s` is the unix second up to which all
        that it had for us is stored, None when that was never so."""
        return {
            url: {
                "connections": await self._pool.connections(url),
                "healthy_s": tending.healthy_s,
                "last_event_s": tending.last_event_s,
            }
            for url, tending in self._tending.items()
        }

    async def _read(self) -> None:
        async for note in self._pool.notes():
            if self.lookup.hear(note):
                continue
            tending = self._tending[note.url]
            tending.hear(note)
            match note:
                case Heard(_, subscription, event) if tending.is_list(subscription):
                    # Of a flood the rest is dropped: what counts is asked for again.
                    if event.kind in (Kind.PROFILE, Kind.INBOX_RELAYS) and not self._lists.full():
                        self._lists.put_nowait(event)
                case Heard(_, _, event):
                    self._take(tending, event)
                case Ended():
                    pass

    def _take(self, tending: Tending, event: Event) -> None:
        # A relay may send what nobody asked for; only wraps for us get any further.
        if event.kind != Kind.GIFT_WRAP or self._public_key not in event.values("p"):
            return
        if event.id in self._seen:
            return
        if self._is_filled(1):
            tending.missed()
            return
        self._seen[event.id] = None
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        self._progress.offered += 1
        self._queue.put_nowait(event)
        self._queued_bytes += _size(event)
        if self._is_filled(1 / 2):
            self._progress.room.clear()

    def _is_filled(self, part: float) -> bool:
        return (
            self._queue.qsize() >= part * MAX_QUEUED
            or self._queued_bytes >= part * MAX_QUEUED_BYTES
        )


def _size(event: Event) -> int:
    return len(event.content) + sum(len(text) for tag in event.tags for text in tag)
