"""Whenever spares are given up, each one that was made is ended, to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from bot.engine.outcome import Limits
from bot.engine.spare_rules import Bounds, Makeup
from bot.engine.spares import Spares
from nips.own.backend_name import BUILTIN
from nips.own.binding import Binding

GROUP = "00000000-0000-4000-8000-000000000001"
MAKEUP = Makeup(Binding(GROUP, "family", (), "@bot"), Limits(), (BUILTIN,))
LOOPS = 3  # turns of the event loop that an end takes


@dataclass(slots=True)
class Seen:
    """How many spares were made, and how many ended."""

    made: int = 0
    ended: int = 0


@dataclass(slots=True)
class Spare:
    """Something that has to be ended, which takes a while."""

    seen: Seen
    makeup: Makeup = MAKEUP
    made_s: float = field(default_factory=time.monotonic)
    is_alive: bool = True

    async def end(self) -> None:
        for _ in range(LOOPS):
            await asyncio.sleep(0)
        self.seen.ended += 1


def spares(seen: Seen, made: Callable[[], None] = lambda: None) -> Spares[Spare]:
    """made: is called with each one."""

    async def make(_makeup: Makeup) -> Spare:
        await asyncio.sleep(0)
        seen.made += 1
        made()
        return Spare(seen)

    found = Spares(make, lambda _group: MAKEUP, Bounds(most=1), lambda: None)
    found.used(GROUP)
    return found


async def stopped(serving: asyncio.Task[None]) -> None:
    await asyncio.wait({serving}, timeout=10)
    assert serving.cancelled()


async def test_one_that_is_made_in_the_moment_of_the_stop_is_ended() -> None:
    def stop() -> None:
        serving.cancel()

    seen = Seen()
    serving = asyncio.create_task(spares(seen, stop).serve())
    await stopped(serving)
    assert seen == Seen(1, 1)


@pytest.mark.parametrize("turns", range(12))
async def test_stopped_at_any_turn_nothing_is_left(turns: int) -> None:
    seen = Seen()
    serving = asyncio.create_task(spares(seen).serve())
    for _ in range(turns):
        await asyncio.sleep(0)
    serving.cancel()
    await stopped(serving)
    assert seen.made == seen.ended


async def test_stopped_in_the_moment_of_a_look_it_stops() -> None:
    """Python 3.11's `asyncio.wait_for` goes on where both come in one turn of the loop."""
    seen = Seen()
    kept = spares(seen)
    serving = asyncio.create_task(kept.serve())
    await kept.ready(GROUP)
    for _ in range(LOOPS):
        await asyncio.sleep(0)  # until it waits
    kept.look()
    serving.cancel()
    await stopped(serving)
    assert seen == Seen(1, 1)


async def test_who_stops_waiting_for_an_end_does_not_stop_it() -> None:
    seen = Seen()
    kept = spares(seen)
    serving = asyncio.create_task(kept.serve())
    await kept.ready(GROUP)
    dropping = asyncio.create_task(kept.drop(GROUP))
    await asyncio.sleep(0)
    dropping.cancel()
    serving.cancel()
    await stopped(serving)
    assert seen == Seen(1, 1)
