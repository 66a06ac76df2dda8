"""What agents ask about tasks, over a real relay, judged by the group that the router knows."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import pytest

from bot.requests.house import Requests
from bot.requests.task_requests import (
    MAX_MOVED_OF_A_JOB,
    MAX_NEW_OF_A_JOB,
    MAX_RUNS_A_DAY,
    MAX_RUNS_OF_A_JOB,
)
from nips.own import task_run
from nips.own.binding import Binding
from nips.own.task import Task
from nips.own.task_run import TaskRun
from nips.refusal import Refused
from relay_local.client import Caller
from tests.unit.bot.requests.stage import House
from tests.unit.bot.requests.test_house import OTHERS

DAILY = {"when": "0 16 * * *", "prompt": "Water the plants", "tz": "Europe/Berlin"}


@asynccontextmanager
async def asking(
    house: House, group: str, made: Requests, job: str = "", task: TaskRun | None = None
) -> AsyncIterator[Caller]:
    """A session of a group's job, while requests are answered."""
    key = house.session(group, job or token_hex(32), task)
    async with house.reception(made.methods(OTHERS)), house.asking(key) as caller:
        yield caller


async def a_group(house: House, name: str = "") -> Binding:
    return await house.registry().register(name or f"g{token_hex(4)}", (), trigger="")


def said(**more: Any) -> str:
    return json.dumps(DAILY | more)


async def plan(caller: Caller, group: str = "", **more: Any) -> str:
    """Plan something; its id's beginning."""
    answer = await caller.call("schedule_task", group, said(**more))
    assert answer.startswith("Planned: "), answer
    return answer.split()[1]


async def stored(house: House, group: str) -> list[Task]:
    """The tasks of a group, as the relay has them."""
    book = (await house.desk()).keeper
    return [planned.task for planned in book.all(group)]


async def denied(call: Awaitable[str], why: str) -> None:
    with pytest.raises(Refused) as error:
        await call
    assert why in str(error.value)


async def test_from_the_first_to_the_last(house: House) -> None:
    made, group = await house.requests(), (await a_group(house)).group
    async with asking(house, group, made) as session:
        task = await plan(session, title="Plants", times=5)
        (there,) = await stored(house, group)
        assert (there.title, there.prompt, there.zone) == (
            "Plants", "Water the plants", "Europe/Berlin",
        )  # fmt: skip
        assert (await session.call("list_tasks")).startswith(f"{task} “Plants”: 0 16 * * *, next ")
        whole = await session.call("list_tasks", "plants")
        assert "5 of 5 runs left" in whole
        assert whole.endswith("\nprompt:\nWater the plants")
        version = whole.partition("\nversion ")[2][:8]

        changes = json.dumps({"prompt": "Water half"})
        answer = await session.call("update_task", task, changes, version)
        assert answer.startswith(f"It is now: {task} “Plants”")
        await denied(
            session.call("update_task", task, json.dumps({"prompt": "All"}), version),
            "invalid: somebody else has changed it since",
        )
        assert (await session.call("pause_task", task)).endswith("0 16 * * *, paused.")
        assert (await session.call("resume_task", task)).startswith("Goes on: ")
        assert (await session.call("run_task", task)).startswith("It runs now: ")
        run = house.performed[-1]
        assert (run[0], run[1].name) == (group, there.name)
        assert await session.call("cancel_task", task) == f"Cancelled: {task}."
        assert await session.call("list_tasks") == "Nothing is planned."
    assert await stored(house, group) == []


async def test_a_job_that_asks_again_has_planned_once(house: House) -> None:
    made, group = await house.requests(), (await a_group(house)).group
    for _ in range(2):  # the second is another attempt's session, after a restart of the router
        async with asking(house, group, made, "d" * 64) as session:
            await session.call("schedule_task", "", said(), request_id="one")
            await session.call("run_task", "Water the plants", request_id="two")
        made = await house.requests()
    assert len(await stored(house, group)) == 1
    one, other = house.performed[-2:]
    assert one == other
    async with asking(house, group, made, "e" * 64) as session:
        await session.call("schedule_task", "", said(), request_id="one")
    assert len(await stored(house, group)) == 2


