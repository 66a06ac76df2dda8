"""Shell: puppets on the local relay: authenticated, members of their groups, with a name."""

from __future__ import annotations

import asyncio
import time
from secrets import token_bytes

import structlog

from bot.bridges.nostr import puppets
from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.contacts import Contacts
from bot.bridges.nostr.counterparts import Bound, Counterparts
from bot.bridges.nostr.waiting import first_of
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from relay_local.client import Link

log = structlog.get_logger()


class Presence:
    """key: the bridge's own, which is also the seed of its puppets' keys."""

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        counterparts: Counterparts,
        contacts: Contacts,
        arrivals: Arrivals,
    ) -> None:
        self._link, self._key = link, key
        self._counterparts, self._contacts = counterparts, contacts
        self._arrivals = arrivals
        self._keys: dict[str, SecretKey] = {}
        self._members: set[tuple[str, str]] = set()
        self._profiles: dict[str, str] = {}
        self._making = asyncio.Lock()

    def key_of(self, person: str) -> SecretKey:
        """The puppet key of a Nostr user (hex)."""
        if person not in self._keys:
            self._keys[person] = puppets.puppet_key(self._key, puppets.counterpart(person))
        return self._keys[person]

    async def ready(self, bound: Bound, person: str) -> SecretKey:
        """Return a puppet that may write in a group, making what is missing."""
        key = self.key_of(person)
        async with self._making:
            if key.public not in self._profiles:
                await self._link.authenticate(key)
                self._profiles[key.public] = await self._stored_profile(key)
            if (bound.event_id, key.public) not in self._members:
                template = puppets.membership_template(
                    self._key.public, bound.binding.group, key.public, bound.event_id, _now_s()
                )
                if await self._put(template, self._key):
                    self._members.add((bound.event_id, key.public))
            await self._name(key, person)
        return key

    def forget(self, bound: Bound, person: str) -> None:
        """Make the membership again at the next `ready`: the relay did not know it."""
        self._members.discard((bound.event_id, self.key_of(person).public))

    async def run(self) -> None:
        """Keep the puppet of every counterpart ready, and named as they are, until cancelled."""
        while True:
            changes = (self._counterparts.change, self._contacts.change)
            people = self._counterparts.public_people
            if self._contacts.expect(people) and people:
                await self._arrivals.follow_lists(people)
            for bound in self._counterparts.groups().values():
                for person in bound.people:
                    await self.ready(bound, person)
            await first_of(*changes)

    async def _name(self, key: SecretKey, person: str) -> None:
        template = puppets.profile_template(key.public, self._contacts.name_of(person), _now_s())
        if template.content != self._profiles[key.public] and await self._put(template, key):
            self._profiles[key.public] = template.content

    async def _stored_profile(self, key: SecretKey) -> str:
        wanted = Filter(authors=frozenset({key.public}), kinds=frozenset({int(Kind.PROFILE)}))
        found: list[Event] = await self._link.fetch([wanted])
        return found[0].content if found else ""

    async def _put(self, template: Template, key: SecretKey) -> bool:
        ok = await self._link.publish(template.sign(key, token_bytes(32)))
        if ok.refusal:
            log.warning("puppet not ready", kind=template.kind, reason=ok.message)
        return ok.accepted


def _now_s() -> int:
    return int(time.time())
