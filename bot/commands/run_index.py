"""Shell: the ids of the runs there were, in order of arrival; one is found from its first digits.

A relay finds whole ids only. So they are read once in the background, a few at a time, and from
then on what is new before each look, in order of arrival.
"""

from __future__ import annotations

import asyncio

from bot.author import Author, of_kinds
from nips.filter import Filter
from nips.kinds import Kind
from relay_local.client import Caught, Delivery

AT_A_TIME = 250  # that few do not hold up the router's other work
PAUSE_S = 0.02


class RunIndex:
    """author: the router's pen, whose job requests these are."""

    def __init__(self, author: Author) -> None:
        self._author = author
        self._numbers: dict[str, int] = {}
        self._epoch: str | None = None
        self._seq = 0
        self._lock = asyncio.Lock()

    async def fill(self) -> None:
        """Read what there is; may be called at any time."""
        async with self._lock:
            await self._catch_up()

    async def find(self, beginning: str) -> str | None:
        """The newest run whose id begins like this, in lower-case hex."""
        await self.fill()
        found = [run for run in self._numbers if run.startswith(beginning)]
        return max(found, key=self.number, default=None)

    def number(self, run: str) -> int:
        """Its number in order of arrival; 0 for one that had not come at the last look."""
        return self._numbers.get(run, 0)

    async def _catch_up(self) -> None:
        wanted = Filter(authors=frozenset({self._author.pubkey}), kinds=of_kinds(Kind.JOB_REQUEST))
        read = 0
        async with self._author.link.subscribe(
            [wanted], after_seq=self._seq, epoch=self._epoch
        ) as stream:
            async for item in stream:
                match item:
                    case Delivery(event, int(seq)):
                        self._numbers[event.id] = seq
                        read += 1
                        if read % AT_A_TIME == 0:
                            await asyncio.sleep(PAUSE_S)
                    case Caught(epoch, int(seq)):
                        self._epoch, self._seq = epoch, seq
                        return