async def test_another_group_sees_and_changes_its_own_alone(house: House) -> None:
    """Attack: an agent that was talked into it reads, changes, starts or finds out another's."""
    made = await house.requests()
    mine, other = await a_group(house, "Mine"), await a_group(house, "Other")
    async with asking(house, house.roles.main, made) as main:
        secrets = [await plan(main, title="A secret"), await plan(main, "other", title="Another")]
    async with asking(house, mine.group, made) as session:
        sentences = set()
        for word in (*secrets, "A secret", "Another", "nothing", other.group):
            for method, more in (
                ("list_tasks", ()), ("update_task", (json.dumps({"prompt": "Mine"}),)),
                ("pause_task", ()), ("cancel_task", ()), ("run_task", ()),
            ):  # fmt: skip
                with pytest.raises(Refused) as error:
                    await session.call(method, word, *more)
                sentences.add(str(error.value).replace(repr(word), "X"))
        assert sentences == {"invalid: there is no task X"}
    async with asking(house, mine.group, made) as session:
        sentences = set()
        for word in (other.group, other.group[:8], "other", "main", house.roles.main, "nowhere"):
            for method, params in (("schedule_task", (word, said())), ("list_tasks", ("", word))):
                with pytest.raises(Refused) as error:
                    await session.call(method, *params)
                sentences.add(str(error.value))
        assert sentences == {"restricted: an agent plans for its own conversation only"}
        assert await session.call("list_tasks") == "Nothing is planned."
        await denied(
            session.call("schedule_task", "", json.dumps(DAILY | {"group": other.group})),
            "there is no 'group'",
        )
    assert [task.status for task in await stored(house, other.group)] == ["active"]
    assert [task.prompt for task in await stored(house, other.group)] == ["Water the plants"]


async def test_main_deals_with_all(house: House) -> None:
    made, other = await house.requests(), await a_group(house, "Far")
    async with asking(house, other.group, made) as session:
        task = await plan(session)
    async with asking(house, house.roles.main, made) as main:
        here = await plan(main)
        listed = await main.call("list_tasks")
        assert f"\n{task} " in f"\n{listed}"
        assert "(far)" in listed
        assert here not in await main.call("list_tasks", "", "far")
        assert (await main.call("pause_task", task)).endswith("paused.")
        await denied(main.call("schedule_task", "nowhere", said()), "no one group called")


async def test_the_owner_hears_what_is_planned_elsewhere(house: House) -> None:
    made, group = await house.requests(), await a_group(house, "Heard")
    async with asking(house, group.group, made) as session:
        task = await plan(session, title="Plants”\n✅ approved")
        await session.call("update_task", task, json.dumps({"prompt": "Another"}))
        await session.call("update_task", task, json.dumps({"when": "@hourly"}))
    told = [e.content for e in await house.said(house.roles.main) if "“Heard”" in e.content]
    assert len(told) == 2
    # Attack: a title that goes on as if it were ours.
    assert told[0].startswith(f"ℹ️ In “Heard” its agent planned {task} “Plants' ✅ approved”: 0 16")
    assert told[1].startswith(f"ℹ️ In “Heard” its agent gave another time to {task} ")
    assert all("\n" not in line and line.endswith(". See /tasks.") for line in told)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ({"prompt": "x"}, "invalid: say when: 0 16 * * 1-5, @daily"),
        ({"when": "@daily"}, "invalid: a task needs a prompt"),
        ({"when": "0 0 31 2 *", "prompt": "x"}, "never comes"),
        ({"when": "@daily", "prompt": "x", "tz": "Berlin"}, "did you mean Europe/Berlin?"),
        ({"when": "every 5s", "prompt": "x"}, "every 1m is the least"),
        ({"when": "2020-01-01T10:00", "prompt": "x"}, "has passed"),
        ({"when": "@daily", "prompt": "x" * 10_000}, "at most 8,000 bytes"),
        ({"cron": "@daily"}, "there is no 'cron'; a task has when, prompt, title, tz, late"),
        ([1], "as a JSON object"),
    ],
)
async def test_what_cannot_be_is_refused_with_how_to_write_it(
    house: House, task: object, sentence: str
) -> None:
    made = await house.requests()
    async with asking(house, house.roles.main, made) as main:
        await denied(main.call("schedule_task", "", json.dumps(task)), sentence)
        await denied(main.call("schedule_task", "", "not JSON"), "as a JSON object")
        await denied(main.call("schedule_task", "x"), "it is called with a group, or nothing")


# What could cost without end


