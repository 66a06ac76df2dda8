"""Shell: the words of what is stored, indexed when nobody waits for anything.

An event's OK does not wait for its words. They follow once the relay has been quiet for a
moment, a few at a time while it is not, or when a search asks: it first has everything indexed
that was stored before it, so it never misses what its client has just written.
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
FEW = 16  # events in as long a moment that was not quiet: a hundredth of the writer's time

log = structlog.get_logger("relay")


class WordIndex:
    """The index's progress. `last_seq`: the newest event that is stored."""

    def __init__(self, store: Store, last_seq: int) -> None:
        self._store = store
        self._last_seq = last_seq
        self._done = 0
        self._disturbances = 0
        self._stored = asyncio.Event()
        self._stored.set()  # what an earlier process stored may not be indexed yet
        self._working = asyncio.Lock()

    def stored(self, seq: int) -> None:
        """Tell of a new event."""
        self._last_seq = seq
        self._disturbances += 1
        self._stored.set()

    def disturb(self) -> None:
        """Tell of something that somebody waits for."""
        self._disturbances += 1

    async def catch_up(self, up_to: int) -> None:
        """Have everything indexed up to an arrival number. Raises sqlite3.Error."""
        while self._done < up_to:
            await self._index(BATCH)

    async def run(self) -> None:
        """Index in quiet moments, until cancelled."""
        while True:
            await self._stored.wait()
            self._stored.clear()
            # Looked at once a moment: to be woken by every event would cost more than its words.
            before = self._disturbances
            await asyncio.sleep(QUIET_S)
            try:
                if self._disturbances != before:
                    await self._index(FEW)
                while self._done < self._last_seq and self._disturbances == before:
                    await self._index(BATCH)
            except sqlite3.Error as error:  # tried again with the next event, or by a search
                log.error("words not indexed", error=str(error))
                continue
            if self._done < self._last_seq:
                self._stored.set()

    async def _index(self, limit: int) -> None:
        async with self._working:
            work = partial(Transaction.index_words, limit=limit, words_of=words_of)
            self._done = await self._store.write(work)
