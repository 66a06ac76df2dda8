"""Shell: one public relay kept listening, so that nothing it has for us is missed.

    connection up ─► live REQ ─► EOSE ─► everything stored since `since`, page by page ─► complete
    every 30 s     live REQ again under a new name ─► EOSE within 10 s, else a new connection

A gift wrap's created_at lies up to two days in the past (NIP-17), so `since` is the wall clock of
the last healthy moment minus two days and a margin, never the newest event's time. A relay that
answers pings but serves nothing is found by the repeated REQ, whose EOSE is due.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import structlog

from bot.bridges.nostr.pool import Ended, Heard, Pool
from nips.event import Event
from nips.kinds import Kind
from nips.refusal import Prefix, Refusal

PROBE_PERIOD_S = 30.0
PROBE_DEADLINE_S = 10.0
PAGE_EVENTS = 1_000  # above about 1,500 some answers are cut without an error
MAX_PAGE_EVENTS = 100_000  # of a relay that does not keep to a limit
PAGE_DEADLINE_S = 60.0
BACKDATED_S = 2 * 86_400  # NIP-17: "randomize created_at in up to two days in the past"
MARGIN_S = 3_600

log = structlog.get_logger()


@dataclass(slots=True)
class Progress:
    """How many wraps were taken in, how many of them are stored, and whether there is room.

    change: set, and replaced, when a relay is there again.
    """

    offered: int = 0
    stored: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)
    change: asyncio.Event = field(default_factory=asyncio.Event)

    def came_back(self) -> None:
        """Tell whoever waits for a relay."""
        self.change.set()
        self.change = asyncio.Event()


@dataclass(slots=True)
class _Page:
    done: asyncio.Future[bool]
    created_at: dict[str, int] = field(default_factory=dict)


class Tending:
    """One relay's care. `run` works until cancelled; `hear` takes what the relay says.

    healthy_s: unix second up to which nothing of this relay was missed in an earlier run.
    """

    def __init__(
        self, pool: Pool, url: str, public_key: str, healthy_s: int | None, progress: Progress
    ) -> None:
        self._pool, self._url, self._public_key = pool, url, public_key
        self._healthy_s = min(healthy_s or int(time.time()), int(time.time()))
        self._known = healthy_s is not None
        self._progress = progress
        self._names = count(1)
        self._live = self._lists = ""
        self._pages: dict[str, _Page] = {}
        self._caught = asyncio.Event()
        self._complete = 0  # the connection whose stored events were all read
        self._missed = False
        self._mark: tuple[int, int] | None = None
        self.last_event_s: int | None = None

    async def run(self) -> None:
        """Keep the relay listening."""
        await self._listen()
        while True:
            try:
                async with asyncio.timeout(PROBE_PERIOD_S):
                    await self._caught.wait()
            except TimeoutError:
                if not await self._pool.connections(self._url):
                    continue  # the pool is connecting; its EOSE will wake us
                await self._listen()
                try:
                    async with asyncio.timeout(PROBE_DEADLINE_S):
                        await self._caught.wait()
                except TimeoutError:
                    log.warning("relay is deaf; connecting again", relay=self._url)
                    await self._pool.reconnect(self._url)
                    continue
            self._caught.clear()
            connection = await self._pool.connections(self._url)
            if connection != self._complete:
                self._progress.came_back()
            if connection != self._complete or self._missed:
                self._missed = False
                if not await self._read_stored():
                    continue
                self._complete = connection
            if self._mark is None and not self._missed:
                self._mark = (int(time.time()), self._progress.offered)

    def hear(self, note: Heard | Ended) -> None:
        """Take what this relay said."""
        page = self._pages.get(note.subscription)
        match note:
            case Heard(event=Event() as event):
                self.last_event_s = int(time.time())
                if page and len(page.created_at) < MAX_PAGE_EVENTS:
                    page.created_at[event.id] = event.created_at
            case Ended(reason=None):
                if page and not page.done.done():
                    page.done.set_result(True)
                elif note.subscription == self._live:
                    self._caught.set()
            case Ended(reason=str(reason)):
                # NIP-42's auth-required is answered by the pool, which then asks again.
                if Refusal.parse(reason).prefix is Prefix.AUTH_REQUIRED:
                    return
                log.info("relay closed a subscription", relay=self._url, reason=reason)
                if page and not page.done.done():
                    page.done.set_result(False)

    def missed(self) -> None:
        """Note that an event could not be taken in: what is stored will be read again."""
        self._missed = True

    def is_list(self, subscription: str) -> bool:
        """Say whether a subscription is the one of `follow_lists`."""
        return subscription == self._lists

    async def follow_lists(self, wanted: dict[str, Any]) -> None:
        """Replace the subscription to other people's lists."""
        former, self._lists = self._lists, f"lists-{next(self._names)}"
        await self._pool.subscribe(self._url, self._lists, wanted)
        if former:
            await self._pool.unsubscribe(self._url, former)

    @property
    def healthy_s(self) -> int | None:
        """Unix second up to which all that this relay had for us is stored; None: never yet."""
        if self._mark is not None and self._progress.stored >= self._mark[1]:
            self._healthy_s, self._known = self._mark[0], True
            self._mark = None
        return self._healthy_s if self._known else None

    async def _listen(self) -> None:
        former, self._live = self._live, f"live-{next(self._names)}"
        self._caught.clear()
        # One stored event is enough to make the relay answer; the pages bring the rest.
        await self._pool.subscribe(self._url, self._live, self._wanted() | {"limit": 1})
        if former:
            await self._pool.unsubscribe(self._url, former)

    def _wanted(self) -> dict[str, Any]:
        since = (self.healthy_s or self._healthy_s) - BACKDATED_S - MARGIN_S
        return {"kinds": [int(Kind.GIFT_WRAP)], "#p": [self._public_key], "since": max(since, 0)}

    async def _read_stored(self) -> bool:
        wanted = self._wanted() | {"limit": PAGE_EVENTS}
        seen: set[str] = set()
        while True:
            await self._progress.room.wait()
            found = await self._page(wanted)
            if found is None:
                log.warning("relay did not finish a page; it is read again", relay=self._url)
                return False
            if not found:
                log.info("relay is complete", relay=self._url, stored=len(seen))
                return True
            # NIP-01: until is inclusive, so events of one second may straddle two pages. A page
            # without news has shown the whole second, or all that the relay shows of it.
            news = found.keys() - seen
            oldest = min(found.values())
            if not news and oldest > wanted.get("until", oldest):
                return True  # this relay ignores `until`: there is nothing more to learn
            wanted["until"] = oldest if news else oldest - 1
            seen |= news

    async def _page(self, wanted: dict[str, Any]) -> dict[str, int] | None:
        name = f"page-{next(self._names)}"
        page = self._pages[name] = _Page(asyncio.get_running_loop().create_future())
        try:
            await self._pool.subscribe(self._url, name, wanted)
            async with asyncio.timeout(PAGE_DEADLINE_S):
                return page.created_at if await page.done else None
        except TimeoutError:
            return None
        finally:
            del self._pages[name]
            await self._pool.unsubscribe(self._url, name)
