"""Shell: when Signal wants a pause, everything waits."""

from __future__ import annotations

import asyncio

from bot.bridges.pauses import pause_s
from bot.bridges.waiting import first_of

FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 600.0


class Gate:
    """Open at first. A limit's pauses grow until something has gone through."""

    def __init__(self) -> None:
        self._limits = 0
        self._until = 0.0
        self._opened = asyncio.Event()

    @property
    def is_shut(self) -> bool:
        """Say whether a pause is wanted now."""
        return asyncio.get_running_loop().time() < self._until

    def shut(self) -> None:
        """Take note of a limit; one of several that ran into it at the same time is enough."""
        if not self.is_shut:
            pause = pause_s(self._limits, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            self._until = asyncio.get_running_loop().time() + pause
            self._limits += 1

    def passed(self) -> None:
        """Take note of something that has gone through."""
        self._limits = 0

    def open(self) -> None:
        """End the pause: somebody has given Signal the proof that it wanted."""
        self._until = 0.0
        self._opened.set()
        self._opened = asyncio.Event()

    async def wait(self) -> None:
        """Return when it is open."""
        while self.is_shut:
            left_s = self._until - asyncio.get_running_loop().time()
            await first_of(self._opened, timeout_s=left_s)
