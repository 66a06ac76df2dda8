"""Shell: what the Signal service gave out: written down, then dealt with in its order.

    batch ─► bound? ─► local relay, as it came (`record`) ─► `Forwarding` ─► an empty version
                  └► counted; the router is told who, not what: nothing of it is kept

The service forgets what it has given out, so no more is asked for until a batch is on the relay.
From there it is read in order of arrival; the reader's place moves past it only when it is dealt
with, or names it. So a crash, and what the service gives out twice, end in one message. No text is
ever logged.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from secrets import token_bytes
from typing import Any

import structlog

from bot.author import is_duplicate
from bot.bridges.bindings import Bindings
from bot.bridges.doorbell import Doorbell
from bot.bridges.lanes import Lanes
from bot.bridges.pen import MAX_ATTEMPTS, PASSING, Pen
from bot.bridges.signal.account import Account
from bot.bridges.signal.inward import record as records
from bot.bridges.signal.inward.forwarding import Forwarding
from bot.bridges.signal.inward.messages import Arrived
from bot.bridges.signal.inward.said import gone_at
from bot.bridges.signal.inward.visitors import Visitors
from bot.bridges.signal.received.envelope import (
    Deleted,
    Edited,
    Ignored,
    Reacted,
    Received,
    Said,
    parse,
)
from bot.bridges.waiting import Patience, to_its_end
from bot.place import Place, follow
from nips.event import Event, Template
from nips.filter import Filter
from nips.frames import Ok
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Malformed
from relay_local.client import Delivery, Link

WINDOW = 32  # messages that are written beside each other, in their order
MAX_OPEN = 400  # written down and not dealt with: beyond it no more is asked for
GRACE_S = 5.0  # for a batch at the end; the supervisor kills after 20
LEAST_KEPT_S = 60  # a record, whatever the timer of its message
MAX_REASONS = 3  # of a batch, why some of it is not understood

log = structlog.get_logger()

Item = Mapping[str, Any]
Told = Said | Edited | Reacted | Deleted


@dataclass(slots=True)
class Intake:
    """What the service has given out since the start; what became of it, the pen counts.

    repeated: given out twice. unread: of no form that is known. ignored, unbound: by what it was.
    """

    items: int = 0
    repeated: int = 0
    unread: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    unbound: Counter[str] = field(default_factory=Counter)


class Inbox:
    """key: the bridge's own. intake: where it is counted."""

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        account: Account,
        bindings: Bindings,
        forwarding: Forwarding,
        pen: Pen,
        lanes: Lanes,
        place: Place,
        doorbell: Doorbell,
        visitors: Visitors,
        intake: Intake,
    ) -> None:
        self._link, self._key, self._account = link, key, account
        self._bindings, self._forwarding, self._pen = bindings, forwarding, pen
        self._lanes, self._place = lanes, place
        self._doorbell, self._visitors = doorbell, visitors
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(WINDOW)
        self._open: set[str] = set()
        self._less_open = asyncio.Event()
        self._is_processing = True
        self._intake = intake

    # From the service to the relay

    async def store(self, batches: AsyncIterable[Sequence[Item]]) -> None:
        """Write down what the service gives out, until there is no more."""
        async for items in batches:
            # The service has forgotten it: broken off here, at an orderly stop, it would be lost.
            await to_its_end(self._take(items), GRACE_S)
            # At the end there is a last batch, of which the relay has all and nobody does more.
            while len(self._open) >= MAX_OPEN and self._is_processing:
                self._less_open.clear()
                await self._less_open.wait()

    async def _take(self, items: Sequence[Item]) -> None:
        await self._bindings.steady()
        await asyncio.gather(*map(self._commit, self._judged(items)))

    def _judged(self, items: Sequence[Item]) -> list[Template]:
        """The records of those items whose conversations are bound."""
        made, reasons = list[Template](), Counter[str]()
        for item in items:
            self._intake.items += 1
            try:
                what = parse(item, self._account.number)
            except Malformed as error:
                reasons[str(error)] += 1
                continue
            if (template := self._record(item, what)) is not None:
                made.append(template)
        self._intake.unread += reasons.total()
        # Attack: a log that is filled, a line for each. What is in them is in no reason.
        for reason, n_items in reasons.most_common(MAX_REASONS):
            log.warning("not understood", reason=reason, items=n_items)
        return made

    def _record(self, item: Item, what: Received) -> Template | None:
        self._account.learn(what)
        if isinstance(what, Ignored) or self._account.is_us(what.who.aci, what.who.number):
            self._intake.ignored[what.why if isinstance(what, Ignored) else "own"] += 1
            return None
        bound = self._forwarding.bound(what.conversation)
        if bound is None or bound.binding.archived:
            # Attack: a stranger's words, read by whoever reads our disk or our logs.
            self._intake.unbound[type(what).__name__.lower()] += 1
            if bound is None and isinstance(what, Said | Edited):
                self._visitors.learn(what.who, what.conversation)
                self._doorbell.ring(frozenset({what.conversation.id}))
            return None
        now_s = int(time.time())
        try:
            return records.template(
                item, what.identity, self._key.public, now_s, _gone_at(what, now_s)
            )
        except Malformed as error:
            self._pen.set_aside("", str(error))
            return None

    async def _commit(self, template: Template) -> None:
        event = template.sign(self._key, token_bytes(32))
        self._open.add(event.id)  # before it is there: it may be dealt with before we are told
        ok = await self._insist(event)
        if ok.refusal is not None:
            self._pen.set_aside(event.id, f"the local relay did not keep it: {ok.message}")
        elif is_duplicate(ok):
            self._intake.repeated += 1
        else:
            return
        self._open.discard(event.id)

    async def _insist(self, event: Event, attempts: int | None = None) -> Ok:
        """Put it on the relay, for as long as that may still take it."""
        patience = Patience()
        while True:
            ok = await self._link.publish(event)
            if attempts is not None:
                attempts -= 1
            if ok.refusal is None or ok.refusal.prefix not in PASSING or attempts == 0:
                return ok
            log.warning("the relay cannot store; again", id=event.id, reason=ok.message)
            await patience.pause()

    # From the relay to the groups

    async def process(self) -> None:
        """Deal with what is written down, in order of arrival, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read())
                tasks.create_task(self._work())
        finally:
            self._is_processing = False
            self._less_open.set()
            await self._place.save()

    async def _read(self) -> None:
        wanted = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}),
            authors=frozenset({self._key.public}),
            tags={"t": frozenset({records.WAITING})},
        )
        async for item in follow(self._link, [wanted], self._place):
            if isinstance(item, Delivery):
                self._place.hold(item.event.id)
                await self._waiting.put(item.event)

    async def _work(self) -> None:
        while True:
            window = [await self._waiting.get()]
            while len(window) < WINDOW and not self._waiting.empty():
                window.append(self._waiting.get_nowait())
            await self._deal_with(window)

    async def _deal_with(self, window: Sequence[Event]) -> None:
        """Those of plain words beside each other: each is sent before the next is looked at, and
        only the answers are awaited together."""
        beside: list[Callable[[], Awaitable[None]]] = []

        async def done() -> None:
            await asyncio.gather(*(work() for work in beside))
            beside.clear()

        for record in window:
            arrived = self._read_again(record)
            step = None if arrived is None else await self._forwarding.step(arrived)
            if step is None:
                beside.append(partial(self._settle, record))
                continue
            whole = partial(self._whole, record, step.work)
            if step.alone or self._lanes.is_busy(step.group):
                await done()
                await self._lanes.run(record.id, [step.group], whole, slow=step.slow)
            else:
                beside.append(whole)
        await done()

    def _read_again(self, record: Event) -> Arrived | None:
        try:
            what = parse(records.item_of(record), self._account.number)
        except Malformed as error:
            self._pen.set_aside(record.id, str(error))
            return None
        return None if isinstance(what, Ignored) else Arrived(record.id, record.created_at, what)

    async def _whole(self, record: Event, work: Callable[[], Awaitable[None]]) -> None:
        await work()
        await self._settle(record)

    async def _settle(self, record: Event) -> None:
        """Put an empty version in the record's place."""
        template = records.settled_template(record, int(time.time()))
        ok = await self._insist(template.sign(self._key, token_bytes(32)), MAX_ATTEMPTS)
        if ok.refusal is not None:
            log.error("a message stays written down", id=record.id, reason=ok.message)
        # Attack: a disk that is filled, and what was to be gone is read for a month. While the
        # relay takes nothing the place names it, and the next start deals with it again.
        if ok.refusal is None or ok.refusal.prefix not in PASSING:
            self._place.release(record.id)
        self._open.discard(record.id)
        self._less_open.set()


def _gone_at(what: Told, now_s: int) -> int | None:
    """The second from which its record is not kept."""
    said = what.said if isinstance(what, Edited) else what
    at = gone_at(said, now_s) if isinstance(said, Said) else None
    return None if at is None else max(at, now_s + LEAST_KEPT_S)
