"""Order within each conversation, several conversations at once."""

from __future__ import annotations

import asyncio

import pytest

from bot.bridges.signal.outward.queues import AT_ONCE, Queues


async def done(*puts: tuple[str, tuple[str, ...]]) -> list[str]:
    """In which order what was put is dealt with, each taking a turn of the loop."""
    order: list[str] = []

    async def work(event_id: str) -> None:
        await asyncio.sleep(0)
        order.append(event_id)

    async with asyncio.TaskGroup() as tasks:
        queues = Queues(tasks, work)
        for event_id, conversations in puts:
            queues.put(event_id, conversations)
        assert len(queues) == len(puts)
    assert len(queues) == 0
    return order


async def test_each_conversation_has_its_order() -> None:
    order = await done(*((f"{who}{n}", (who,)) for n in range(4) for who in "ab"))
    for who in "ab":
        assert [one for one in order if one[0] == who] == [f"{who}{n}" for n in range(4)]


async def test_what_belongs_in_two_waits_for_both() -> None:
    order = await done(
        ("a1", ("a",)), ("b1", ("b",)), ("both", ("a", "b")), ("a2", ("a",)), ("b2", ("b",)),
        ("other", ("b", "a")), ("a3", ("a",)),
    )  # fmt: skip
    assert set(order[:2]) == {"a1", "b1"}
    assert order[2] == "both"
    assert set(order[3:5]) == {"a2", "b2"}
    assert order[5:] == ["other", "a3"]


async def test_one_that_takes_long_holds_up_no_other_conversation() -> None:
    order: list[str] = []
    go = asyncio.Event()

    async def work(event_id: str) -> None:
        if event_id == "slow":
            await go.wait()
        order.append(event_id)
        if event_id == "quick":
            go.set()

    async with asyncio.TaskGroup() as tasks:
        queues = Queues(tasks, work)
        queues.put("slow", ("a",))
        queues.put("behind", ("a",))
        queues.put("quick", ("b",))
    assert order == ["quick", "slow", "behind"]


async def test_only_so_many_at_once() -> None:
    working, most = 0, 0

    async def work(_: str) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0)
        working -= 1

    async with asyncio.TaskGroup() as tasks:
        queues = Queues(tasks, work)
        for number in range(3 * AT_ONCE):
            queues.put(str(number), (f"conversation {number}",))
    assert most == AT_ONCE


async def test_what_the_work_raises_ends_it() -> None:
    async def work(_: str) -> None:
        raise LookupError("a bug")

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            Queues(tasks, work).put("one", ("a",))


async def test_a_conversation_goes_on_after_it_was_empty() -> None:
    order: list[str] = []

    async def work(event_id: str) -> None:
        order.append(event_id)

    async def idle(queues: Queues) -> None:
        while len(queues):
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        queues = Queues(tasks, work)
        for event_id in ("one", "two"):
            queues.put(event_id, ("a",))
            await idle(queues)
    assert order == ["one", "two"]
