"""Shell: events on their way in: verified in chunks, stored in groups, answered after the commit.

    submit → [queue] → verify (threads) → [queue] → one transaction (writer's thread)
                              └ ephemeral: straight to its readers

Verification releases the interpreter's lock, so chunks of it run beside everything else; while
one batch is being committed the next one is verified. All that has queued up meanwhile goes into
one transaction: under load a flush to disk is shared by hundreds of events. Order of arrival is
kept from end to end, and an event's OK is queued after the event itself, in commit order.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from nips.event import Event
from nips.frames import Ok, encode
from nips.kinds import Storage, storage
from nips.refusal import Malformed, Prefix, Refusal
from relay_local.access import may_write
from relay_local.admission import Admission, Known, admit, expiry_of, remove_expired
from relay_local.batches import Batches
from relay_local.moderation import Sign, Stored
from relay_local.store import Store
from relay_local.transaction import Transaction
from relay_local.viewer import Viewer
from relay_local.world import World

VERIFIERS = 1  # a second one takes from the writer and the loop what it gives
CHUNK = 64
INLINE = 2  # so few are verified faster than handed to a thread
MAX_BATCH = 1_000
MAX_QUEUED = 4_000  # without an answer; whoever brings more is not read meanwhile
MAX_EXPIRED = 500  # removed in one transaction
MAX_SLEEP_S = 3_600.0

_TAKEN = b'["OK","%s",true,""]'  # nearly every answer there is

log = structlog.get_logger("relay")

Reply = Callable[[bytes], None]  # takes one frame; never blocks, never raises
Deliver = Callable[[Event, bytes, int | None], None]  # event, JSON, arrival number if stored
# Called with each new world before anybody is told; may raise OSError, which the submitter
# of the event that led there is told.
Prepare = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Submission:
    """An event, who brought it, and where its OK goes."""

    event: Event
    viewer: Viewer
    reply: Reply

    def answer(self, outcome: Stored | Known | Refusal | None) -> None:
        """Send the OK of an outcome; None is a delivered ephemeral event."""
        match outcome:
            case Refusal():
                ok = Ok(self.event.id, False, str(outcome))
            case Known(sentence):
                # NIP-01: OK true with "duplicate:" for what the relay already has
                ok = Ok(self.event.id, True, f"{Prefix.DUPLICATE}: {sentence}")
            case _:
                self.reply(_TAKEN % self.event.id.encode())
                return
        self.reply(encode(ok).encode())


class Ingest:
    """The one way in. `world` is the state after everything that has been answered."""

    def __init__(
        self,
        store: Store,
        world: World,
        *,
        sign: Sign,
        now_s: Callable[[], int],
        deliver: Deliver,
        prepare: Prepare,
        last_seq: int,
    ) -> None:
        self.world = world
        self.last_seq = last_seq
        self.outcomes: Counter[str] = Counter()
        self._store = store
        self._sign = sign
        self._now_s = now_s
        self._deliver = deliver
        self._prepare = prepare
        self._arrived: Batches[Submission] = Batches()
        self._verified: Batches[Submission] = Batches()
        self.queued = 0  # events that have no answer yet
        self._answered = asyncio.Event()
        self._threads = ThreadPoolExecutor(VERIFIERS, thread_name_prefix="relay-verify")
        self._expiry_moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work; needs a running loop."""
        for work in (self._verify_all, self._store_all, self._expire_all):
            self._tasks.append(asyncio.create_task(work()))

    async def submit(self, submission: Submission) -> None:
        """Queue an event; waits, and so holds its connection's reading, while the queue is full."""
        while self.queued >= MAX_QUEUED:
            await self._fewer()
        self.queued += 1
        self._arrived.put(submission)

    async def idle(self) -> None:
        """Wait until everything that was submitted has its answer."""
        while self.queued:
            await self._fewer()

    async def told(self) -> None:
        """Wait until live subscriptions know of all that a search may have met until now."""
        newest = self._store.newest
        while self.last_seq < newest and self._store.newest >= newest:  # a commit may fail
            await self._fewer()

    async def _fewer(self) -> None:
        self._answered.clear()
        await self._answered.wait()

    async def close(self) -> None:
        """Finish what has been submitted, then stop."""
        await self.idle()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown()

    async def _verify_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._arrived.take(MAX_BATCH)
            if len(batch) <= INLINE:
                self._sort(batch, _wrongs(batch))
                continue
            chunks = [batch[i : i + CHUNK] for i in range(0, len(batch), CHUNK)]
            work = [loop.run_in_executor(self._threads, _wrongs, chunk) for chunk in chunks]
            for chunk, wrongs in zip(chunks, work, strict=True):
                self._sort(chunk, await wrongs)

    def _sort(self, chunk: list[Submission], wrongs: list[str | None]) -> None:
        for submission, wrong in zip(chunk, wrongs, strict=True):
            if wrong is not None:
                self._answer(submission, Refusal(Prefix.INVALID, wrong))
            elif storage(submission.event.kind) is Storage.EPHEMERAL:
                self._pass_on(submission)
            else:
                self._verified.put(submission)

    def _answer(self, submission: Submission, outcome: Stored | Known | Refusal | None) -> None:
        match outcome:
            case Refusal(prefix, _):
                self.outcomes[prefix] += 1
            case Known():
                self.outcomes[Prefix.DUPLICATE] += 1
            case _:
                self.outcomes["accepted"] += 1
        submission.answer(outcome)
        self.queued -= 1
        self._answered.set()

    def _pass_on(self, submission: Submission) -> None:
        # NIP-01: "ephemeral … not expected to be stored by relays"
        event = submission.event
        now_s = self._now_s()
        refusal = may_write(self.world, submission.viewer, event, now_s)
        # NIP-40: "Relays SHOULD drop any events that are published to them if they are expired"
        if refusal is None and isinstance(late := expiry_of(self.world, event, now_s), Refusal):
            refusal = late
        if refusal is None:
            self._deliver(event, event.to_bytes(), None)
        self._answer(submission, refusal)

    async def _store_all(self) -> None:
        while True:
            await self._store_batch(await self._verified.take(MAX_BATCH))

    async def _store_batch(self, batch: list[Submission]) -> None:
        work = partial(_admit_all, batch, self.world, self._now_s(), self._sign)
        try:
            admissions = await self._store.write(work)
        except sqlite3.Error as error:  # the disk is full, or gone: true for the whole batch
            log.error("not stored", events=len(batch), error=str(error))
            refusal = Refusal(Prefix.ERROR, f"the event could not be stored: {error}")
            for submission in batch:
                self._answer(submission, refusal)
            return
        except Exception:
            if len(batch) == 1:
                log.exception("event not stored", id=batch[0].event.id)
                self._answer(batch[0], Refusal(Prefix.ERROR, "the relay failed on this event"))
                return
            for submission in batch:  # one event that we fail on must not take others along
                await self._store_batch([submission])
            return
        for submission, admission in zip(batch, admissions, strict=True):
            await self._publish(submission, admission)

    async def _publish(self, submission: Submission, admission: Admission) -> None:
        outcome: Stored | Known | Refusal = admission.outcome
        if admission.world is not self.world:
            self.world = admission.world
            try:
                await self._prepare(self.world)
            except OSError as error:
                log.error("session socket", error=str(error))
                outcome = Refusal(Prefix.ERROR, f"stored, but its socket failed: {error}")
        for stored in admission.stored:
            self.last_seq = stored.seq
            self._deliver(stored.event, stored.body, stored.seq)
            if stored.event.tag("expiration") is not None:
                self._expiry_moved.set()
        self._answer(submission, outcome)

    async def _expire_all(self) -> None:
        """NIP-40: "Relays … SHOULD drop" what has expired; it is hidden the second it does."""
        while True:
            self._expiry_moved.clear()
            now_s = self._now_s()
            try:
                work = partial(remove_expired, now_s=now_s, limit=MAX_EXPIRED)
                next_s = await self._store.write(work)
            except sqlite3.Error as error:
                log.error("expired events not removed", error=str(error))
                next_s = now_s + 60
            if next_s is not None and next_s <= now_s:
                continue
            sleep_s = MAX_SLEEP_S if next_s is None else min(next_s - now_s, MAX_SLEEP_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(sleep_s):
                    await self._expiry_moved.wait()


def _admit_all(
    batch: list[Submission], world: World, now_s: int, sign: Sign, transaction: Transaction
) -> list[Admission]:
    admissions = []
    if len(batch) > 1:
        transaction.foresee([submission.event for submission in batch])
    for submission in batch:
        admission = admit(transaction, world, submission.viewer, submission.event, now_s, sign)
        world = admission.world
        admissions.append(admission)
    return admissions


def _wrongs(chunk: list[Submission]) -> list[str | None]:
    out: list[str | None] = []
    for submission in chunk:
        try:
            submission.event.verify()
        except Malformed as error:
            out.append(str(error))
        else:
            out.append(None)
    return out
