"""Work that is not broken off, and the first of several."""

from __future__ import annotations

import asyncio

import pytest

from bot.bridges.waiting import first_of, to_its_end


async def test_work_goes_on_to_its_end_though_its_caller_is_cancelled() -> None:
    begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go.wait()
        done.set()

    caller = asyncio.create_task(to_its_end(work(), 10))
    await begun.wait()
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done.is_set()


async def test_it_is_not_waited_for_for_ever() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    caller = asyncio.create_task(to_its_end(work(), 0))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await ended.wait()


async def test_what_it_raises_is_raised() -> None:
    async def work() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await to_its_end(work(), 10)


async def test_the_first_ends_the_waiting() -> None:
    one, other = asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(first_of(one, other))
    other.set()
    await waiting
    await first_of(one, timeout_s=0)
