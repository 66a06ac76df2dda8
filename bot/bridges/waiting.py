"""Shell: waiting for whichever of several things comes first, and growing pauses."""

from __future__ import annotations

import asyncio

from bot.bridges.pauses import pause_s

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 30.0


async def first_of(*events: asyncio.Event, timeout_s: float | None = None) -> None:
    """Wait until one of the events is set or the time is over."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class Patience:
    """Pauses before the next attempt at the same thing, each twice as long as the one before."""

    def __init__(self) -> None:
        self._attempt = 0

    async def pause(self, *sooner: asyncio.Event) -> None:
        """Wait; at most until one of the events that announce that a peer would now accept."""
        now_s = pause_s(self._attempt, FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._attempt += 1
        if sooner:
            await first_of(*sooner, timeout_s=now_s)
        else:
            await asyncio.sleep(now_s)
