"""Shell: somebody wrote who is bound to nothing: the router is told who, never what.

Attack: ten thousand keys write once each. A few are told of at a time; of those beyond a short
queue nothing is kept, and who was told of lately is not told of again. When the router shows no
more, nobody is told of for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from bot.bridges.nostr.contacts import Contacts
from bot.bridges.nostr.counterparts import Counterparts
from bot.bridges.nostr.puppets import NETWORK
from bot.bridges.nostr.waiting import Patience, first_of
from nips.own.binding import MAX_COUNTERPARTS
from nips.refusal import Prefix, Refused
from relay_local.client import Caller, Unanswered

MAX_QUEUED = 50
MAX_REMEMBERED = 2_000
AT_ONCE = 10
MAX_TRIES = 3
NAME_WAIT_S = 3.0  # for a profile, which a public relay may not have
QUIET_S = 600.0
TELL_DEADLINE_S = 20.0

log = structlog.get_logger()


class Doorbell:
    """caller: to the router, with the bridge's key."""

    def __init__(self, caller: Caller, contacts: Contacts, counterparts: Counterparts) -> None:
        self._caller, self._contacts = caller, contacts
        self._counterparts = counterparts
        self._queue: asyncio.Queue[frozenset[str]] = asyncio.Queue(MAX_QUEUED)
        self._rung: dict[frozenset[str], None] = {}
        self._quiet_until = 0.0
        self._asked: frozenset[str] = frozenset()
        self._change = asyncio.Event()

    def ring(self, people: frozenset[str]) -> None:
        """Have the router told of these people (hex), where that was not done lately."""
        if self._is_quiet or people in self._rung or len(people) > MAX_COUNTERPARTS:
            return
        if self._queue.full():
            return  # who means it writes again
        self._rung[people] = None
        if len(self._rung) > MAX_REMEMBERED:
            del self._rung[next(iter(self._rung))]
        self._queue.put_nowait(people)

    @property
    def asked(self) -> frozenset[str]:
        """Whose profiles would be of use now."""
        return self._asked

    @property
    def change(self) -> asyncio.Event:
        """Set when `asked` changes. Take it before looking, then wait."""
        return self._change

    async def run(self) -> None:
        """Tell of those who wait, a few at a time, until cancelled."""
        while True:
            waiting = [await self._queue.get()]
            while len(waiting) < AT_ONCE and not self._queue.empty():
                waiting.append(self._queue.get_nowait())
            others = frozenset[str]().union(*waiting)
            names = {} if self._is_quiet else await self._learn_names(others)
            for people in waiting:
                is_quiet = self._is_quiet
                answer = "full" if is_quiet else await self._tell(people, names)
                if answer == "full" and not is_quiet:
                    self._quiet_until = asyncio.get_running_loop().time() + QUIET_S
                if answer in ("full", ""):
                    self._rung.pop(people, None)
                log.info("a stranger was told of", answer=answer or "not told")

    @property
    def _is_quiet(self) -> bool:
        return asyncio.get_running_loop().time() < self._quiet_until

    async def _tell(self, people: frozenset[str], names_of: Mapping[str, str]) -> str:
        # Of a room the owner is told who is in it besides them.
        others = sorted(people - {self._counterparts.owner or ""})
        names = ", ".join(names_of[person] for person in others)
        patience = Patience()
        for _ in range(MAX_TRIES):
            served = self._caller.served
            try:
                return await self._caller.call(
                    "stranger", NETWORK, ",".join(sorted(people)), names, deadline_s=TELL_DEADLINE_S
                )
            except Unanswered:
                return ""
            except Refused as error:
                if error.refusal.prefix in (Prefix.INVALID, Prefix.UNSUPPORTED):
                    return str(error.refusal)
                log.info("a stranger is not told of yet", reason=str(error))
            await patience.pause(served)
        return ""

    async def _learn_names(self, people: frozenset[str]) -> Mapping[str, str]:
        """Ask the public relays what these people are called, for a moment."""
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
