"""Shell: what the owner's own client does to groups, and what a killed predecessor left of them.

A group that the owner makes on their own assistant's relay is a conversation with the assistant:
it joins, and the group has a folder of its name. Deleted there, it is bound to nobody any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bot.author import Author, of_kinds
from bot.groups import Groups
from bot.registry import Registry, RegistryError
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.roles import Roles

PATIENCE_S = 3.0  # in which a client that made a group says what it is called

log = structlog.get_logger()


class Adoption:
    """owner: in hex. groups: the groups as of now, which have learnt an event before `saw`."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        owner: str,
        groups: Callable[[], Groups],
        registry: Registry,
    ) -> None:
        self._author, self._roles, self._owner = author, roles, owner
        self._groups, self._registry = groups, registry
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Finish what a predecessor left: deleted groups are nobody's, the owner's are
        registered. To be called before messages are read."""
        made = await self._author.stored([Filter(kinds=of_kinds(Kind.CREATE_GROUP))])
        for event in made:
            self._registry.created(event.tag("h") or "", event.pubkey)
        live = self._groups().by_id
        await self._registry.bury(*{event.tag("h") or "" for event in made}.difference(live))
        for group in tuple(live):
            await self.ensure(group)

    async def tidy(self) -> None:
        """Delete what registrations left that nobody has begun again. To be called when all
        that came before the start has been dealt with."""
        for group in tuple(self._groups().by_id.values()):
            is_ours = self._registry.maker(group.id) == self._author.pubkey
            if is_ours and group.binding is None and group.id != self._roles.main:
                await self._registry.clear(group.id)

    async def saw(self, event: Event) -> None:
        """Look at an event of moderation."""
        group = event.tag("h") or ""
        match event.kind:
            case Kind.CREATE_GROUP:
                self._registry.created(group, event.pubkey)
                if self._is_new(group):
                    await self._look(group)
            case Kind.EDIT_METADATA if group in self._waiting:
                await self._look(group)
            case Kind.REMOVE_USER if event.pubkey not in self._roles.bridges.values():
                await self._put_out(group, frozenset(event.values("p")))
            case Kind.DELETE_GROUP if group not in self._groups().by_id:
                self._wait_no_more(group)
                await self._registry.bury(group)

    async def _put_out(self, group: str, keys: frozenset[str]) -> None:
        """A puppet was removed by whoever is in charge: its person is bound no more."""
        h, d = {"h": frozenset({group})}, {"d": frozenset({group})}
        put = Filter(
            authors=frozenset(self._roles.bridges.values()),
            kinds=of_kinds(Kind.PUT_USER),
            tags={**h, "p": keys},
        )
        members = Filter(
            authors=frozenset({self._roles.relay}), kinds=of_kinds(Kind.GROUP_MEMBERS), tags=d
        )
        found = await self._author.link.fetch([put, members])
        # Read again after a restart, it may be long ago: they may have been let in since.
        here = {p for event in found if event.kind == Kind.GROUP_MEMBERS for p in event.values("p")}
        marks = {
            event.tag("for") or ""
            for event in found
            if event.kind == Kind.PUT_USER and here.isdisjoint(event.values("p"))
        }
        try:
            await self._registry.put_out(group, marks - {""})
        except RegistryError as error:
            log.warning("not unbound", group=group, reason=str(error))

    async def ensure(self, group: str) -> None:
        """Register a group that the owner made, where that has not been done: to be called
        before a message in it is looked at."""
        self._wait_no_more(group)
        if not self._is_new(group):
            return
        try:
            binding = await self._registry.adopt(group)
        except RegistryError as error:  # it was deleted meanwhile
            log.warning("group not registered", group=group, reason=str(error))
        else:
            log.info("group registered", group=group, folder=binding.folder)

    def _is_new(self, group_id: str) -> bool:
        group = self._groups().by_id.get(group_id)
        is_owners = self._registry.maker(group_id) == self._owner
        return is_owners and group is not None and group.binding is None

    async def _look(self, group: str) -> None:
        if self._groups().by_id[group].name:
            await self.ensure(group)
        elif group not in self._waiting:
            # Clients name a group by a second event; those that do not are not waited for.
            loop = asyncio.get_running_loop()
            self._waiting[group] = loop.call_later(PATIENCE_S, self._ensure_soon, group)

    def _ensure_soon(self, group: str) -> None:
        task = asyncio.create_task(self.ensure(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wait_no_more(self, group: str) -> None:
        if timer := self._waiting.pop(group, None):
            timer.cancel()
