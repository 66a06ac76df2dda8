"""Shell: what is said in a bound group, to the people bound to it on Signal.

    kind 9, 7, 5 ─► delivery, stored as pending ─► its conversations' queues ─► `sender`

From the stored delivery on the event is dealt with, whatever happens to this process. Bindings are
followed with the words, in one order of arrival: what was said before a binding is not for those
whom it names.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from bot.bridges.bindings import Bindings, Bound, bound_by
from bot.bridges.signal.outward.book import Book, Page
from bot.bridges.signal.outward.origins import ASKED_AT_ONCE, Origins
from bot.bridges.signal.outward.outgoing import emoji, pending, says_something
from bot.bridges.signal.outward.queues import Queues
from bot.bridges.signal.outward.sender import Ended
from bot.bridges.signal.people import NETWORK
from bot.bridges.standing import Standing
from bot.bridges.written import written
from bot.notice import HERE_ONLY
from bot.place import Place, follow
from nips import nip25, nip29
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.delivery import Status
from nips.own.roles import Roles
from nips.refusal import Malformed
from relay_local.client import Delivery, Link

READER = "signal-outbox"

log = structlog.get_logger()


class Outbox:
    """key: the bridge's. owner: theirs in hex, None while nobody is. puppet_of: gives the puppet's
    key in hex of an ACI."""

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        roles: Roles,
        bindings: Bindings,
        book: Book,
        origins: Origins,
        owner: Callable[[], str | None],
        puppet_of: Callable[[str], str],
    ) -> None:
        self._link, self._key, self._roles, self._bindings = link, key, roles, bindings
        self._book, self._origins = book, origins
        self._owner, self._puppet_of = owner, puppet_of
        self._place = Place(link, key, READER)
        self._standing = Standing(link, key, NETWORK, self._place, READER)

    async def run(self, queues: Queues, ended: Ended) -> None:
        """Have what is pending dealt with, then follow the groups until cancelled. ended: what of
        all that was ever sent ended how, is counted there."""
        await self._resume(queues, ended)
        # By whoever: the owner may be named later.
        words = Filter(
            kinds=frozenset({
                int(Kind.CHAT), int(Kind.BUZZ_CHAT), int(Kind.DELETION), nip29.DELETE_EVENT
            })
        )  # fmt: skip
        signs = Filter(
            kinds=frozenset({int(Kind.REACTION)}), authors=frozenset({self._roles.bot})
        )  # fmt: skip
        bindings = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}), authors=frozenset({self._roles.router})
        )  # fmt: skip
        await self._standing.load(self._bindings.every_group())
        try:
            async for item in follow(self._link, [words, signs, bindings], self._place):
                match item:
                    case Delivery(event) if event.kind == Kind.APP_DATA:
                        await self._learn(event)
                    case Delivery(event):
                        await self._handle(event, queues)
        finally:
            await self._place.save()

    async def _learn(self, event: Event) -> None:
        with suppress(Malformed):  # `bindings` tells of it
            if (found := bound_by(event, self._roles.router, NETWORK)) is not None:
                await self._standing.learn(found)

    async def _handle(self, event: Event, queues: Queues) -> None:
        bound = self._standing.of(event.tag("h") or "")
        if bound is None or bound.binding.archived or not bound.people:
            return
        to = await self._conversations(event, bound)
        if not to or await self._book.find(event.id) is not None:
            return
        delivery = pending(event.id, to, _now_s())
        await self._book.write(Page(delivery), delivery)
        queues.put(event.id, to)

    async def _conversations(self, event: Event, bound: Bound) -> tuple[str, ...]:
        """Whither something goes; nowhere, where it stays here."""
        match event.kind:
            case Kind.REACTION:
                return await self._of_sign(event, bound)
            case Kind.DELETION | nip29.DELETE_EVENT:
                return await self._of_retraction(event, bound)
            case _:
                return self._of_words(event, bound)

    def _of_words(self, message: Event, bound: Bound) -> tuple[str, ...]:
        if not says_something(message, self._roles.router):
            return ()
        if message.pubkey == self._owner():
            return bound.people if bound.binding.owner_speaks else ()
        if message.kind != Kind.CHAT or not self._is_ours(message.pubkey):
            return ()
        if HERE_ONLY in message.tags and message.pubkey == self._roles.router:
            return ()
        return self._recipients(message, bound)

    def _is_ours(self, author: str) -> bool:
        return author in (self._roles.bot, self._roles.router)

    def _recipients(self, message: Event, bound: Bound) -> tuple[str, ...]:
        """The conversations of whoever is addressed, else the one that is answered by default. A
        group of Signal's has no other beside it."""
        tagged = set(message.values("p"))
        found = (one for one in bound.people if self._puppet_of(one) in tagged)
        return tuple(found) or bound.people[:1]

    async def _of_sign(self, event: Event, bound: Bound) -> tuple[str, ...]:
        try:
            reaction = nip25.parse(event)
        except Malformed:
            return ()
        about = await self._origins.message(reaction.to.id, bound.binding.group)
        if about is None or emoji(reaction.sign) is None:
            return ()
        known = [one for one in bound.people if await self._origins.of(about, bound, one)]
        return tuple(known[:1])

    async def _of_retraction(self, event: Event, bound: Bound) -> tuple[str, ...]:
        """Those in which something of it was said, or is about to be."""
        pages = await self._origins.taken_back(event)
        said = {one for page in pages for one in page.delivery.to}
        return tuple(one for one in bound.people if one in said)

    async def _resume(self, queues: Queues, ended: Ended) -> None:
        waiting: dict[str, tuple[str, ...]] = {}
        for found in await written(self._link, self._key.public):
            states = {state.status for state in found.delivery.relays}
            ended.uncertain += Status.UNCERTAIN in states
            ended.failed += Status.FAILED in states
            if found.is_pending:
                waiting[found.delivery.event_id] = found.delivery.to
        for event_id in await self._in_order(list(waiting)):
            queues.put(event_id, waiting[event_id])

    async def _in_order(self, ids: list[str]) -> list[str]:
        """The same ids, as the events arrived here; first those of events that are there no more,
        which are settled without a request."""
        arrived: dict[str, int] = {}
        for start in range(0, len(ids), ASKED_AT_ONCE):
            wanted = Filter(ids=frozenset(ids[start : start + ASKED_AT_ONCE]))
            async with self._link.subscribe([wanted], after_seq=0) as stream:
                async for item in stream:
                    if not isinstance(item, Delivery):
                        break
                    arrived[item.event.id] = item.seq or 0
        return sorted(ids, key=lambda event_id: arrived.get(event_id, -1))


def _now_s() -> int:
    return int(time.time())
