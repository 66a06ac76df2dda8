"""Shell: the deliveries that this bridge has written down, for who goes on with them."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from nips.filter import Filter
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.own.delivery import D_PREFIX
from nips.refusal import Malformed
from relay_local.client import Delivery, Link

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Written:
    """A delivery, and when it was written (unix seconds)."""

    delivery: deliveries.Delivery
    at: int

    @property
    def is_pending(self) -> bool:
        """Say whether a relay is still to be asked."""
        return self.delivery.is_pending


async def written(link: Link, bridge: str) -> list[Written]:
    """All of them. bridge: its public key in hex."""
    found = []
    wanted = Filter(authors=frozenset({bridge}), kinds=frozenset({int(Kind.APP_DATA)}))
    # By arrival: without it the relay would cap the stored events.
    async with link.subscribe([wanted], after_seq=0) as stream:
        async for item in stream:
            if not isinstance(item, Delivery):
                break
            if not (item.event.tag("d") or "").startswith(D_PREFIX):
                continue
            try:
                delivery = deliveries.parse(item.event)
            except Malformed as error:
                log.error("delivery not understood", reason=str(error))
                continue
            found.append(Written(delivery, item.event.created_at))
    return found
