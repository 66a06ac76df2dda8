"""Shell: when Signal wants a pause, everything waits."""

from __future__ import annotations

import asyncio

from bot.bridges.pauses import pause_s

FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 120.0


class Gate:
    """Open at first. A limit's pauses grow until something has gone through."""

    def __init__(self) -> None:
        self._limits = 0
        self._until = 0.0

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

    async def wait(self) -> None:
        """Return when it is open."""
        while self.is_shut:
            left_s = self._until - asyncio.get_running_loop().time()
            await asyncio.sleep(left_s)
