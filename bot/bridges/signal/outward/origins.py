"""Shell: how Signal knows a message of a group: by its author and its time there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bot.bridges.bindings import Bound
from bot.bridges.signal.outward.book import Book, Page
from bot.bridges.signal.outward.outgoing import conversation_of
from bot.bridges.signal.people import NETWORK
from nips.event import Event
from nips.filter import Filter
from nips.key import is_hex
from nips.kinds import Kind
from relay_local.client import Link

ASKED_AT_ONCE = 200  # ids in a filter
_PROXY = re.compile(r"signal:[0-9a-f]{32}:([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Origin:
    """author: an ACI, or our number. timestamp_ms: when they wrote it."""

    author: str
    timestamp_ms: int


class Origins:
    """account: our number. speaks: whether a key (hex) is one whose messages go out through our
    account. own_aci: ours, None while it is not known. aci_of: whose puppet a key (hex) is, None
    where that is not known."""

    def __init__(
        self,
        link: Link,
        book: Book,
        account: str,
        speaks: Callable[[str], bool],
        own_aci: Callable[[], str | None],
        aci_of: Callable[[str], str | None],
    ) -> None:
        self._link, self._book, self._account = link, book, account
        self._speaks, self._own_aci, self._aci_of = speaks, own_aci, aci_of

    @property
    def ourselves(self) -> str:
        """What our messages have for an author."""
        return self._own_aci() or self._account

    async def message(self, event_id: str, group: str) -> Event | None:
        """A message of the group; None where it is not there, or in another."""
        if not is_hex(event_id, 32):  # Attack: a filter that the relay refuses, and we end
            return None
        # Attack: an answer that quotes another group's message to these people.
        wanted = Filter(ids=frozenset({event_id}), tags={"h": frozenset({group})})
        return next(iter(await self._link.fetch([wanted])), None)

    async def of(self, message: Event, bound: Bound, conversation: str) -> Origin | None:
        """How it is known in that conversation; None where it is not known there."""
        if self._speaks(message.pubkey):
            return await self._of_ours(message, conversation)
        author = self._aci_of(message.pubkey)
        if author is None or (bound.people != (conversation,) and author != conversation):
            # Attack: what somebody said in one of the group's conversations, shown in another.
            return None
        for tag in message.tags:
            if tag[0] == "proxy" and tag[2:] == (NETWORK,) and (found := _PROXY.fullmatch(tag[1])):
                return Origin(author, int(found[1]))
        return None

    async def taken_back(self, deletion: Event) -> list[Page]:
        """The pages of what a deletion has taken away here, of all that went out."""
        # Attack: a member's 5 that names what the bot has said; the relay keeps that, and the 5.
        if deletion.kind == Kind.DELETION and not self._speaks(deletion.pubkey):
            return []
        named = [value for value in dict.fromkeys(deletion.values("e")) if is_hex(value, 32)]
        pages = []
        for start in range(0, len(named), ASKED_AT_ONCE):
            ids = named[start : start + ASKED_AT_ONCE]
            kept = {event.id for event in await self._link.fetch([Filter(ids=frozenset(ids))])}
            # Attack: an agent's 5 that names what the owner has said, or another group's events.
            pages += [await self._book.find(event_id) for event_id in ids if event_id not in kept]
        return [page for page in pages if page is not None]

    async def _of_ours(self, message: Event, conversation: str) -> Origin | None:
        page = await self._book.find(message.id)
        sent = sorted(page.delivery.sent, key=lambda one: one.part) if page else []
        for one in sent:
            if page and conversation_of(page.delivery, one.part) == conversation:
                return Origin(self.ourselves, one.timestamp_ms)
        return None
