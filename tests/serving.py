"""A router that works in the test's own process, from ready to cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.router import Router

READY_S = 30.0


@asynccontextmanager
async def serving(router: Router) -> AsyncIterator[Router]:
    """Have it serve for the length of the block; it must come up, and end by nothing else."""
    task = asyncio.create_task(router.serve())
    ready = asyncio.create_task(router.ready.wait())
    await asyncio.wait({task, ready}, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
    assert ready.done(), task.exception() if task.done() else "not ready"
    try:
        yield router
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended
