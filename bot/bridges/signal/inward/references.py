"""Shell: which message of a group somebody means, who knows it by its author and time on Signal."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

from bot.bridges.signal.account import Account
from bot.bridges.signal.inward.known import Known
from bot.bridges.signal.people import known_as
from bot.bridges.signal.received.parts import Target
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.refusal import Malformed
from relay_local.client import Link

LOOKED_AT = 500  # deletions of one person
MAX_REMEMBERED = 500  # names of one person's that are deleted
MAX_PEOPLE = 500  # whose deletions are remembered


class References:
    """bridge: the bridge's key in hex, with which it signs deliveries. puppet_of: gives the key, in
    hex, of somebody's puppet."""

    def __init__(
        self,
        link: Link,
        bridge: str,
        account: Account,
        known: Known,
        puppet_of: Callable[[str], str],
    ) -> None:
        self._link, self._bridge, self._account = link, bridge, account
        self._known, self._puppet_of = known, puppet_of
        self._deleted: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    async def find(self, target: Target, group: str) -> Event | None:
        """The message of the group that is meant: what somebody's puppet said there, or what was
        delivered from there; None where there is neither."""
        number = self._account.number
        authors = {target.aci}
        if self._account.is_us(target.aci, target.number):
            authors |= {number, self._account.aci}  # what was sent before our ACI was known
        names = frozenset(known_as(number, one, target.timestamp) for one in authors if one)
        if not names:
            return None
        carried = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}),
            authors=frozenset({self._bridge}),
            tags={"i": names},
        )
        wanted = [carried]
        if target.aci is not None and target.aci in self._known:
            wanted.append(self._said(target.aci, names, group))
        found = await self._link.fetch(wanted)
        said = [event for event in found if event.kind == Kind.CHAT]
        if said:  # for a moment there are two: the edited message, and what it replaces
            return max(said, key=lambda event: (event.tag("edits") is not None, event.created_at))
        return await self._delivered(found, group)

    async def own(self, aci: str, timestamp_ms: int, group: str) -> list[Event]:
        """What somebody's puppet said in the group under a name of theirs."""
        names = frozenset({known_as(self._account.number, aci, timestamp_ms)})
        return await self._link.fetch([self._said(aci, names, group)])

    async def reactions(self, aci: str, about: str) -> list[Event]:
        """The signs that somebody's puppet put under a message (its id)."""
        wanted = Filter(
            kinds=frozenset({int(Kind.REACTION)}),
            authors=frozenset({self._puppet_of(aci)}),
            tags={"e": frozenset({about})},
        )
        return await self._link.fetch([wanted])

    async def deleted(self, aci: str) -> Collection[str]:
        """The names under which nothing of somebody's is said any more."""
        return (await self._deletions(aci)).keys()

    async def delete(self, aci: str, names: Sequence[str]) -> None:
        """Note that a deletion has been written."""
        known = await self._deletions(aci)
        known.update(dict.fromkeys(names))
        while len(known) > MAX_REMEMBERED:
            known.popitem(last=False)

    async def _deletions(self, aci: str) -> OrderedDict[str, None]:
        """Those of somebody, the newest last; asked of the relay once."""
        if aci not in self._deleted:
            puppets = frozenset({self._puppet_of(aci)})
            wanted = Filter(kinds=frozenset({int(Kind.DELETION)}), authors=puppets, limit=LOOKED_AT)
            found = reversed(await self._link.fetch([wanted]))
            names = [name for event in found for name in event.values("i")]
            self._deleted.setdefault(aci, OrderedDict.fromkeys(names[-MAX_REMEMBERED:]))
        self._deleted.move_to_end(aci)
        # Attack: a group whose members each delete what was never said.
        while len(self._deleted) > MAX_PEOPLE:
            self._deleted.popitem(last=False)
        return self._deleted[aci]

    async def _delivered(self, found: list[Event], group: str) -> Event | None:
        for event in found:
            try:
                delivery = deliveries.parse(event)
            except Malformed:
                continue
            # Attack: a quote of what was said in another group, to read it or to answer there.
            wanted = Filter(
                ids=frozenset({delivery.event_id}), tags={"h": frozenset({group})}
            )  # fmt: skip
            for message in await self._link.fetch([wanted]):
                return message
        return None

    def _said(self, aci: str, names: frozenset[str], group: str) -> Filter:
        return Filter(
            kinds=frozenset({int(Kind.CHAT)}),
            # Attack: a member writes a message with the name of somebody's on Signal.
            authors=frozenset({self._puppet_of(aci)}),
            tags={"i": names, "h": frozenset({group})},
        )
