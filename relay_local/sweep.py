"""Shell: what has been kept for its period goes, a little at a time, while the relay runs.

Each step is a transaction of its own, short enough that nobody's event waits for it, and leaves
nothing half done: a job goes with all that belongs to it, a wrap before the delivery naming it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial

import structlog

from nips.event import Event
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.own import place as places
from nips.own.delivery import Delivery
from nips.own.roles import MAIL_BRIDGE
from nips.refusal import Malformed
from relay_local.periods import (
    COST_KEPT_S,
    DELIVERY_KEPT_S,
    JOB_KEPT_S,
    WRAP_KEPT_S,
    dispensable,
    is_over,
)
from relay_local.retention import Address
from relay_local.store import Store
from relay_local.transaction import Transaction
from relay_local.world import World

PERIOD_S = 6 * 3_600.0
BATCH = 200  # events looked at in one transaction
COST = 44_200
JOB_ENDS = (Kind.JOB_RESULT, Kind.JOB_ERROR)
JOB_KINDS = (
    Kind.JOB_REQUEST,
    Kind.JOB_ACCEPTED,
    Kind.JOB_PROGRESS,
    Kind.JOB_CANCEL,
    *JOB_ENDS,
)

log = structlog.get_logger("relay")


class Sweep:
    """The house's own periods; a relay without roles has none. `world` is asked for anew, since
    it changes while the relay runs."""

    def __init__(self, store: Store, world: Callable[[], World], now_s: Callable[[], int]) -> None:
        self._store = store
        self._world = world
        self._now_s = now_s

    async def run(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            try:
                gone = await self.once()
            except sqlite3.Error as error:
                log.error("what is past its period stays", error=str(error))
            else:
                if gone:
                    log.info("past its period", events=gone)
            await asyncio.sleep(PERIOD_S)

    async def once(self) -> int:
        """Remove all that is past its period; returns how many events. Raises sqlite3.Error."""
        world, now_s = self._world(), self._now_s()
        if world.roles is None:
            return 0
        gone = 0
        for step in (end_jobs, forget_costs):
            while some := await self._store.write(partial(step, now_s=now_s)):
                gone += some
        for bridge in sorted(world.bridges):
            after: int | None = 0
            while after is not None:
                step_on = partial(
                    end_deliveries,
                    bridge=bridge,
                    of_mail=bridge == world.mail_bridge,
                    after=after,
                    now_s=now_s,
                )
                some, after = await self._store.write(step_on)
                gone += some
        work = partial(handled, world=world, epoch=self._store.epoch, now_s=now_s)
        ids = await self._store.write(work)
        for start in range(0, len(ids), BATCH):
            gone += await self._store.write(partial(_remove, ids=ids[start : start + BATCH]))
        return gone


def end_jobs(transaction: Transaction, now_s: int) -> int:
    """Remove some jobs that ended long ago, each with everything about it."""
    gone = 0
    for end in transaction.older(JOB_ENDS, now_s - JOB_KEPT_S, 0, BATCH // len(JOB_KINDS)):
        about = [one for job in end.values("e") for one in _of_job(transaction, job)]
        for one in {one.id: one for one in [*about, end]}.values():
            transaction.remove(one)
            gone += 1
    return gone


def _of_job(transaction: Transaction, job_id: str) -> Iterator[Event]:
    # The request goes last: until then every reader finds what it was about.
    yield from transaction.tagged("e", job_id, JOB_KINDS)
    request = transaction.event(job_id)
    if request is not None and request.kind == Kind.JOB_REQUEST:
        yield request


def forget_costs(transaction: Transaction, now_s: int) -> int:
    """Remove some turns' costs of long ago."""
    old = transaction.older((COST,), now_s - COST_KEPT_S, 0, BATCH)
    for one in old:
        transaction.remove(one)
    return len(old)


def end_deliveries(
    transaction: Transaction, bridge: str, of_mail: bool, after: int, now_s: int
) -> tuple[int, int | None]:
    """Remove the wraps of some deliveries that are over, later the deliveries; returns how many
    events went, and from which created_at to go on: None at the end.

    of_mail: whether the bridge is the one that carries wraps.
    """
    some = transaction.older((Kind.APP_DATA,), now_s - WRAP_KEPT_S, after, BATCH, author=bridge)
    gone = 0
    for one in some:
        if (delivery := _delivery(one)) is None or not is_over(delivery, now_s, WRAP_KEPT_S):
            continue
        if of_mail:  # Attack: another network's bridge has somebody's mail removed by naming it.
            gone += _remove(transaction, [wrap.id for wrap in delivery.wraps])
        if is_over(delivery, now_s, DELIVERY_KEPT_S):
            transaction.remove(one)
            gone += 1
    if len(some) < BATCH:
        return gone, None
    return gone, max(some[-1].created_at, after + 1)


def _delivery(event: Event) -> Delivery | None:
    try:
        return deliveries.parse(event)
    except Malformed:
        return None


def handled(transaction: Transaction, world: World, epoch: str, now_s: int) -> list[str]:
    """The ids of the wraps to the bot that were dealt with and are kept no longer."""
    if world.roles is None or (bridge := world.mail_bridge) is None:
        return []
    # What its reader has not opened yet stays, however old: it may have been away.
    reached = _reached(transaction, bridge, f"{MAIL_BRIDGE}-inbox", epoch)
    wraps = transaction.wraps_up_to(world.roles.bot, reached)
    return dispensable(wraps, now_s)


def _reached(transaction: Transaction, bridge: str, reader: str, epoch: str) -> int:
    stored = transaction.at(Address(bridge, Kind.APP_DATA, places.D_PREFIX + reader))
    if stored is None:
        return 0
    try:
        place = places.parse(stored, bridge)
    except Malformed:
        return 0
    return place.seq if place.epoch == epoch else 0


def _remove(transaction: Transaction, ids: list[str]) -> int:
    found = [one for each in ids if (one := transaction.event(each)) is not None]
    wraps = [one for one in found if one.kind == Kind.GIFT_WRAP]
    for wrap in wraps:
        transaction.remove(wrap)
    return len(wraps)
