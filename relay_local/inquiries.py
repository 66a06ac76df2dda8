"""Shell: counts and reconciliations: what is looked up for a connection beside its REQs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from weakref import WeakSet

import structlog

from nips import nip77
from nips.nip77 import Records
from nips.refusal import Malformed
from relay_local.connection import Connection
from relay_local.effects import Effect, Tally
from relay_local.negentropy import IDLE_S, MAX_RECORDS, Gather, Negotiations, Reconcile, Step
from relay_local.query import count, newest
from relay_local.store import Store, TooSlow
from relay_local.word_index import WordIndex

MAX_HELD_RECORDS = 1_000_000  # of all connections' reconciliations together

log = structlog.get_logger("relay")

Do = Callable[[list[Effect]], None]


class Inquiries:
    """The store and the index of words, asked for connections."""

    def __init__(self, store: Store, words: WordIndex, now_s: Callable[[], int]) -> None:
        self._store = store
        self._words = words
        self._now_s = now_s
        self._open: WeakSet[Negotiations] = WeakSet()

    async def tally(self, machine: Connection, tally: Tally, do: Do) -> None:
        """Count, and tell the machine."""
        try:
            number = 0
            if not tally.scope.is_empty:
                if any(one.search is not None for one in tally.filters):
                    await self._words.catch_up(tally.last)
                statement = count(tally.filters, tally.scope, self._now_s(), tally.last)
                number = await self._store.number(statement)
        except sqlite3.Error as error:
            do(machine.uncounted(tally, told_of(error)))
        else:
            do(machine.counted(tally, number))

    async def gather(self, machine: Connection, gather: Gather, do: Do) -> None:
        """Collect what is to be reconciled, and give the first answer."""
        negotiations = machine.negotiations
        self._open.add(negotiations)
        one = gather.filter
        most = min(MAX_RECORDS, MAX_HELD_RECORDS - sum(each.held for each in self._open))
        wanted = most + 1 if one.limit is None else min(one.limit, most + 1)
        statement = newest(one, gather.scope, self._now_s(), gather.last, max(wanted, 0))
        try:
            rows = [] if gather.scope.is_empty else await self._store.search(statement)
        except sqlite3.Error as error:
            steps = negotiations.failed(gather, f"error: {told_of(error)}")
            return do(machine.stepped(steps))
        if len(rows) > most:
            # NIP-77: "The maximum number of records … as the 4th element in the response"
            steps = negotiations.failed(gather, "blocked: this query is too big", max(most, 0))
            return do(machine.stepped(steps))
        records = await asyncio.to_thread(Records, [(row[1], row[2]) for row in rows])
        for step in negotiations.gathered(gather, records):
            if isinstance(step, Reconcile):
                await self.reconcile(machine, step, do)
        return None

    async def reconcile(self, machine: Connection, step: Reconcile, do: Do) -> None:
        """Answer one message, and wait a while for the next."""
        negotiations = machine.negotiations
        steps: list[Step]
        try:
            message = await asyncio.to_thread(nip77.answer, step.records, step.message)
        except Malformed as error:
            steps = negotiations.failed(step, f"invalid: {error}")
        else:
            steps = negotiations.answered(step, message)
            loop = asyncio.get_running_loop()
            loop.call_later(IDLE_S, lambda: do(machine.stepped(negotiations.idle(step))))
        do(machine.stepped(steps))


def told_of(error: sqlite3.Error) -> str:
    """What a client is told of a question that the store did not answer."""
    log.error("the store did not answer", error=str(error))
    return str(error) if isinstance(error, TooSlow) else "the relay could not read its store"
