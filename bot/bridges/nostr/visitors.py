"""Shell: what those are called who wrote and are bound to nothing: the public relays are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bot.bridges.nostr.contacts import Contacts
from bot.bridges.waiting import first_of

NAME_WAIT_S = 3.0  # for a profile, which a public relay may not have


class Visitors:
    """Their profiles are followed for as long as somebody waits for their names."""

    def __init__(self, contacts: Contacts) -> None:
        self._contacts = contacts
        self._asked: frozenset[str] = frozenset()
        self._change = asyncio.Event()

    @property
    def asked(self) -> frozenset[str]:
        """Whose profiles would be of use now, in hex."""
        return self._asked

    @property
    def change(self) -> asyncio.Event:
        """Set when `asked` changes. Take it before looking, then wait."""
        return self._change

    async def names(self, people: frozenset[str]) -> Mapping[str, str]:
        """What these people are called, as far as it is known within a moment."""
        self._ask(people)
        loop = asyncio.get_running_loop()
        until = loop.time() + NAME_WAIT_S
        while not all(map(self._contacts.knows, people)) and (left_s := until - loop.time()) > 0:
            await first_of(self._contacts.change, timeout_s=left_s)
        names = {person: self._contacts.name_of(person) for person in people}
        self._ask(frozenset())
        return names

    def _ask(self, people: frozenset[str]) -> None:
        self._asked = people
        self._change.set()
        self._change = asyncio.Event()
