"""Shell: the words of what is stored, indexed when nobody waits for the writer.

An event's OK does not wait for its words. They follow once the relay has been quiet for a
moment, or much has gathered, or a search asks: a search first has everything indexed that was
stored before it, so it never misses what its client has just written.
"""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial

import structlog

from relay_local.store import Store
from relay_local.transaction import Transaction
from relay_local.words import words_of

BATCH = 64  # events in one transaction: what an event stored meanwhile waits for
QUIET_S = 0.25
MAX_BACKLOG = 50_000  # events; beyond, they are indexed among the writes

log = structlog.get_logger("relay")


class WordIndex:
    """The index's progress. `last_seq`: the newest event that is stored."""

    def __init__(self, store: Store, last_seq: int) -> None:
        self._store = store
        self._last_seq = last_seq
        self._done = 0
        self._stored = asyncio.Event()
        self._stored.set()  # what an earlier process stored may not be indexed yet
        self._stored_at_s = 0.0
        self._working = asyncio.Lock()

    def stored(self, seq: int) -> None:
        """Tell of a new event."""
        self._last_seq = seq
        self._stored_at_s = asyncio.get_running_loop().time()
        self._stored.set()

    async def catch_up(self, up_to: int) -> None:
        """Have everything indexed up to an arrival number. Raises sqlite3.Error."""
        while self._done < up_to:
            async with self._working:
                if self._done < up_to:
                    work = partial(Transaction.index_words, limit=BATCH, words_of=words_of)
                    self._done = await self._store.write(work)

    async def run(self) -> None:
        """Index in quiet moments, until cancelled."""
        while True:
            await self._stored.wait()
            self._stored.clear()
            await self._quiet()
            try:
                await self.catch_up(min(self._done + BATCH, self._last_seq))
            except sqlite3.Error as error:  # tried again with the next event, or by a search
                log.error("words not indexed", error=str(error))
                continue
            if self._done < self._last_seq:
                self._stored.set()

    async def _quiet(self) -> None:
        """Wait until nothing has been stored for a moment; looked at once a moment, because to
        be woken by every event would cost more than to index it."""
        now_s = asyncio.get_running_loop().time
        while self._last_seq - self._done < MAX_BACKLOG:
            left_s = self._stored_at_s + QUIET_S - now_s()
            if left_s <= 0:
                return
            await asyncio.sleep(left_s)
