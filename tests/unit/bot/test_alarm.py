"""bot/alarm.py: it rings at the moment set last, when it is rung, and when a clock is set."""

from __future__ import annotations

import asyncio
import time

import pytest

from bot.alarm import STEP_S, Alarm, wall_s

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


@pytest.mark.parametrize("by_s", [86_400.0, -86_400.0, 0.2])
async def test_a_clock_that_is_set_is_noticed(by_s: float) -> None:
    """A day back: what was set for then is a day away by the wall. Ahead: the machine slept."""
    ahead_s = 1_700_000_000.0
    async with Alarm(0.02, lambda: ahead_s) as alarm:
        alarm.set(LONG_S)
        waiting = asyncio.create_task(alarm.wait())
        ahead_s += 0.05  # as its keeper corrects it
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.shield(waiting)
        ahead_s += by_s
        async with asyncio.timeout(10):
            await waiting
        alarm.set(LONG_S)
        waiting = asyncio.create_task(alarm.wait())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.shield(waiting)
        waiting.cancel()


def test_the_clocks_of_this_machine_go_alike() -> None:
    assert wall_s() == pytest.approx(wall_s(), abs=STEP_S / 2)
    assert wall_s() + time.monotonic() == pytest.approx(time.time(), abs=STEP_S / 2)
