"""Shell: waiting for whichever of several things comes first, for the end of one, and with growing
pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

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


async def to_its_end(work: Coroutine[Any, Any, None], grace_s: float) -> None:
    """Do work that is not to be broken off: who is cancelled meanwhile waits for it so long, and is
    cancelled afterwards."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=grace_s)
        raise
    finally:
        task.cancel()


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
