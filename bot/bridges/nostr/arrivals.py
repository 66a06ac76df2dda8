"""Shell: what the public relays bring, each event once, with no gap that goes unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import structlog

from bot.bridges.nostr.lookup import Lookup
from bot.bridges.nostr.notes import Ended, Heard
from bot.bridges.nostr.pool import Pool
from bot.bridges.nostr.relay_state import Health
from bot.bridges.nostr.tending import Pace, Progress, Tending
from nips.event import Event
from nips.kinds import Kind
from nips.refusal import Malformed

BATCH = 64
MAX_QUEUED = 20_000
MAX_QUEUED_BYTES = 64 << 20  # a stranger's wraps may have 400 kB each
TAG_BYTES, TEXT_BYTES = 56, 8  # of a tuple, and of each place in it
MAX_LISTS = 1_000
MAX_WATCHED = 100  # of up to 400 kB each
LISTS, WATCH = "lists", "watch-"  # topics, the second with a number behind it
MAX_SEEN = 100_000

log = structlog.get_logger()


class Arrivals(AbstractAsyncContextManager["Arrivals"]):
    """The pool's one reader.

    public_key: whose wraps. healthy: per relay the unix second up to which nothing was missed,
    from an earlier run. `lookup` answers what is asked once.
    """

    def __init__(
        self, pool: Pool, public_key: str, healthy: Mapping[str, int], pace: Pace | None = None
    ) -> None:
        self._pool, self._public_key = pool, public_key
        self._known_healthy, self._pace = healthy, pace or Pace()
        self._progress = Progress()
        self._progress.room.set()
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._queued_bytes = 0
        self._lists: asyncio.Queue[Event] = asyncio.Queue(MAX_LISTS)
        self._watched: asyncio.Queue[Event] = asyncio.Queue(MAX_WATCHED)
        self._standing: dict[str, dict[str, Any]] = {}  # topics of `Tending.follow`
        self._seen: dict[str, int] = {}
        self._tending = {url: self._tend(url) for url in pool.relays}
        self.lookup = Lookup(pool)
        self._group = asyncio.TaskGroup()
        self._reading: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._reading = self._group.create_task(self._read())
        for url, tending in self._tending.items():
            self._tasks[url] = self._group.create_task(tending.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._reading is not None
        for task in (self._reading, *self._tasks.values()):
            task.cancel()
        await self._group.__aexit__(kind, error, trace)

    async def listen_also(self, urls: Collection[str]) -> None:
        """Listen to exactly these besides the configured ones."""
        gone = [url for url, it in self._tending.items() if it.is_own and url not in urls]
        new = [url for url in urls if url not in self._tending]
        for url in gone:
            self._tasks.pop(url).cancel()
            del self._tending[url]
            await self._pool.remove(url)
        for url in new:
            try:
                await self._pool.add(url)
            except Malformed as error:
                log.warning("not listened to", reason=str(error))
                continue
            tending = self._tending[url] = self._tend(url, own=True)
            for topic, wanted in list(self._standing.items()):
                await tending.follow(topic, wanted)
            self._tasks[url] = self._group.create_task(tending.run())
        if gone or new:
            self._progress.changed()

    async def wraps(self) -> AsyncIterator[tuple[Event, ...]]:
        """Yield gift wraps for us, each id once, a few at a time.

        Coming back for more says that those before are stored: only then does a relay's
        `healthy` move past them.
        """
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            yield tuple(batch)
            self._progress.stored += len(batch)
            self._queued_bytes -= sum(map(size_of, batch))
            if not self._is_filled(1 / 2):
                self._progress.room.set()

    async def follow_lists(self, authors: Iterable[str]) -> None:
        """Ask every relay for profiles and inbox lists of `authors`, stored and new."""
        wanted = {
            "kinds": [int(Kind.PROFILE), int(Kind.INBOX_RELAYS)],
            "authors": sorted(authors),
        }
        await self._follow(LISTS, wanted)

    async def lists(self) -> AsyncIterator[Event]:
        """Yield what `follow_lists` brings, from each relay."""
        while True:
            yield await self._lists.get()

    async def watch(self, filters: Sequence[Mapping[str, Any]]) -> None:
        """Ask every relay for what matches one of these, stored and new, and for nothing else that
        was asked for so before."""
        topics = {f"{WATCH}{number}": dict(one) for number, one in enumerate(filters)}
        former = [topic for topic in self._standing if topic.startswith(WATCH)]
        for topic in former:
            if topic not in topics:
                await self._follow(topic, None)
        for topic, wanted in topics.items():
            if self._standing.get(topic) != wanted:
                await self._follow(topic, wanted)

    async def watched(self) -> AsyncIterator[Event]:
        """Yield what `watch` brings, from each relay, as it comes: nothing about it is checked."""
        while True:
            yield await self._watched.get()

    @property
    def back(self) -> asyncio.Event:
        """Set when a relay is there again. Take it before looking, then wait."""
        return self._progress.back

    @property
    def change(self) -> asyncio.Event:
        """Set when a relay's health is another. Take it before looking, then wait."""
        return self._progress.change

    def health(self) -> dict[str, Health]:
        """How each relay that is listened to is doing."""
        return {url: tending.health for url, tending in self._tending.items()}

    async def _follow(self, topic: str, wanted: dict[str, Any] | None) -> None:
        if wanted is None:
            self._standing.pop(topic, None)
        else:
            self._standing[topic] = wanted
        for tending in list(self._tending.values()):
            await tending.follow(topic, wanted)

    def _tend(self, url: str, *, own: bool = False) -> Tending:
        return Tending(
            self._pool,
            url,
            self._public_key,
            self._known_healthy.get(url),
            self._progress,
            self._seen.items,
            self._pace,
            own=own,
        )

    async def _read(self) -> None:
        async for note in self._pool.notes():
            if isinstance(note, Heard | Ended) and self.lookup.hear(note):
                continue
            if (tending := self._tending.get(note.url)) is None:
                continue  # it was listened to until now
            tending.hear(note)
            match note:
                case Heard(_, subscription, event):
                    match tending.topic_of(subscription):
                        case None:
                            self._take(tending, event)
                        case topic:
                            self._put(topic, event)
                case _:
                    pass

    def _put(self, topic: str, event: Event) -> None:
        # Of a flood the rest is dropped: what counts is asked for again.
        if topic == LISTS:
            if event.kind in (Kind.PROFILE, Kind.INBOX_RELAYS) and not self._lists.full():
                self._lists.put_nowait(event)
        elif not self._watched.full():
            self._watched.put_nowait(event)

    def _take(self, tending: Tending, event: Event) -> None:
        # A relay may send what nobody asked for; only wraps for us get any further.
        if event.kind != Kind.GIFT_WRAP or self._public_key not in event.values("p"):
            return
        # Attack: a changed copy of a wrap whose id the SDK knows, and so checks no more, is taken
        # for the wrap itself.
        if not tending.believes(event) or event.id in self._seen:
            return
        if self._is_filled(1):
            tending.missed()
            return
        self._seen[event.id] = event.created_at
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        self._progress.offered += 1
        self._queue.put_nowait(event)
        self._queued_bytes += size_of(event)
        if self._is_filled(1 / 2):
            self._progress.room.clear()

    def _is_filled(self, part: float) -> bool:
        return (
            self._queue.qsize() >= part * MAX_QUEUED
            or self._queued_bytes >= part * MAX_QUEUED_BYTES
        )


def size_of(event: Event) -> int:
    """About how many bytes it takes in memory. Attack: 1,900 tags of one letter in 12 kB, which
    take 100 kB here."""
    return len(event.content) + sum(
        TAG_BYTES + TEXT_BYTES * len(tag) + sum(map(len, tag)) for tag in event.tags
    )
