"""Shell: what the bot says for everybody, carried from the local relay to the public ones.

    signed, stored here ─► delivery, stored ─► every configured relay, the same bytes until taken

Only kinds of a list leave, and nothing that names a group. What is retracted or replaced before
a relay took it is not sent there any more.
"""

from __future__ import annotations

import structlog

from bot.bridges.nostr.courier import Courier, Parcel
from bot.bridges.nostr.written import written
from bot.place import Place, follow
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import delivery as deliveries
from relay_local.client import Delivery, Link

REPOST, GENERIC_REPOST, HIGHLIGHT = 6, 16, 9_802
# What people write in public. Profile and relay lists are `announce`'s; drafts stay here.
PUBLIC_KINDS = frozenset(
    {
        int(Kind.NOTE),
        int(Kind.DELETION),
        REPOST,
        int(Kind.REACTION),
        GENERIC_REPOST,
        1_111,
        HIGHLIGHT,
        int(Kind.ARTICLE),
    }
)
READER = "nostr-public"

log = structlog.get_logger()


def is_public(event: Event) -> bool:
    """Say whether an event of the bot's is for everybody."""
    # Attack: a word of a group, made to look public by its kind.
    return event.kind in PUBLIC_KINDS and not any(tag[0] == "h" for tag in event.tags)


class Publication:
    """key: the bridge's. bot: its public key in hex."""

    def __init__(self, link: Link, key: SecretKey, bot: str, courier: Courier) -> None:
        self._link, self._key, self._bot, self._courier = link, key, bot, courier
        self._place = Place(link, key, READER)
        self._known: set[str] = set()

    async def run(self) -> None:
        """Go on with what is pending, then carry what is published, until cancelled."""
        await self._resume()
        wanted = Filter(authors=frozenset({self._bot}), kinds=PUBLIC_KINDS)
        try:
            async for item in follow(self._link, [wanted], self._place):
                if isinstance(item, Delivery) and is_public(item.event):
                    await self._carry(item.event)
        finally:
            await self._place.save()

    async def _carry(self, event: Event) -> None:
        if event.id in self._known:
            return
        self._known.add(event.id)
        log.info("published", event_id=event.id, kind=event.kind)
        await self._courier.carry(
            deliveries.Delivery(event.id), [Parcel(event, None)], event.created_at
        )

    async def _resume(self) -> None:
        """Take up the deliveries of public events that a predecessor left pending."""
        for found in await written(self._link, self._key.public):
            self._known.add(found.delivery.event_id)
            if not found.delivery.wraps and found.is_pending:
                await self._resume_one(found.delivery, found.at)

    async def _resume_one(self, delivery: deliveries.Delivery, written_s: int) -> None:
        stored = await self._link.fetch([Filter(ids=frozenset({delivery.event_id}))])
        parcels = [Parcel(event, None) for event in stored if is_public(event)]
        if parcels:
            self._courier.resume(delivery, parcels, parcels[0].event.created_at, written_s)
