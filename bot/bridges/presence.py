"""Shell: puppets on the local relay: authenticated, members of their groups, with a name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from secrets import token_bytes

import structlog

from bot.author import is_duplicate
from bot.bridges import puppets
from bot.bridges.bindings import Bound
from bot.bridges.waiting import Patience
from nips.event import Event, Template
from nips.filter import Filter
from nips.frames import Ok
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip29 import GroupRole, members
from relay_local.client import Delivery, Link

MAX_LOOKS = 5  # at a group's members; about four seconds
MAX_KEYS = 20_000  # that are remembered
MAX_SEATS = 2_000  # of one group, for those who are not bound themselves

log = structlog.get_logger()


class Presence:
    """Of the people of one network, each by the id that they have there.

    key: the bridge's own, which is also the seed of its puppets' keys. name_of: what somebody is
    called in our groups.
    """

    def __init__(
        self, link: Link, key: SecretKey, network: str, name_of: Callable[[str], str]
    ) -> None:
        self._link, self._key, self._network, self._name_of = link, key, network, name_of
        self._keys: dict[str, SecretKey] = {}
        self._members: set[tuple[str, str]] = set()
        self._seated: set[tuple[str, str]] = set()
        self._profiles: dict[str, tuple[str, int]] = {}  # content, created_at
        self._making = asyncio.Lock()

    def key_of(self, person: str) -> SecretKey:
        """The puppet key of somebody."""
        if (key := self._keys.get(person)) is None:
            key = self._keys[person] = puppets.puppet_key(self._key, self._counterpart(person))
            while len(self._keys) > MAX_KEYS:  # made again when it is asked for
                del self._keys[next(iter(self._keys))]
        return key

    async def ready(self, bound: Bound, person: str) -> SecretKey | None:
        """Return a puppet that may write in a group, making what is missing; None where somebody
        in charge of the group has removed it since the person was bound, or too many are there.

        Who is there without being bound themselves, as the member of a group of that network,
        stays removed until they are put in again.
        """
        key, group = self.key_of(person), bound.binding.group
        async with self._making:
            if (bound.event_id, key.public) not in self._members:
                if person not in bound.people and (
                    self._is_full(group, key.public) or await self._was_put_out(group, key.public)
                ):
                    return None
                template = puppets.membership_template(
                    self._key.public,
                    group,
                    key.public,
                    bound.event_id,
                    self._counterpart(person),
                    _now_s(),
                )
                ok = await self._put(template, self._key)
                if is_duplicate(ok) and await self._is_removed(group, key.public):
                    return None
                if ok.accepted:
                    self._members.add((bound.event_id, key.public))
                    self._seated.add((group, key.public))
            if key.public not in self._profiles:
                await self._link.authenticate(key)
                self._profiles[key.public] = await self._stored_profile(key)
            await self._name(key, person)
        return key

    async def is_member(self, bound: Bound, person: str) -> bool:
        """Say whether somebody's puppet is in a group, as the relay says now."""
        key = await self.ready(bound, person)
        return key is not None and not await self._is_removed(bound.binding.group, key.public)

    def forget(self, bound: Bound, person: str) -> None:
        """Make the membership again at the next `ready`: the relay did not know it."""
        self._members.discard((bound.event_id, self.key_of(person).public))

    async def remember(self) -> None:
        """Know which puppets were ever put into which group: whoever was unbound while the bridge
        was down is removed too."""
        put = Filter(
            kinds=frozenset({int(Kind.PUT_USER)}), authors=frozenset({self._key.public})
        )  # fmt: skip
        for event in await self._in_order(put):
            group = event.tag("h") or ""
            self._seated.update((group, puppet) for puppet in event.values("p"))

    async def remove_all_but(self, kept: Mapping[str, Collection[str] | None]) -> None:
        """Take out the puppets of everybody else. kept: by group, those who stay; None: whoever is
        there."""
        gone_from: dict[str, set[str]] = {}
        for group, puppet in self._seated:
            stay = kept.get(group, ())
            if stay is not None and puppet not in {self.key_of(one).public for one in stay}:
                gone_from.setdefault(group, set()).add(puppet)
        for group, gone in gone_from.items():
            for puppet in gone & _puppets_of(await self._members_of(group)):
                await self._put(
                    puppets.removal_template(self._key.public, group, puppet, _now_s()), self._key
                )
            self._seated -= {(group, puppet) for puppet in gone}

    def _counterpart(self, person: str) -> str:
        return f"{self._network}:{person}"

    def _is_full(self, group: str, puppet: str) -> bool:
        # Attack: another network's service that makes up people without end. Each is a member for
        # good, and with each the list of all members is written anew.
        if (group, puppet) in self._seated:
            return False
        if sum(seat[0] == group for seat in self._seated) < MAX_SEATS:
            return False
        log.warning("a group has no seat left", group=group)
        return True

    async def _is_removed(self, group: str, puppet: str) -> bool:
        """Say whether a puppet that was put into a group is no member of it any more."""
        patience = Patience()
        for _ in range(MAX_LOOKS):
            if found := await self._members_of(group):
                return puppet not in _puppets_of(found)
            # There are members, and none are told: a list that is replaced while the relay looks
            # for it is in no answer. Taken for a removal, somebody's message would be dropped.
            await patience.pause()
        return True  # the group is gone

    async def _was_put_out(self, group: str, puppet: str) -> bool:
        """Say whether the last word on a puppet in a group is somebody else's that it goes."""
        words = Filter(
            kinds=frozenset({int(Kind.PUT_USER), int(Kind.REMOVE_USER)}),
            tags={"h": frozenset({group}), "p": frozenset({puppet})},
        )
        said = await self._in_order(words)
        return bool(said) and (
            said[-1].kind == Kind.REMOVE_USER and said[-1].pubkey != self._key.public
        )

    async def _in_order(self, wanted: Filter) -> list[Event]:
        """All stored events of a filter, in order of arrival."""
        found = []
        async with self._link.subscribe([wanted], after_seq=0) as stream:
            async for item in stream:
                if not isinstance(item, Delivery):
                    break
                found.append(item.event)
        return found

    async def _members_of(self, group: str) -> list[Event]:
        wanted = Filter(
            kinds=frozenset({int(Kind.GROUP_MEMBERS)}), tags={"d": frozenset({group})}
        )  # fmt: skip
        return await self._link.fetch([wanted])

    async def _name(self, key: SecretKey, person: str) -> None:
        content, written_s = self._profiles[key.public]
        # Two versions in one second tie and the lower id wins: each steps forward.
        created_at = max(_now_s(), written_s + 1)
        template = puppets.profile_template(key.public, self._name_of(person), created_at)
        if template.content == content:
            return
        if (await self._put(template, key)).accepted:
            self._profiles[key.public] = template.content, created_at

    async def _stored_profile(self, key: SecretKey) -> tuple[str, int]:
        wanted = Filter(authors=frozenset({key.public}), kinds=frozenset({int(Kind.PROFILE)}))
        found: list[Event] = await self._link.fetch([wanted])
        return (found[0].content, found[0].created_at) if found else ("", 0)

    async def _put(self, template: Template, key: SecretKey) -> Ok:
        ok = await self._link.publish(template.sign(key, token_bytes(32)))
        if ok.refusal:
            log.warning("puppet not ready", kind=template.kind, reason=ok.message)
        return ok


def _puppets_of(found: list[Event]) -> frozenset[str]:
    return frozenset(
        member.pubkey
        for event in found
        for member in members(event)
        if GroupRole.PUPPET in member.roles
    )


def _now_s() -> int:
    return int(time.time())
