"""Shell: an alarm for one moment, the nearest: an APScheduler with one job.

It reckons nothing: which moment that is, `bot.schedule` knows. APScheduler goes by the wall clock,
so one that is put back would have it sleep a day too long; and a machine that sleeps stops the
clock that it waits by. So the two clocks are held against each other every `LOOK_S`, which costs
nothing that could be measured: where the wall clock has gone another way, it rings.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from apscheduler.schedulers.asyncio import AsyncIOScheduler

LOOK_S = 1.0
STEP_S = 0.1  # by which a clock is another one; what its keeper corrects meanwhile is less
LONGEST_S = 60.0  # what is due later is looked at again: it costs nothing
_NEAREST = "nearest"


def wall_s() -> float:
    """How far the wall clock is before the steady one, which nobody sets."""
    return time.time() - time.monotonic()


class Alarm:
    """To be entered before it is set. look_s: how often the clocks are compared; ahead_s: says how
    far the wall clock is before the steady one."""

    def __init__(self, look_s: float = LOOK_S, ahead_s: Callable[[], float] = wall_s) -> None:
        self._look_s, self._ahead_s = look_s, ahead_s
        self._rung = asyncio.Event()
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._set_at_s = ahead_s()

    async def __aenter__(self) -> Self:
        self._scheduler.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scheduler.shutdown(wait=False)

    def set(self, in_s: float) -> None:
        """Ring in so many seconds, and not at the time that was set before."""
        self._set_at_s = self._ahead_s()
        self._scheduler.add_job(
            self._ring,
            "date",
            run_date=datetime.now(UTC) + timedelta(seconds=max(0.0, min(in_s, LONGEST_S))),
            id=_NEAREST,
            replace_existing=True,
            misfire_grace_time=None,
        )

    def ring(self) -> None:
        """Ring now: something has changed."""
        self._rung.set()

    async def wait(self) -> None:
        """Until it rings, or the wall clock has been set since the alarm was."""
        while not self._rung.is_set() and abs(self._ahead_s() - self._set_at_s) < STEP_S:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await self._rung.wait()
        self._rung.clear()

    async def _ring(self) -> None:
        self._rung.set()
