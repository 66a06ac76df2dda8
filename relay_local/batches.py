"""Shell: a queue of which is taken all that waits, at once."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Batches(Generic[T]):
    """What waits for one taker, in its order. Of the event loop that it is used in."""

    def __init__(self) -> None:
        self._waiting: list[T] = []
        self._taker: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, one: T) -> None:
        """Add one; never waits."""
        self._waiting.append(one)
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)

    async def take(self, limit: int) -> list[T]:
        """At least one, and what waits behind it up to `limit`; waits while there is none."""
        while not self._waiting:
            self._taker = asyncio.get_running_loop().create_future()
            await self._taker
        taken, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return taken
