"""Shell: order within a conversation, where something in it takes long and nobody else is to wait.

Work is done at once, before the next wrap is looked at, unless it is slow or waits for slow work of
its own groups. Then it goes on beside the reading, and its wrap is held at the reader's place: a
bridge that is killed meanwhile does it again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection

from bot.place import Place

MAX_WAITING = 200  # beyond it the reading waits: what is held stands in the place, one event
MAX_OF_GROUP = 50  # beyond it slow work of that group is to be given up

Work = Callable[[], Awaitable[None]]


class Lanes:
    """tasks: in which slow work goes on; what it raises ends them all. place: the reader's."""

    def __init__(self, tasks: asyncio.TaskGroup, place: Place) -> None:
        self._tasks, self._place = tasks, place
        self._last: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._waiting: Counter[str] = Counter()
        self._hurry: dict[str, asyncio.Event] = {}

    async def run(
        self, event_id: str, groups: Collection[str], work: Work, *, slow: bool = False
    ) -> None:
        """Do the work of an event, in the order of these calls within each of the groups."""
        if not slow and not self._before(groups):
            await work()
            return
        await self._room.acquire()
        self._place.hold(event_id)
        before = self._before(groups)
        task = self._tasks.create_task(self._later(event_id, groups, before, work))
        self._last |= dict.fromkeys(groups, task)
        self._waiting.update(groups)
        for group in groups:
            if self._waiting[group] >= MAX_OF_GROUP:
                self.hurry(group).set()

    def is_busy(self, group: str) -> bool:
        """Say whether work of a group goes on beside the reading, so that more of it would wait."""
        return bool(self._before([group]))

    def hurry(self, group: str) -> asyncio.Event:
        """Set while too much of a group waits. Attack: one who is bound sends a file that never
        comes and hundreds of words behind it, and everybody's mail waits."""
        return self._hurry.setdefault(group, asyncio.Event())

    def _before(self, groups: Collection[str]) -> frozenset[asyncio.Task[None]]:
        self._last = {group: task for group, task in self._last.items() if not task.done()}
        return frozenset(self._last[group] for group in groups if group in self._last)

    async def _later(
        self,
        event_id: str,
        groups: Collection[str],
        before: Collection[asyncio.Task[None]],
        work: Work,
    ) -> None:
        if before:
            await asyncio.wait(before)
        await work()
        self._place.release(event_id)
        self._room.release()
        self._waiting.subtract(groups)
        for group in groups:
            if self._waiting[group] <= 0:
                del self._waiting[group]
                self._hurry.pop(group, None)
