"""Shell: what those are called who wrote and are bound to nothing, until the router was told."""

from __future__ import annotations

from collections.abc import Mapping

from bot.bridges.puppets import clean_name
from bot.bridges.signal.received.envelope import Conversation, Person

MAX_NAMES = 200  # more than wait at the door at a time


class Visitors:
    """The last of them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, who: Person, where: Conversation) -> None:
        """Take what a person, or the group in which they wrote, is called."""
        own = None if who.name == who.number else who.name
        name = clean_name((where.name if where.is_group else own) or "")
        self._names.pop(where.id, None)
        self._names[where.id] = f"{name} (Signal)" if name else ""
        while len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    async def names(self, conversations: frozenset[str]) -> Mapping[str, str]:
        """What these (ACIs, or internal group ids) are called; "" where that is not known."""
        return {one: self._names.get(one, "") for one in conversations}
