"""Shell: which message of our groups somebody means, who knows it by the id of a direct message."""

from __future__ import annotations

from collections.abc import Callable, Collection

from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.own.once import once_key
from nips.refusal import Malformed
from relay_local.client import Link

LOOKED_AT = 5_000  # deletions of one person
SAID = frozenset({int(Kind.CHAT), int(Kind.REACTION)})


class References:
    """bridge: the bridge's key in hex, with which it signs deliveries. puppet: gives the key, in
    hex, of the puppet of a person."""

    def __init__(self, link: Link, bridge: str, puppet: Callable[[str], str]) -> None:
        self._link, self._bridge, self._puppet = link, bridge, puppet
        self._deleted: dict[str, set[str]] = {}

    async def find(self, rumor_id: str, people: frozenset[str]) -> Event | None:
        """The kind 9 that a rumor of one of these people became, or that a rumor of ours has
        carried to them; None where there is neither."""
        carried = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}),
            authors=frozenset({self._bridge}),
            tags={"i": frozenset({rumor_id})},
        )
        written = self._written({rumor_id}, people, frozenset({int(Kind.CHAT)}))
        for event in await self._link.fetch([written, carried]):
            if event.kind == Kind.CHAT:
                return event
            try:
                delivery = deliveries.parse(event)
            except Malformed:
                continue
            # Attack: the id of what was said to others, to be told of it or to answer there.
            if people.isdisjoint(wrap.recipient for wrap in delivery.wraps):
                continue
            for message in await self._link.fetch([Filter(ids=frozenset({delivery.event_id}))]):
                return message
        return None

    async def own(self, rumor_ids: Collection[str], person: str) -> list[Event]:
        """The messages and reactions that these rumors of one person's have become."""
        return await self._link.fetch([self._written(rumor_ids, frozenset({person}), SAID)])

    async def deleted(self, person: str) -> set[str]:
        """The ids that this person's deletions name; whoever carries one more adds its own. Of a
        rumor that comes after its deletion the rumor's own id is among them."""
        if person not in self._deleted:
            puppets = frozenset({self._puppet(person)})
            wanted = Filter(kinds=frozenset({int(Kind.DELETION)}), authors=puppets, limit=LOOKED_AT)
            found = await self._link.fetch([wanted])
            known = self._deleted.setdefault(person, set())
            known.update(each for event in found for each in event.values("e"))
        return self._deleted[person]

    def _written(
        self, rumor_ids: Collection[str], people: frozenset[str], kinds: frozenset[int]
    ) -> Filter:
        return Filter(
            kinds=kinds,
            # Attack: a member writes a message with the once-key of somebody's rumor.
            authors=frozenset(map(self._puppet, people)),
            tags={"o": frozenset(map(once_key, rumor_ids))},
        )
