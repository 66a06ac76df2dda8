"""bot/task_book.py over a real relay: two writers of one task, and what a kill leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from bot.task_book import Conflict, TaskBook
from nips.own.schedule import Schedule
from nips.own.task import Task
from nips.refusal import Refused
from tests.unit.bot.uncontained import House, a_house

START = 1_767_279_600


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


def a_task(group: str) -> Task:
    return Task(group, str(uuid4()), "Plants", "/say x", Schedule("cron", "@daily"), "UTC", START)


async def test_what_one_writes_the_next_reads(house: House) -> None:
    book, task = TaskBook(house.author), a_task(await house.group("a book"))
    first = await book.put(task, None)
    second = await book.put(replace(task, prompt="/say y"), first)
    assert second.event.created_at > first.event.created_at, "else the lower id would win"
    again = TaskBook(house.author)
    await again.load()
    assert again.all[task.name] == second == book.all[task.name]


async def test_two_editors_cannot_overwrite_each_other(house: House) -> None:
    one, task = TaskBook(house.author), a_task(await house.group("two editors"))
    await one.put(task, None)
    other = TaskBook(house.author)
    await other.load()
    mine = await one.put(replace(task, title="Mine"), one.all[task.name])
    with pytest.raises(Conflict):
        await other.put(replace(task, title="Theirs"), other.all[task.name])
    assert other.all[task.name] == mine, "what is there is known now"
    theirs = await other.put(replace(mine.task, title="Theirs, then"), other.all[task.name])
    with pytest.raises(Conflict):
        await one.put(task, None)
    assert one.all[task.name] == theirs


async def test_a_task_that_was_cancelled_is_gone_and_stays_gone(house: House) -> None:
    book, task = TaskBook(house.author), a_task(await house.group("cancelled"))
    planned = await book.put(task, None)
    other = TaskBook(house.author)
    await other.load()
    await book.remove(planned)
    assert task.name not in book.all
    with pytest.raises(Conflict):
        await other.put(replace(task, title="Late"), other.all[task.name])
    assert task.name not in other.all
    assert await other.refresh(task.name) is None


async def test_what_is_looked_at_anew_is_there_meanwhile(house: House) -> None:
    """Else its secret would be forgotten, as a cancelled task's is."""
    book, task = TaskBook(house.author), a_task(await house.group("looked at"))
    planned = await book.put(task, None)
    looking = asyncio.create_task(book.refresh(task.name))
    while not looking.done():
        assert task.name in book.all
        await asyncio.sleep(0)
    assert looking.result() == planned


async def test_a_group_that_is_not_there_has_no_task(house: House) -> None:
    with pytest.raises(Refused, match=r"no such group|belong"):
        await TaskBook(house.author).put(a_task(str(uuid4())), None)
