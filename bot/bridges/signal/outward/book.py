"""Shell: the deliveries of what goes out, as the relay keeps them: written before it is done."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from secrets import token_bytes

import structlog

from bot.bridges.waiting import Patience
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.own.delivery import D_PREFIX, Delivery
from nips.refusal import Malformed
from relay_local.client import Link

log = structlog.get_logger()


@dataclass(slots=True)
class Page:
    """A delivery as it is written now, since unix second `at_s`."""

    delivery: Delivery
    at_s: int = 0


class Book:
    """key: the bridge's, which signs deliveries."""

    def __init__(self, link: Link, key: SecretKey) -> None:
        self._link, self._key = link, key

    async def find(self, event_id: str) -> Page | None:
        """The page of an event; None where there is none."""
        return next(iter(await self.find_all([event_id])), None)

    async def find_all(self, event_ids: Collection[str]) -> list[Page]:
        """The pages of those events that have one, in the order in which they are named."""
        if not event_ids:
            return []
        wanted = Filter(
            authors=frozenset({self._key.public}),
            kinds=frozenset({int(Kind.APP_DATA)}),
            tags={"d": frozenset(D_PREFIX + event_id for event_id in event_ids)},
        )
        read = (_read(event) for event in await self._link.fetch([wanted]))
        pages = {page.delivery.event_id: page for page in read if page}
        return [pages[event_id] for event_id in dict.fromkeys(event_ids) if event_id in pages]

    async def write(self, page: Page, delivery: Delivery) -> None:
        """Return when it is on disk. While the relay does not take it, nothing goes on: what is
        done without having been written would be done again."""
        patience = Patience()
        while True:
            # Two versions in one second tie and the lower id wins: each steps forward.
            page.at_s = max(int(time.time()), page.at_s + 1)
            template = deliveries.template(delivery, self._key.public, page.at_s)
            ok = await self._link.publish(template.sign(self._key, token_bytes(32)))
            if ok.refusal is None:
                page.delivery = delivery
                return
            log.error("delivery not written", event_id=delivery.event_id, reason=ok.message)
            await patience.pause()


def _read(event: Event) -> Page | None:
    try:
        return Page(deliveries.parse(event), event.created_at)
    except Malformed as error:
        log.error("delivery not understood", event_id=event.id, reason=str(error))
        return None
