"""Shell: somebody wrote who is bound to nothing: the router is told who, never what.

Attack: ten thousand keys write once each. A few are told of at a time; of those beyond a short
queue nothing is kept, and who was told of lately is not told of again. When the router shows no
more, nobody is told of for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from bot.bridges.waiting import Patience
from nips.own.binding import MAX_COUNTERPARTS
from nips.refusal import Prefix, Refused
from relay_local.client import Caller, Unanswered

MAX_QUEUED = 50
MAX_REMEMBERED = 2_000
AT_ONCE = 10
MAX_TRIES = 3
QUIET_S = 600.0
TELL_DEADLINE_S = 20.0

log = structlog.get_logger()


Names = Callable[[frozenset[str]], Awaitable[Mapping[str, str]]]


class Doorbell:
    """caller: to the router, with the bridge's key. names: what those people (their ids on the
    network) are called. owner: the owner's id there, None where that is not known."""

    def __init__(
        self, caller: Caller, network: str, names: Names, owner: Callable[[], str | None]
    ) -> None:
        self._caller, self._network, self._names, self._owner = caller, network, names, owner
        self._queue: asyncio.Queue[frozenset[str]] = asyncio.Queue(MAX_QUEUED)
        self._rung: dict[frozenset[str], None] = {}
        self._quiet_until = 0.0

    def ring(self, people: frozenset[str]) -> None:
        """Have the router told of these people, where that was not done lately."""
        if self._is_quiet or people in self._rung or len(people) > MAX_COUNTERPARTS:
            return
        if self._queue.full():
            return  # who means it writes again
        self._rung[people] = None
        if len(self._rung) > MAX_REMEMBERED:
            del self._rung[next(iter(self._rung))]
        self._queue.put_nowait(people)

    async def run(self) -> None:
        """Tell of those who wait, a few at a time, until cancelled."""
        while True:
            waiting = [await self._queue.get()]
            while len(waiting) < AT_ONCE and not self._queue.empty():
                waiting.append(self._queue.get_nowait())
            others = frozenset[str]().union(*waiting)
            names = {} if self._is_quiet else await self._names(others)
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
        others = sorted(people - {self._owner() or ""})
        names = ", ".join(names_of[person] for person in others)
        patience = Patience()
        for _ in range(MAX_TRIES):
            served = self._caller.served
            try:
                return await self._caller.call(
                    "stranger",
                    self._network,
                    ",".join(sorted(people)),
                    names,
                    deadline_s=TELL_DEADLINE_S,
                )
            except Unanswered:
                return ""
            except Refused as error:
                if error.refusal.prefix in (Prefix.INVALID, Prefix.UNSUPPORTED):
                    return str(error.refusal)
                log.info("a stranger is not told of yet", reason=str(error))
            await patience.pause(served)
        return ""
