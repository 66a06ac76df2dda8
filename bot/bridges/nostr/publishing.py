"""Shell: what the bot says for everybody, carried from the local relay to the public ones.

    signed, stored here ─► delivery, stored ─► every configured relay, the same bytes until taken
                                            └► where those read whom it answers or names (NIP-65)
                                               and, of what is retracted, wherever that went

Only kinds of a list leave, and nothing that names a group. What is retracted or replaced before
a relay took it is not sent there any more.
"""

from __future__ import annotations

import structlog

from bot.bridges.nostr.courier import Courier, Parcel
from bot.bridges.nostr.lookup import Lookup
from bot.bridges.written import written
from bot.place import Place, follow
from bot.publication import LEAVING, leaves
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey, is_public_key
from nips.kinds import Kind
from nips.nip42 import normalise
from nips.nip65 import read_relays
from nips.own import delivery as deliveries
from nips.refusal import Malformed, Refused
from relay_local.client import Delivery, Link

READER = "nostr-public"
MAX_PEOPLE = 5  # that are looked up for one event
LOOKUP_S = 3.0  # a silent relay delays what comes behind by no more
MAX_RETRACTED = 100  # by one event, whose relays are looked up

log = structlog.get_logger()


class Publishing:
    """key: the bridge's. bot: its public key in hex. lookup: finds people's relay lists."""

    def __init__(
        self, link: Link, key: SecretKey, bot: str, courier: Courier, lookup: Lookup
    ) -> None:
        self._link, self._key, self._bot, self._courier = link, key, bot, courier
        self._lookup = lookup
        self._place = Place(link, key, READER)
        self._known: set[str] = set()

    async def run(self) -> None:
        """Go on with what is pending, then carry what is published, until cancelled."""
        await self._resume()
        wanted = Filter(authors=frozenset({self._bot}), kinds=LEAVING)
        try:
            async for item in follow(self._link, [wanted], self._place):
                if isinstance(item, Delivery) and leaves(item.event):
                    await self._carry(item.event)
        finally:
            await self._place.save()

    async def _carry(self, event: Event) -> None:
        if event.id in self._known:
            return
        self._known.add(event.id)
        log.info("published", event_id=event.id, kind=event.kind)
        is_retraction = event.kind == Kind.DELETION
        also = await (self._where_it_went if is_retraction else self._where_they_read)(event)
        await self._courier.carry(
            deliveries.Delivery(event.id), [Parcel(event, None, also)], event.created_at
        )

    async def _where_they_read(self, event: Event) -> tuple[str, ...]:
        """The relays at which the people that it names look for what concerns them.

        NIP-65: "send the event to all **read** relays of each tagged user".
        """
        tagged = [key for key in dict.fromkeys(event.values("p")) if is_public_key(key)]
        people = frozenset(tagged[:MAX_PEOPLE]) - {self._bot}
        if not people:
            return ()
        wanted = Filter(
            authors=people, kinds=frozenset({int(Kind.RELAY_LIST)}), limit=4 * len(people)
        )
        try:
            found = await self._lookup.ask(wanted, LOOKUP_S)
        except Refused as error:
            log.info("not known where they read", event_id=event.id, reason=str(error))
            return ()
        newest: dict[str, Event] = {}
        for list_ in found.events:  # the newest first
            newest.setdefault(list_.pubkey, list_)
        return tuple(normalise(url) for list_ in newest.values() for url in read_relays(list_))

    async def _where_it_went(self, retraction: Event) -> tuple[str, ...]:
        """The relays that were offered what is retracted: those too of whom it answered."""
        names = [deliveries.D_PREFIX + event_id for event_id in retraction.values("e")]
        if not names:
            return ()
        wanted = Filter(
            authors=frozenset({self._key.public}),
            kinds=frozenset({int(Kind.APP_DATA)}),
            tags={"d": frozenset(names[:MAX_RETRACTED])},
        )
        urls: dict[str, None] = {}
        for event in await self._link.fetch([wanted]):
            try:
                relays = deliveries.parse(event).relays
            except Malformed as error:
                log.error("delivery not understood", reason=str(error))
                continue
            urls |= dict.fromkeys(state.url for state in relays if state.url)
        return tuple(urls)

    async def _resume(self) -> None:
        """Take up the deliveries of public events that a predecessor left pending."""
        for found in await written(self._link, self._key.public):
            self._known.add(found.delivery.event_id)
            if not found.delivery.wraps and found.is_pending:
                await self._resume_one(found.delivery, found.at)

    async def _resume_one(self, delivery: deliveries.Delivery, written_s: int) -> None:
        stored = await self._link.fetch([Filter(ids=frozenset({delivery.event_id}))])
        also = tuple(state.url for state in delivery.relays)
        parcels = [Parcel(event, None, also) for event in stored if leaves(event)]
        if parcels:
            self._courier.resume(delivery, parcels, parcels[0].event.created_at, written_s)
