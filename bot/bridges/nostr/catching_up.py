"""Shell: what one public relay stores for us, all of it, read after every connection.

    NIP-77  our ids and its ids compared ─► those that we lack, by id
    else    page by page, newest first, each ended by its EOSE

A page counts only with its EOSE. Of an id that we hold nothing is asked again. A relay that names
an event and then does not send it, or not with its signature, is told of, once for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import structlog

from bot.bridges.nostr.pool import Pool
from bot.bridges.nostr.relay_state import Fault, State, closed
from nips.event import Event

PAGE_EVENTS = 1_000  # above about 1,500 some answers are cut without an error
PAGE_IDS = 200  # a REQ of so many ids stays below 16 kB, as some relays want it
MAX_OWED = 5_000
MAX_PAGE_EVENTS = 100_000  # of a relay that does not keep to a limit
MAX_STORED = 300_000  # of a relay that has always one page more

# Gives id and created_at of every wrap that was taken in.
Held = Callable[[], Iterable[tuple[str, int]]]

log = structlog.get_logger()


@dataclass(slots=True)
class _Page:
    done: asyncio.Future[str | None]
    beat: asyncio.Event = field(default_factory=asyncio.Event)
    created_at: dict[str, int] = field(default_factory=dict)


class CatchingUp:
    """room: set while there is room for what comes. page_deadline_s: how long a page may be
    silent."""

    def __init__(
        self, pool: Pool, url: str, held: Held, room: asyncio.Event, page_deadline_s: float
    ) -> None:
        self._pool, self._url, self._held = pool, url, held
        self._room, self._deadline_s = room, page_deadline_s
        self._names = count(1)
        self._pages: dict[str, _Page] = {}
        self._has_read, self._compares = False, True
        self._owed: dict[str, None] = {}
        self._new: dict[str, None] = {}  # heard outside of pages since a page was asked for

    def hear(self, name: str, event: Event) -> None:
        """Take an event of this relay's, under any subscription."""
        page = self._pages.get(name)
        if page is None:
            self._new[event.id] = None
            if len(self._new) > MAX_PAGE_EVENTS:
                del self._new[next(iter(self._new))]
        elif not page.done.done():
            page.beat.set()
            if len(page.created_at) < MAX_PAGE_EVENTS:
                page.created_at[event.id] = event.created_at

    def end(self, name: str, reason: str | None) -> None:
        """Take an EOSE (None) or CLOSED, of any subscription but the live one."""
        if (page := self._pages.get(name)) is None:
            return
        if not page.done.done():
            page.done.set_result(reason)

    async def run(self, wanted: dict[str, Any]) -> Fault | None:
        """Read all that matches; what is wrong where it cannot be read to its end."""
        # The first time there is little to compare with, and who does not speak it is slow to say.
        if self._has_read and self._compares:
            held = dict(self._held())
            missing = await self._pool.missing(self._url, wanted, held.items())
            if missing is not None:
                return await self._read_ids([id_ for id_ in missing if id_ not in held])
            self._compares = False
        fault = await self._read_pages(wanted)
        self._has_read = self._has_read or fault is None
        return fault

    async def _read_ids(self, missing: Sequence[str]) -> Fault | None:
        # What it owes is asked for each time: a relay that has changed what it sent may send it
        # whole later, and no other may have it.
        for first in range(0, len(missing), PAGE_IDS):
            await self._room.wait()
            wanted = missing[first : first + PAGE_IDS]
            found = await self._page({"ids": wanted})
            if isinstance(found, Fault):
                return found
            if owed := [id_ for id_ in wanted if id_ not in found and id_ not in self._owed]:
                self._owed |= dict.fromkeys(owed)
                for old in list(self._owed)[:-MAX_OWED]:
                    del self._owed[old]
                few = f"{len(owed)} events that it names, as {owed[0][:8]}, it does not send whole"
                return Fault(State.FORGING, few)
        log.info("relay is complete", relay=self._url, lacked=len(missing))
        return None

    async def _read_pages(self, wanted: dict[str, Any]) -> Fault | None:
        wanted = wanted | {"limit": PAGE_EVENTS}
        seen: set[str] = set()
        while True:
            await self._room.wait()
            self._new.clear()
            found = await self._page(wanted)
            if isinstance(found, Fault):
                return found
            if not found:
                log.info("relay is complete", relay=self._url, stored=len(seen))
                return None
            # What is new comes under the live REQ and, around the page's EOSE, as if it were of
            # the page: an old date of it would end the page at the wrong place, and what lies
            # between be read by nobody. Behind one more answer both copies are there.
            fence = await self._page(wanted | {"limit": 1})
            if isinstance(fence, Fault):
                return fence
            found = {id_: at for id_, at in found.items() if id_ not in self._new}
            if not found:
                continue
            # NIP-01: until is inclusive, so events of one second may straddle two pages. A page
            # without news has shown the whole second, or all that the relay shows of it.
            news = found.keys() - seen
            oldest = min(found.values())
            if not news and oldest > wanted.get("until", oldest):
                return None  # this relay ignores `until`: there is nothing more to learn
            wanted["until"] = oldest if news else oldest - 1
            seen |= news
            if len(seen) > MAX_STORED:
                return Fault(State.DEAF, "what it stores has no end")

    async def _page(self, wanted: dict[str, Any]) -> dict[str, int] | Fault:
        name = f"page-{next(self._names)}"
        page = self._pages[name] = _Page(asyncio.get_running_loop().create_future())
        beating = asyncio.create_task(self._silence(page))
        try:
            await self._pool.subscribe(self._url, name, wanted)
            both: set[asyncio.Future[Any]] = {page.done, beating}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not page.done.done():
                return Fault(State.DEAF, f"a page was silent for {self._deadline_s:g} s")
            reason = page.done.result()
            return page.created_at if reason is None else closed(reason)
        finally:
            beating.cancel()
            del self._pages[name]
            await self._pool.unsubscribe(self._url, name)

    async def _silence(self, page: _Page) -> None:
        """Return once nothing has come for too long."""
        while True:
            page.beat.clear()
            try:
                async with asyncio.timeout(self._deadline_s):
                    await page.beat.wait()
            except TimeoutError:
                return
