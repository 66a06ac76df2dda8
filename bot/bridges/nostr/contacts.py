"""Shell: what is known of the people we talk with: where they read, what they are called.

Inbox lists (10050) are kept on the local relay as received; whoever writes one there directly, as
`nostrclaw chat` does, counts in the same way.
"""

from __future__ import annotations

import asyncio

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

    def __init__(self, link: Link) -> None:
        self._link = link
        self._expected: frozenset[str] = frozenset()
        self._visitors: frozenset[str] = frozenset()
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

    def knows(self, person: str) -> bool:
        """Say whether their profile is known."""
        return person in self._profiles

    def expect(
        self, people: frozenset[str], visitors: frozenset[str] = frozenset()
    ) -> bool:  # fmt: skip
        """Believe what is said of these people (hex), and of no others; says if that is new.
        visitors: of whom the name alone is wanted, for as long as they are named here."""
        former = self._expected, self._visitors
        self._expected, self._visitors = people, visitors
        # Attack: a crowd at the door, each with a profile as long as a relay takes it.
        for gone in self._profiles.keys() - people - visitors:
            del self._profiles[gone]
        return (people, visitors) != former

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
                        if is_newer(event, self._lists.get(event.pubkey)):
                            self._lists[event.pubkey] = event
                            self._notify()
                    case Caught():
                        self.caught.set()

    async def follow_public(self, arrivals: Arrivals) -> None:
        """Take lists and profiles from the public relays until cancelled."""
        async for event in arrivals.lists():
            await self.learn(event)

    async def learn(self, event: Event) -> None:
        """Take what a public relay says; an inbox list goes to the local relay."""
        is_list = event.kind == Kind.INBOX_RELAYS
        known = self._lists if is_list else self._profiles
        # Of whoever only wrote once, no list is kept: it would stay on the local relay.
        wanted = self._expected if is_list else self._expected | self._visitors
        if event.pubkey not in wanted or not is_newer(event, known.get(event.pubkey)):
            return
        try:
            # Attack: a relay invents a list and so learns who writes to whom.
            event.verify()
        except Malformed as error:
            log.warning("list dropped", author=event.pubkey, reason=str(error))
            return
        if event.kind == Kind.PROFILE:
            self._profiles[event.pubkey] = event
            self._notify()
        elif refusal := (await self._link.publish(event)).refusal:
            log.warning("inbox list not stored", author=event.pubkey, reason=str(refusal))

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


def is_newer(event: Event, known: Event | None) -> bool:
    """Say whether a replaceable event takes the place of the one that is known."""
    # NIP-01: with the same created_at "the event with the lowest id" is kept.
    return known is None or (event.created_at, known.id) > (known.created_at, event.id)
