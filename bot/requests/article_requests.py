"""Shell: `find_article`: since when an article of the bot's is published, for who edits it.

A session sees no record of its own; the router sees them all, and says of this one what everybody
may know.
"""

from __future__ import annotations

import json

from bot.author import Author, of_kinds
from bot.requests.methods import Asked
from nips import nip23
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.roles import Roles
from nips.refusal import Prefix, refused


class ArticleRequests:
    """author: the router's hands, whose link sees what the bot has published."""

    def __init__(self, author: Author, roles: Roles) -> None:
        self._author, self._roles = author, roles

    async def find_article(self, asked: Asked) -> str:
        """`[slug]`: `{"published_at":…,"created_at":…}` of the bot's article of that name, `{}`
        where there is none. Main's."""
        if not asked.session.is_main:
            raise refused(
                Prefix.RESTRICTED, "articles are written in the owner's own conversation only"
            )
        (slug,) = asked.take(1, 1, "an article's name")
        wanted = Filter(
            authors=frozenset({self._roles.bot}),
            kinds=of_kinds(Kind.ARTICLE),
            tags={"d": frozenset({slug})},
        )
        for event in await self._author.link.fetch([wanted]):
            found = nip23.parse(event)
            return json.dumps({"published_at": found.published_at, "created_at": event.created_at})
        return "{}"
