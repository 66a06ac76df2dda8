"""Shell: the groups as of now: what the relay has of them, and what has been learnt since."""

from __future__ import annotations

import structlog

from bot.author import Author, of_kinds
from bot.groups import MEMBERSHIP_KINDS, Group, Groups
from nips.event import Event
from nips.filter import MAX_VALUES, Filter
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.refusal import Malformed

log = structlog.get_logger()


class Directory:
    """The groups. What the router itself writes of them it lets the directory learn at once."""

    def __init__(self, author: Author) -> None:
        self.groups = Groups()
        self._author = author

    def group(self, group_id: str) -> Group | None:
        """The group of that id."""
        return self.groups.by_id.get(group_id)

    def now(self) -> Groups:
        """All of them, as of now."""
        return self.groups

    async def load(self) -> None:
        """Learn every group and binding that the relay has."""
        for event in await self._author.stored([Filter(kinds=of_kinds(*MEMBERSHIP_KINDS))]):
            self.learn(event)
        names = [bindings.D_PREFIX + group for group in self.groups.by_id]
        for first in range(0, len(names), MAX_VALUES):
            kept = Filter(
                authors=frozenset({self._author.pubkey}),
                kinds=of_kinds(Kind.APP_DATA),
                tags={"d": frozenset(names[first : first + MAX_VALUES])},
            )
            # In order of arrival: otherwise the relay would cap what is stored.
            for event in await self._author.stored([kept]):
                self.learn(event)

    def learn(self, event: Event) -> None:
        """Take an event of moderation, or a binding, into account."""
        try:
            if event.kind == Kind.APP_DATA:
                binding = bindings.parse(event, self._author.pubkey)
                self.groups = self.groups.bound(binding, event.created_at)
            else:
                self.groups = self.groups.after(event)
        except Malformed as error:
            log.warning("not understood", id=event.id[:12], reason=str(error))
