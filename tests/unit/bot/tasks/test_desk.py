"""bot/tasks/desk.py over a real relay: what depends on the conversation, and on what stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.tasks.keeper import TaskError
from bot.tasks.wanted import Wanted
from bot.zones import machine_zone
from nips.own.binding import Binding, Quiet
from nips.own.task import Task
from nips.refusal import Malformed
from tests.unit.bot.requests.stage import House, a_house

WANTED = Wanted(when="@daily", prompt="Water the plants")


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        await made.requests()
        yield made


async def changed(house: House, group: str, **fields: object) -> None:
    await house.registry().change(group, **fields)


async def a_task(house: House, name: str) -> Task:
    binding: Binding = await house.registry().register(name, (), trigger="")
    desk = await house.desk()
    return (await desk.keeper.add(desk.drafted(binding.group, WANTED, name))).task


async def test_whose_clock_is_meant(house: House) -> None:
    task = await a_task(house, "Clock")
    desk = await house.desk()
    assert task.zone == machine_zone()
    await changed(house, task.group, quiet=Quiet("22:00", "07:00", "Asia/Tokyo"))
    assert desk.drafted(task.group, WANTED, "x").zone == "Asia/Tokyo"
    assert desk.drafted(task.group, replace(WANTED, tz="UTC"), "x").zone == "UTC"


async def test_nothing_is_planned_where_nobody_is(house: House) -> None:
    task = await a_task(house, "Gone")
    desk = await house.desk()
    await house.registry().archive(task.group)
    for group in (task.group, "00000000-0000-4000-8000-000000000009"):
        with pytest.raises(TaskError, match="is archived"):
            desk.drafted(group, WANTED, "x")
    with pytest.raises(TaskError, match="paused or archived"):
        await desk.run_now(task, "x")


async def test_a_paused_conversation_runs_nothing_at_once(house: House) -> None:
    task = await a_task(house, "Paused")
    desk = await house.desk()
    await changed(house, task.group, paused=True)
    with pytest.raises(TaskError, match="paused or archived"):
        await desk.run_now(task, "x")
    await changed(house, task.group, paused=False)
    await desk.run_now(task, "x")
    assert house.performed[-1][0] == task.group


async def test_said_again_it_is_so_already(house: House) -> None:
    task = await a_task(house, "Again")
    desk = await house.desk()
    paused = await desk.pause(task, on=True)
    assert (await desk.pause(task, on=True)).event.id == paused.event.id
    going = await desk.pause(task, on=False)
    assert (await desk.pause(task, on=False)).event.id == going.event.id
    assert going.task == task
    done = replace(task, status="done")
    await desk.keeper.change(task, lambda _: done)
    for on in (True, False):
        with pytest.raises(Malformed, match="that task is done"):
            await desk.pause(task, on=on)


async def test_an_edit_is_of_what_stands_and_not_of_what_was_seen(house: House) -> None:
    task = await a_task(house, "Edited")
    desk = await house.desk()
    other = await house.desk()
    await other.edit(task, Wanted(title="Theirs"))
    made = await desk.edit(task, Wanted(late="2h"), "")
    assert (made.task.title, made.task.misfire.window_s) == ("Theirs", 7_200)
    with pytest.raises(Malformed, match="somebody else has changed it"):
        await other.edit(task, Wanted(title="Mine"), "00000000")


async def test_a_zone_that_this_machine_does_not_know_any_more(house: House) -> None:
    task = await a_task(house, "Zone")
    desk = await house.desk()
    facts = desk.facts(replace(task, zone="Mars/Olympus"))
    assert (facts.tz, (facts.local or "")[-3:]) == ("Mars/Olympus", "UTC")
    assert desk.named(task.name) == desk.facts(task)
    assert desk.named("nothing") is None
    assert desk.facts(task) in desk.list()
    assert desk.list(task.group) == [desk.facts(task)]
