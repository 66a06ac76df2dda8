"""bot/alarm.py: it rings at the moment that was set last, when it is rung, and for a look."""

from __future__ import annotations

import asyncio
from time import monotonic

from bot.alarm import Alarm

LONG_S = 3_600.0


async def test_it_rings_at_the_moment_that_was_set_last() -> None:
    async with Alarm(LONG_S) as alarm:
        alarm.set(LONG_S)
        alarm.set(0.05)
        async with asyncio.timeout(10):
            await alarm.wait()
        waiting = asyncio.create_task(alarm.wait())
        await asyncio.sleep(0)
        assert not waiting.done(), "it rings once"
        alarm.set(-5)
        async with asyncio.timeout(10):
            await waiting


async def test_it_is_rung_where_something_changes_before_it_is_waited_for_too() -> None:
    async with Alarm(LONG_S) as alarm:
        alarm.set(float("inf"))
        alarm.ring()
        async with asyncio.timeout(10):
            await alarm.wait()
            waiting = asyncio.create_task(alarm.wait())
            await asyncio.sleep(0)
            alarm.ring()
            await waiting


async def test_nobody_waits_longer_than_for_a_look_at_the_clock() -> None:
    """A clock that was put back by a day: what was set for then is a day away by the wall."""
    began = monotonic()
    async with Alarm(0.1) as alarm:
        alarm.set(86_400)
        async with asyncio.timeout(10):
            await alarm.wait()
    assert monotonic() - began >= 0.1
