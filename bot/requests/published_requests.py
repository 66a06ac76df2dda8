"""Shell: `find_published`: an event that the bot has published, for who edits or takes it back.

A session sees no record of its own; the router sees them all, and hands on of these what everybody
may know, and drafts, which are main's own.
"""

from __future__ import annotations

from bot.author import Author
from bot.requests.methods import Asked
from nips.event import Event
from nips.filter import Filter
from nips.key import is_hex
from nips.kinds import Kind, Storage, storage
from nips.own.public_query import is_private
from nips.own.roles import Roles
from nips.reference import author_of
from nips.refusal import Prefix, refused

# The bot's, and no group's, but for nobody else to read: grants and questions, what jobs cost.
KEPT_KINDS = frozenset({Kind.APP_DATA, Kind.COST})


class PublishedRequests:
    """author: the router's hands, whose link sees what the bot has published."""

    def __init__(self, author: Author, roles: Roles) -> None:
        self._author, self._roles = author, roles

    async def find_published(self, asked: Asked) -> str:
        """`[id or coordinates]`: the bot's event as JSON, `{}` where there is none. Main's."""
        if not asked.session.is_main:
            raise refused(
                Prefix.RESTRICTED,
                "what the assistant publishes is the owner's own conversation's only",
            )
        (named,) = asked.take(1, 1, "an event's id, or its coordinates")
        for event in await self._author.link.fetch([self._wanted(named)]):
            if _is_published(event):
                return event.to_bytes().decode()
        return "{}"

    def _wanted(self, named: str) -> Filter:
        bot = self._roles.bot
        if is_hex(named, 32):
            return Filter(ids=frozenset({named}), authors=frozenset({bot}))
        if author_of(named) != bot:
            raise refused(
                Prefix.INVALID, "it is called with the id or coordinates of the bot's own"
            )
        kind, _, rest = named.partition(":")
        d = rest.partition(":")[2]
        is_named = storage(int(kind)) is Storage.ADDRESSABLE
        return Filter(
            authors=frozenset({bot}),
            kinds=frozenset({int(kind)}),
            tags={"d": frozenset({d})} if is_named else {},
        )


def _is_published(event: Event) -> bool:
    # Attack: what was said in a conversation is answered, or taken back, in public.
    if any(tag[0] == "h" for tag in event.tags):
        return False
    return event.kind not in KEPT_KINDS and not is_private(event.kind)
