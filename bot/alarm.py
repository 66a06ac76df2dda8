"""Shell: an alarm for one moment, the nearest: an APScheduler with one job.

It reckons nothing: which moment that is, `bot.schedule` knows. APScheduler goes by the wall clock,
so one that is put back would have it sleep a day too long; and a machine that sleeps stops the
clock that it waits by. So nobody waits longer than `LOOK_S` before looking at the clock again.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from apscheduler.schedulers.asyncio import AsyncIOScheduler

LOOK_S = 30.0
_NEAREST = "nearest"


class Alarm:
    """To be entered before it is set. look_s: the longest that anybody waits."""

    def __init__(self, look_s: float = LOOK_S) -> None:
        self._look_s = look_s
        self._rung = asyncio.Event()
        self._scheduler = AsyncIOScheduler(timezone=UTC)

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
        self._scheduler.add_job(
            self._ring,
            "date",
            run_date=datetime.now(UTC) + timedelta(seconds=max(0.0, min(in_s, self._look_s))),
            id=_NEAREST,
            replace_existing=True,
            misfire_grace_time=None,
        )

    def ring(self) -> None:
        """Ring now: something has changed."""
        self._rung.set()

    async def wait(self) -> None:
        """Until it rings, or it is time to look at the clock again."""
        try:
            async with asyncio.timeout(self._look_s):
                await self._rung.wait()
        except TimeoutError:
            pass
        self._rung.clear()

    async def _ring(self) -> None:
        self._rung.set()
