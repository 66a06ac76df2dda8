"""Shell: what the bot has said in public, and how far each of it has got, as the relay holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.author import Author, of_kinds
from bot.publication import LISTED, Publication, is_shown
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.own.delivery import Delivery
from nips.own.roles import MAIL_BRIDGE, Roles
from nips.refusal import Malformed

MAX_FETCHED, MAX_REACTIONS = 200, 2_000


class Publications:
    """author: the router's hands, whose link sees what the bot has signed."""

    def __init__(self, author: Author, roles: Roles) -> None:
        self._author, self._roles = author, roles

    async def last(self, count: int) -> list[Publication]:
        """The newest, the newest first. A draft is left out once its article is as new."""
        bot = frozenset({self._roles.bot})
        found = await self._author.link.fetch(
            [
                Filter(authors=bot, kinds=LISTED, limit=MAX_FETCHED),
                # Of reactions most are in groups, to messages. Those that name a kind of ours are
                # found behind any number of them; the others, which an agent need not tell of
                # what kind their event is, as far as it goes.
                Filter(
                    authors=bot,
                    kinds=of_kinds(Kind.REACTION),
                    tags={"k": frozenset(map(str, LISTED))},
                    limit=MAX_FETCHED,
                ),
                Filter(authors=bot, kinds=of_kinds(Kind.REACTION), limit=MAX_REACTIONS),
            ]
        )
        public = {event.id: event for event in found if is_shown(event)}
        articles = {
            event.tag("d"): event.created_at
            for event in public.values()
            if event.kind == Kind.ARTICLE
        }
        shown = (
            event
            for event in public.values()
            if event.kind != Kind.DRAFT or event.created_at > articles.get(event.tag("d"), -1)
        )
        newest = sorted(shown, key=lambda event: (-event.created_at, event.id))[:count]
        return await self._with_deliveries(newest)

    async def of_id(self, event_id: str) -> Publication | None:
        """The one of this id (hex)."""
        return await self._one(
            Filter(authors=frozenset({self._roles.bot}), ids=frozenset({event_id}))
        )

    async def at(self, kind: int, d: str) -> Publication | None:
        """The version that stands at an address of the bot's."""
        return await self._one(
            Filter(
                authors=frozenset({self._roles.bot}),
                kinds=frozenset({kind}),
                tags={"d": frozenset({d})},
            )
        )

    async def _one(self, wanted: Filter) -> Publication | None:
        public = [event for event in await self._author.link.fetch([wanted]) if is_shown(event)]
        found = await self._with_deliveries(public[:1])
        return found[0] if found else None

    async def _with_deliveries(self, events: Iterable[Event]) -> list[Publication]:
        events = list(events)
        known = await self._deliveries(event.id for event in events)
        return [Publication(event, known.get(event.id)) for event in events]

    async def _deliveries(self, ids: Iterable[str]) -> Mapping[str, Delivery]:
        names = frozenset(deliveries.D_PREFIX + event_id for event_id in ids)
        if not names:
            return {}
        wanted = Filter(
            # Attack: the bridge of another network says where the bot's public words have got.
            authors=self._roles.bridge_keys(MAIL_BRIDGE),
            kinds=of_kinds(Kind.APP_DATA),
            tags={"d": names},
            limit=2 * len(names),
        )
        found: dict[str, Delivery] = {}
        for event in await self._author.link.fetch([wanted]):
            try:
                one = deliveries.parse(event)
            except Malformed:
                continue
            found.setdefault(one.event_id, one)
        return found
