"""A queue that hands over all that waits."""

from __future__ import annotations

import asyncio

from relay_local.batches import Batches


async def test_all_that_waits_is_taken_in_its_order() -> None:
    queue: Batches[int] = Batches()
    for number in range(10):
        queue.put(number)
    assert len(queue) == 10
    assert await queue.take(4) == [0, 1, 2, 3]
    queue.put(10)
    assert await queue.take(100) == [4, 5, 6, 7, 8, 9, 10]
    assert len(queue) == 0


async def test_who_takes_of_an_empty_queue_waits() -> None:
    queue: Batches[str] = Batches()
    taking = asyncio.create_task(queue.take(5))
    await asyncio.sleep(0)
    assert not taking.done()
    queue.put("a")
    queue.put("b")
    async with asyncio.timeout(5):
        assert await taking == ["a", "b"]


async def test_nothing_is_lost_with_a_taker_that_was_cancelled() -> None:
    queue: Batches[str] = Batches()
    taking = asyncio.create_task(queue.take(5))
    await asyncio.sleep(0)
    queue.put("a")
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    async with asyncio.timeout(5):
        assert await queue.take(5) == ["a"]
