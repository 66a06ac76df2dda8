"""Shell: which message of our groups somebody means, who knows it by the id of a direct message."""

from __future__ import annotations

from collections.abc import Callable

from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.own.once import once_key
from nips.refusal import Malformed
from relay_local.client import Link


class References:
    """bridge: the bridge's key in hex, with which it signs deliveries. puppet: gives the key, in
    hex, of the puppet of a person."""

    def __init__(self, link: Link, bridge: str, puppet: Callable[[str], str]) -> None:
        self._link, self._bridge, self._puppet = link, bridge, puppet

    async def find(self, rumor_id: str, people: frozenset[str]) -> Event | None:
        """The kind 9 that a rumor of one of these people became, or that a rumor of ours has
        carried to them; None where there is neither."""
        written = Filter(
            kinds=frozenset({int(Kind.CHAT)}),
            # Attack: a member writes a message with the once-key of somebody's rumor.
            authors=frozenset(map(self._puppet, people)),
            tags={"o": frozenset({once_key(rumor_id)})},
        )
        carried = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}),
            authors=frozenset({self._bridge}),
            tags={"i": frozenset({rumor_id})},
        )
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
