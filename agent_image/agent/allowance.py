"""Shell: how much of its time a run has left, and the word that it is nearly over.

What passes its limit is ended in mid-sentence by whoever started it. So while there is a fifth of
the time left the model is told, beside the next answer it gets, and those who watch are, in a line
of progress.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

WARNED_AT = 0.8  # of the time that a run may take


class Allowance:
    """A run that begins now and may take `seconds`. now: the steady clock, in seconds."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        began_s = now()
        self._short_s, self._ends_s = began_s + seconds * WARNED_AT, began_s + seconds
        self._has_warned = False

    def warning(self) -> str:
        """What the model is told, once, when little is left; else nothing."""
        if self._has_warned or self._now() < self._short_s:
            return ""
        self._has_warned = True
        return (
            f"[The time for this is nearly over: {self._left_s()} seconds are left, then all of "
            "this is ended at once. Say now what you have found, and what is left to do.]"
        )

    async def tell(self, say: Callable[[str], None]) -> None:
        """Wait until little is left, and say so to those who watch."""
        await asyncio.sleep(max(0.0, self._short_s - self._now()))
        say(f"its time is nearly over: {self._left_s()} s are left")

    def _left_s(self) -> int:
        return max(0, int(self._ends_s - self._now()))
