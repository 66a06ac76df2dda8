"""Shell: what is known of the people we talk with: where they read, what they are called.

Inbox lists (10050) are kept on the local relay as received; whoever writes one there directly, as
`nostrclaw chat` does, counts in the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.puppets import shown_name
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.nip17 import inbox_relays
from nips.refusal import Malformed
from relay_local.client import Caught, Delivery, Link

log = structlog.get_logger()


class Contacts:
    """A live view. `caught` is set once the local relay's lists are known."""

    def __init__(self, link: Link, arrivals: Arrivals) -> None:
        self._link = link
        self._arrivals = arrivals
        self._asked: frozenset[str] = frozenset()
        self._lists: dict[str, Event] = {}
        self._profiles: dict[str, Event] = {}
        self._change = asyncio.Event()
        self.caught = asyncio.Event()

    def relays_of(self, person: str) -> tuple[str, ...]:
        """Where a person (hex) reads direct messages; none while no list of theirs is known."""
        found = self._lists.get(person)
        return inbox_relays(found) if found else ()

    def name_of(self, person: str) -> str:
        """What to call them."""
        found = self._profiles.get(person)
        return shown_name(person, found.content if found else None)

    async def ask_for(self, people: Iterable[str]) -> None:
        """Look these people up on the public relays, now and from now on."""
        people = frozenset(people)
        if people and people != self._asked:
            self._asked = people
            await self._arrivals.follow_lists(people)

    @property
    def change(self) -> asyncio.Event:
        """Set when something new is known of anybody. Take it before looking, then wait."""
        return self._change

    async def follow_local(self) -> None:
        """Take lists from the local relay until cancelled."""
        wanted = Filter(kinds=frozenset({int(Kind.INBOX_RELAYS)}))
        async with self._link.subscribe([wanted], after_seq=0) as stream:
            async for item in stream:
                match item:
                    case Delivery(event, _):
                        if _is_newer(event, self._lists.get(event.pubkey)):
                            self._lists[event.pubkey] = event
                            self._notify()
                    case Caught():
                        self.caught.set()

    async def follow_public(self) -> None:
        """Put lists from the public relays on the local one until cancelled."""
        async for event in self._arrivals.lists():
            if event.pubkey not in self._asked:
                continue  # a relay that answers what was not asked
            known = self._lists if event.kind == Kind.INBOX_RELAYS else self._profiles
            if not _is_newer(event, known.get(event.pubkey)):
                continue
            try:
                # Attack: a relay invents a list and so learns who writes to whom.
                event.verify()
            except Malformed as error:
                log.warning("list dropped", author=event.pubkey, reason=str(error))
                continue
            if event.kind == Kind.PROFILE:
                self._profiles[event.pubkey] = event
                self._notify()
            elif (ok := await self._link.publish(event)).refusal:
                log.warning("inbox list not stored", author=event.pubkey, reason=ok.message)

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


def _is_newer(event: Event, known: Event | None) -> bool:
    # NIP-01: with the same created_at "the event with the lowest id" is kept.
    return known is None or (event.created_at, known.id) > (known.created_at, event.id)
