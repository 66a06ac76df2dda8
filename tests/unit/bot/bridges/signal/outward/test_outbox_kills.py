"""The bridge is killed between any two things that it does: nobody gets anything twice, and what
is lost is known to be in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from bot.bridges.signal.service.rest import Service
from nips.own.delivery import Status
from relay_local.client import Link
from tests.unit.bot.bridges.signal.outbound_stage import Stage, a_bridge, a_person, seen

N_ACTS = 14  # who is bound, two deliveries, three parts that begin, go and are answered, two ends
ACTS = ("publish", "send")


class Life:
    """Ends before the n-th thing that is done to the outside. Nothing is done after it."""

    def __init__(self, n: int) -> None:
        self._left = n
        self.over = asyncio.Event()

    async def do(self, act: Callable[[], Awaitable[Any]]) -> Any:
        self._left -= 1
        if self._left <= 0:
            self.over.set()
            raise asyncio.CancelledError
        return await act()


class Mortal:
    """Something whose acts end with a life."""

    def __init__(self, whole: object, life: Life) -> None:
        self._whole, self._life = whole, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        if name not in ACTS:
            return found
        return lambda *given, **named: self._life.do(lambda: found(*given, **named))


@pytest.mark.parametrize("n", range(1, N_ACTS + 1))
async def test_killed_before_any_act_nothing_goes_twice(stage: Stage, n: int) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    life = Life(n)
    first, second = "first " * 900, "second"
    async with a_bridge(
        stage,
        lambda link: cast(Link, Mortal(link, life)),
        lambda service: cast(Service, Mortal(service, life)),
    ):
        said = [await stage.say(group, text) for text in (first, second)]
        await asyncio.wait_for(life.over.wait(), 20)
    async with a_bridge(stage):
        last = await stage.say(group, "last")
        await stage.delivery(last.id)
        deliveries = [await stage.delivery(event.id) for event in said]
    got = seen(await stage.got(alice, 1))
    assert got[-1] == "last"
    assert got.count("second") <= 1
    assert sum("first" in text for text in got) <= 2
    doubts = [len(delivery.sending) for delivery in deliveries]
    assert sum(doubts) <= 1
    for delivery in deliveries:
        expected = Status.UNCERTAIN if delivery.sending else Status.OK
        assert delivery.relays[0].status is expected
    # Whatever is not there is known to be in doubt.
    assert got.count("second") >= 1 - doubts[1]
    assert sum("first" in text for text in got) >= 2 - doubts[0]
