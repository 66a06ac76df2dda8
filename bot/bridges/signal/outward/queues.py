"""Shell: order within each conversation, several conversations at once.

What belongs in several of them waits until it is the first in each. All its places are taken at
once, so two such never wait for each other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

AT_ONCE = 8  # in the mode that starts a program for each message, the service takes turns itself


@dataclass(slots=True)
class _Item:
    event_id: str
    behind: set[str]  # the conversations in which something is before it
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Queues:
    """tasks: in which the work goes on; what it raises ends them all. work: of one event."""

    def __init__(self, tasks: asyncio.TaskGroup, work: Callable[[str], Awaitable[None]]) -> None:
        self._tasks, self._work = tasks, work
        self._queues: dict[str, deque[_Item]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def __len__(self) -> int:
        """How many events are not dealt with."""
        return self._waiting

    def put(self, event_id: str, conversations: Sequence[str]) -> None:
        """Have an event dealt with after all that was put before it into its conversations."""
        item = _Item(event_id, set(conversations))
        self._waiting += 1
        for conversation in item.behind.copy():
            queue = self._queues.setdefault(conversation, deque())
            queue.append(item)
            if len(queue) == 1:
                self._tasks.create_task(self._serve(conversation, queue))

    async def _serve(self, conversation: str, queue: deque[_Item]) -> None:
        while queue:
            item = queue[0]
            item.behind.discard(conversation)
            if item.behind:
                await item.done.wait()
            else:
                async with self._room:
                    await self._work(item.event_id)
                self._waiting -= 1
                item.done.set()
            queue.popleft()
        del self._queues[conversation]
