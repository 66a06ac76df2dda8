"""When Signal wants a pause, everything waits; and goes on when it is over."""

from __future__ import annotations

import asyncio

import pytest

from bot.bridges.signal.outward import gate
from bot.bridges.signal.outward.gate import Gate


async def test_it_is_open_at_first() -> None:
    made = Gate()
    assert not made.is_shut
    await made.wait()


async def test_it_opens_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "FIRST_PAUSE_S", 0.01)
    made = Gate()
    made.shut()
    assert made.is_shut
    await asyncio.gather(*(made.wait() for _ in range(3)))
    assert not made.is_shut


async def test_pauses_grow_until_something_has_gone_through() -> None:
    made = Gate()

    def pause_s() -> float:
        made._until = 0.0
        made.shut()
        made.shut()  # another one that ran into the same limit
        return made._until - asyncio.get_running_loop().time()

    assert [round(pause_s(), -1) for _ in range(8)] == [10, 20, 40, 80, 120, 120, 120, 120]
    made.passed()
    assert round(pause_s(), -1) == 10
