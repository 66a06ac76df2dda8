"""Shell: events that are stored here are carried to other relays, the same bytes until they are
taken, with a delivery (30078) that says how far they have got."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from secrets import token_bytes

import structlog

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.contacts import Contacts
from bot.bridges.nostr.outgoing import (
    FIRST_PAUSE_S,
    GIVE_UP_S,
    GONE,
    LONGEST_PAUSE_S,
    NO_LIST,
    TOO_LATE,
    give_up,
    is_settled,
    settle,
    verdict,
    waiting,
)
from bot.bridges.nostr.pool import Pool
from bot.bridges.pauses import pause_s
from bot.bridges.waiting import first_of
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip42 import normalise
from nips.own import delivery as deliveries
from nips.own.delivery import Delivery, Status
from relay_local.client import Link

SENDS_AT_ONCE = 16
VISITS_AT_ONCE = 8  # with what is public, to where those read whom it names

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How many events are on their way: pending at a relay, or at nobody's known relay."""

    pending: int
    no_list: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """An event, and whose relays it goes to (hex); None: the configured relays, and `also`."""

    event: Event
    recipient: str | None
    also: tuple[str, ...] = ()


class Courier:
    """key: the bridge's, which signs deliveries. local_urls: what the local relay calls itself."""

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        pool: Pool,
        arrivals: Arrivals,
        contacts: Contacts,
        local_urls: Collection[str],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._link, self._key, self._pool = link, key, pool
        self._arrivals, self._contacts = arrivals, contacts
        self._local = {normalise(url) for url in local_urls}
        self._configured = tuple(map(normalise, pool.relays))
        self._tasks = tasks
        self._sending = asyncio.Semaphore(SENDS_AT_ONCE)
        self._visiting = asyncio.Semaphore(VISITS_AT_ONCE)
        self._open: dict[str, Delivery] = {}

    async def carry(self, delivery: Delivery, parcels: Sequence[Parcel], since_s: int) -> None:
        """Write the delivery down as pending, then carry it in the background.

        since_s: when the event was made, from which the time to give up counts.
        """
        unasked = {url: waiting(url) for url in self._routes(parcels)}
        delivery = settle(delivery, unasked, _now_s())
        written_s = await self._write(delivery, await self._last_written(delivery.event_id))
        self.resume(delivery, parcels, since_s, written_s)

    def resume(
        self, delivery: Delivery, parcels: Sequence[Parcel], since_s: int, written_s: int
    ) -> None:
        """Go on with a delivery that was written down at `written_s`."""
        self._tasks.create_task(self._carry(delivery, parcels, since_s, written_s))

    def outgoing(self) -> Outgoing:
        """What is not settled now."""
        waiting = [
            {state.url for state in delivery.relays if state.status is Status.PENDING}
            for delivery in self._open.values()
        ]
        return Outgoing(
            sum(bool(urls - {NO_LIST}) for urls in waiting),
            sum(NO_LIST in urls for urls in waiting),
        )

    async def _carry(
        self, delivery: Delivery, parcels: Sequence[Parcel], since_s: int, written_s: int
    ) -> None:
        taken: set[tuple[str, str]] = set()
        attempt = 0
        while not is_settled(delivery):
            self._open[delivery.event_id] = delivery
            changes = (self._contacts.change, self._arrivals.back)
            before = delivery
            if attempt and await self._is_gone(parcels):
                delivery = give_up(delivery, GONE, _now_s())
            else:
                delivery = await self._attempt(delivery, parcels, taken)
            if _now_s() - since_s > GIVE_UP_S:
                delivery = give_up(delivery, TOO_LATE, _now_s())
            if delivery != before:
                written_s = await self._write(delivery, written_s)
            if not is_settled(delivery):
                await first_of(*changes, timeout_s=pause_s(attempt, FIRST_PAUSE_S, LONGEST_PAUSE_S))
                attempt += 1
        self._open.pop(delivery.event_id, None)
        log.info(
            "delivered" if delivery.delivered else "not delivered",
            event_id=delivery.event_id,
            relays=len(delivery.relays),
            failed=[(s.url, s.reason) for s in delivery.relays if s.status is Status.FAILED],
        )

    async def _attempt(
        self, delivery: Delivery, parcels: Sequence[Parcel], taken: set[tuple[str, str]]
    ) -> Delivery:
        """Offer once to every relay that has not decided yet."""
        routes = self._routes(parcels)
        answers: dict[str, tuple[Status, str]] = {
            state.url: (state.status, state.reason)
            for state in delivery.relays
            if state.status is not Status.PENDING and state.url in routes
        }
        asked = [url for url in routes if url not in answers]
        said = await asyncio.gather(*(self._offer(url, routes[url], taken) for url in asked))
        answers |= zip(asked, said, strict=True)
        return settle(delivery, answers, _now_s())

    async def _offer(
        self, url: str, events: Sequence[Event], taken: set[tuple[str, str]]
    ) -> tuple[Status, str]:
        if url == NO_LIST:
            return waiting(url)
        if url in self._local:
            return Status.OK, ""  # it was stored before it came here
        worst = (Status.OK, "")
        for event in events:
            if (url, event.id) in taken:
                continue
            # Attack: whoever is named has a list of relays that take the connection, and say
            # nothing: replies would wait behind them.
            is_visit = url not in self._configured and event.kind != Kind.GIFT_WRAP
            async with self._visiting if is_visit else self._sending:
                accepted, reason = (await self._pool.send(event, [url]))[url]
            status = verdict(accepted, reason)
            if status is Status.OK:
                taken.add((url, event.id))
            elif worst[0] is not Status.FAILED:
                worst = (status, reason)
        return worst

    def _routes(self, parcels: Sequence[Parcel]) -> dict[str, list[Event]]:
        """Which relay gets which events, as the recipients' lists say now."""
        routes: dict[str, list[Event]] = defaultdict(list)
        for parcel in parcels:
            if parcel.recipient is None:
                urls: Collection[str] = dict.fromkeys((*self._configured, *parcel.also))
            else:
                # NIP-17, of a person without a list: "clients shouldn't try". A reply waits for
                # one to appear and is never broadcast.
                urls = [normalise(url) for url in self._contacts.relays_of(parcel.recipient)]
            for url in urls or [NO_LIST]:
                routes[url].append(parcel.event)
        return routes

    async def _is_gone(self, parcels: Sequence[Parcel]) -> bool:
        """Say whether a public event was retracted or replaced since: what is late would come
        behind its own retraction."""
        ids = frozenset(parcel.event.id for parcel in parcels if parcel.recipient is None)
        return bool(ids) and not await self._link.fetch([Filter(ids=ids)])

    async def _last_written(self, event_id: str) -> int:
        wanted = Filter(
            authors=frozenset({self._key.public}),
            kinds=frozenset({int(Kind.APP_DATA)}),
            tags={"d": frozenset({deliveries.D_PREFIX + event_id})},
        )
        return max((event.created_at for event in await self._link.fetch([wanted])), default=0)

    async def _write(self, delivery: Delivery, written_s: int) -> int:
        # Two versions in one second tie and the lower id wins: each steps forward.
        created_at = max(_now_s(), written_s + 1)
        template = deliveries.template(delivery, self._key.public, created_at)
        ok = await self._link.publish(template.sign(self._key, token_bytes(32)))
        if ok.refusal:
            log.error("delivery not written", event_id=delivery.event_id, reason=ok.message)
        return created_at


def _now_s() -> int:
    return int(time.time())