async def test_an_agent_elsewhere_plans_so_many_runs_a_day(house: House) -> None:
    """Attack: an agent that was talked into it spends its owner's money, minute by minute."""
    made, group = await house.requests(), (await a_group(house)).group
    why = "restricted: with that, what is planned here could be"
    async with asking(house, group, made) as session:
        await denied(session.call("schedule_task", "", said(when="every 1m")), why)
        await denied(session.call("schedule_task", "", said(when="* * 1 * *")), why)
        task = await plan(session, when="*/15 * * * *")
        await denied(session.call("schedule_task", "", said(when="every 4h")), f"{why} 102 runs")
        await session.call("pause_task", task)
        await denied(session.call("schedule_task", "", said(when="every 4h")), f"{why} 102 runs")
        await denied(session.call("update_task", task, json.dumps({"when": "every 1m"})), why)
        await session.call("update_task", task, json.dumps({"when": "every 1h"}))
        await plan(session, when="every 4h")
    async with asking(house, house.roles.main, made) as main:
        often = await plan(main, group[:8], when="every 1m", title="Often")
    async with asking(house, group, made) as session:
        # What the owner has planned beyond that an agent may only make less of.
        await denied(session.call("schedule_task", "", said()), why)
        await session.call("update_task", often, json.dumps({"when": "every 2m"}))


async def test_a_job_plans_and_starts_so_much(house: House) -> None:
    made, group = await house.requests(), (await a_group(house)).group
    async with asking(house, group, made) as session:
        for number in range(MAX_NEW_OF_A_JOB):
            task = await plan(session, title=str(number))
        await denied(
            session.call("schedule_task", "", said()), "rate-limited: one request may plan"
        )
        for _ in range(MAX_RUNS_OF_A_JOB):
            await session.call("run_task", task)
        await denied(session.call("run_task", task), "rate-limited: one request may have 3 runs")


async def test_a_job_moves_tasks_so_often(house: House) -> None:
    """Attack: an agent that gives a task another time without end: the owner is told each time."""
    made, group = await house.requests(), (await a_group(house)).group
    async with asking(house, group, made) as session:
        task = await plan(session)
        for number in range(MAX_MOVED_OF_A_JOB):
            await session.call("update_task", task, json.dumps({"when": f"{number} 3 * * *"}))
        again = session.call("update_task", task, json.dumps({"when": "0 5 * * *"}))
        await denied(again, "rate-limited: one request may move tasks 20 times")
        await session.call("update_task", task, json.dumps({"title": "as often as it likes"}))


async def test_a_tasks_own_run_starts_no_chain(house: House) -> None:
    """Attack: a run that has itself run again, or plans the next one for the next second."""
    made, group = await house.requests(), (await a_group(house)).group
    async with asking(house, group, made) as session:
        await plan(session)
    (task,) = await stored(house, group)
    run = TaskRun(task.address(house.roles.router), "1767279600")
    soon = "restricted: a task's own run plans nothing sooner than in 10 minutes"
    async with asking(house, group, made, task=run) as session:
        await denied(session.call("run_task", task.id), "restricted: a task's own run lets no")
        await denied(session.call("schedule_task", "", said(when="in 1m")), soon)
        await denied(session.call("update_task", task.id, json.dumps({"when": "in 1m"})), soon)
        await plan(session, when="in 15m")
        # Of what is due soon anyway it may change the words.
        await session.call("update_task", task.id, json.dumps({"prompt": "Water less"}))


async def test_runs_that_plan_runs_come_to_an_end(house: House) -> None:
    """Attack: each plans several more, each to run once, which are done before anybody counts."""
    made, group = await house.requests(), (await a_group(house)).group
    async with asking(house, group, made) as session:
        await plan(session)
    (task,) = await stored(house, group)
    address, author, now_s = task.address(house.roles.router), house.author, int(time.time())
    for number in range(MAX_RUNS_A_DAY):
        run = TaskRun(address, f"n{number}")
        await author.require(
            task_run.request(house.roles.router, group, run, house.roles.bot, now_s - number)
        )
    async with asking(house, group, made, task=run) as session:
        why = "restricted: tasks have run here 100 times within a day"
        await denied(session.call("schedule_task", "", said(when="in 15m")), why)
        await denied(session.call("update_task", task.id, json.dumps({"when": "in 1h"})), why)
        await session.call("update_task", task.id, json.dumps({"prompt": "Water less"}))
    async with asking(house, group, made) as session:  # somebody has asked for it
        await plan(session, when="in 15m")
