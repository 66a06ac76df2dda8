"""What is slow holds up its own conversation and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from bot.bridges import lanes as module
from bot.bridges.lanes import Lanes, Work
from bot.place import Place
from tests.unit.bot.requests.stage import a_house


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[Place]:
    async with a_house() as house:
        yield Place(house.link, house.key, "test-lanes")


def says(done: list[str], word: str, first: asyncio.Event | None = None) -> Work:
    async def work() -> None:
        if first is not None:
            await first.wait()
        done.append(word)

    return work


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0)


async def test_what_is_quick_is_done_at_once(place: Place) -> None:
    done: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        await Lanes(tasks, place).run("a", ["g"], says(done, "a"))
        assert (done, place.held) == (["a"], ())


async def test_a_conversation_keeps_its_order_and_others_go_on(place: Place) -> None:
    done: list[str] = []
    go = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, place)
        await lanes.run("file", ["g"], says(done, "file", go), slow=True)
        await lanes.run("about it", ["g"], says(done, "about it"))
        await lanes.run("elsewhere", ["h"], says(done, "elsewhere"))
        await lanes.run("of either", ["h", "g"], says(done, "of either"))
        await lanes.run("behind it", ["h"], says(done, "behind it"))
        assert done == ["elsewhere"]
        assert [lanes.is_busy(group) for group in "ghi"] == [True, True, False]
        assert place.held == ("file", "about it", "of either", "behind it")
        go.set()
        await until(lambda: len(done) == 5)
        assert not lanes.is_busy("g")
    assert done == ["elsewhere", "file", "about it", "of either", "behind it"]
    assert not place.held


async def test_beside_slow_work_only_so_much_waits(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: thousands of files at once, each of which would stand in the place."""
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    done: list[str] = []
    go = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, place)
        for word in ("a", "b"):
            await lanes.run(word, ["g"], says(done, word, go), slow=True)
        third = asyncio.create_task(lanes.run("c", ["g"], says(done, "c", go), slow=True))
        for _ in range(10):
            await asyncio.sleep(0)
        assert (third.done(), place.held) == (False, ("a", "b"))
        go.set()
        await third
    assert done == ["a", "b", "c"]


async def test_work_that_fails_ends_all_and_stays_held(place: Place) -> None:
    async def fails() -> None:
        raise ValueError

    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            await Lanes(tasks, place).run("a", ["g"], fails, slow=True)
            await asyncio.sleep(60)

    with pytest.raises(ExceptionGroup):
        await serve()
    assert place.held == ("a",)


async def test_what_is_slow_is_hurried_when_much_waits_behind_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: one who is bound sends a file that never comes, and hundreds of words behind it."""
    monkeypatch.setattr(module, "MAX_OF_GROUP", 3)
    done: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, place)
        await lanes.run("file", ["g"], says(done, "given up", lanes.hurry("g")), slow=True)
        await lanes.run("one", ["g"], says(done, "one"))
        await asyncio.sleep(0)
        assert not lanes.hurry("g").is_set()
        assert not done
        await lanes.run("two", ["g"], says(done, "two"))
    assert done == ["given up", "one", "two"]
    assert not lanes.hurry("g").is_set()
