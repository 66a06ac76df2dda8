"""bot/tasks/firing.py over a real relay: set off by a cause, claimed, then made work, once each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from uuid import uuid4

import pytest

from bot.author import Author
from bot.schedule import planning
from bot.scheduler import LET_GO, Doing
from bot.task_book import TaskBook
from bot.tasks.firing import SAME, Begun, Firing, Passed
from bot.tasks.notices import HOUR_S
from bot.zones import zone_of
from nips.event import Event
from nips.kinds import Kind
from nips.own import cause as causes
from nips.own import job as job_events
from nips.own import task as tasks
from nips.own import task_run
from nips.own.cause import Called, Cause
from nips.own.schedule import Count, Schedule
from nips.own.task import Source, Task
from nips.own.task_run import TaskRun
from tests.figures import dice
from tests.unit.bot.uncontained import House, Sessions, a_house

HOOK = Schedule("webhook", "door")


def call(slot: str) -> Called:
    """What is posted for a slot."""
    return Called("text/plain", "hello", sha256(slot.encode()).hexdigest())


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@dataclass
class Desk:
    """A firing over a book of its own. why: why no job may begin."""

    house: House
    why: str | None = None
    an_hour: int = 10
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = TaskBook(self.house.author)
        doing = Doing(
            self.perform, self.house.directory.group, lambda _group: self.why, self.tell, frozenset
        )
        self.firing = Firing(self.house.author, self.house.roles, self.book, doing, self.an_hour)

    async def perform(self, group: str, run: TaskRun, cause: Cause | None = None) -> None:
        author = self.house.author
        made = task_run.request(
            author.pubkey, group, run, self.house.roles.bot, author.now_s(), cause
        )
        await author.insist(author.sign(made))

    async def tell(self, group: str) -> None:
        self.told.append(group)

    async def plan(self, group: str, **changes: object) -> Task:
        task = Task(group, str(uuid4()), "Door", "/say done", HOOK, "UTC", 0)
        made = planning.new(replace(task, **changes), zone_of("UTC"), self.house.author.now_s())  # type: ignore[arg-type]
        return (await self.book.put(made, None)).task

    async def jobs(self, task: Task) -> list[Event]:
        return await self.house.find([Kind.JOB_REQUEST], a=task.address(self.house.author.pubkey))

    async def stored(self, task: Task) -> Task:
        (event,) = await self.house.find([Kind.CALENDAR_EVENT], d=task.name)
        return tasks.parse(event, self.house.author.pubkey)


async def test_claimed_then_made_work_with_its_cause(house: House) -> None:
    desk = Desk(house)
    task = await desk.plan(await house.group("fires"), count=Count(2, 2))
    begun = await desk.firing.fire(task.name, "a1", call("a1"))
    (job,) = await desk.jobs(task)
    assert begun == Begun(job.id, True)
    assert causes.parse(job) == call("a1")
    assert job_events.parse_request(job).task == TaskRun(task.address(house.author.pubkey), "a1")
    assert await desk.stored(task) == replace(task, fired="a1", count=Count(1, 2))
    # The same again is the same run, also for a successor; an earlier one too.
    assert await desk.firing.fire(task.name, "a1", call("a1")) == Begun(job.id, False)
    assert isinstance(await desk.firing.fire(task.name, "a2", call("a2")), Begun)
    successor = Desk(house)
    await successor.book.load()
    assert await successor.firing.fire(task.name, "a1", call("a1")) == Begun(job.id, False)
    assert (await desk.stored(task)).status == "done"
    assert await desk.firing.fire(task.name, "a3", call("a3")) == Passed("it is done")
    assert len(await desk.jobs(task)) == 2


async def test_what_is_not_set_off(house: House) -> None:
    desk = Desk(house)
    group = await house.group("not set off")
    by_clock = await desk.plan(group, schedule=Schedule("cron", "@daily"))
    paused = await desk.plan(group)
    await desk.book.put(planning.paused(paused), desk.book.all[paused.name])
    over = await desk.plan(group, until=house.author.now_s() + 1)
    await desk.book.put(replace(over, until=1), desk.book.all[over.name])
    for name, why in (
        ("nothing", "there is no such task"),
        (by_clock.name, "there is no such task"),
        (paused.name, "it is paused"),
        (over.name, "its end has passed"),
    ):
        assert await desk.firing.fire(name, "a1", call("a1")) == Passed(why)
    assert (await desk.stored(over)).status == "done"
    desk.why = "5 of 5 runs"
    open_one = await desk.plan(group)
    assert await desk.firing.fire(open_one.name, "a1", call("a1")) == Passed("5 of 5 runs")
    assert desk.told == [group]
    assert await desk.stored(open_one) == open_one


async def test_a_flood_is_passed_over_and_told_once(house: House) -> None:
    """Attack: a crowd mentions the assistant, and each mention costs a run."""
    desk = Desk(house, an_hour=3)
    task = await desk.plan(await house.group("flooded"))
    results = [await desk.firing.fire(task.name, f"f{n}", call(f"f{n}")) for n in range(6)]
    assert [type(one) for one in results] == [Begun] * 3 + [Passed] * 3
    assert results[-1] == Passed("it has run 3 times within an hour", too_often=True)
    said = [e.content for e in await house.find([Kind.CHAT], h=house.roles.main)]
    (words,) = [one for one in said if task.id[:8] in one]
    assert words.startswith("In flooded: A task (")
    assert f"/task pause {task.id[:8]}" in words
    # A start anew counts the same; what had its run has it still.
    successor = Desk(house, an_hour=3)
    await successor.book.load()
    assert isinstance(await successor.firing.fire(task.name, "f9", call("f9")), Passed)
    first = results[1]
    assert isinstance(first, Begun)
    assert await successor.firing.fire(task.name, "f1", call("f1")) == replace(first, is_new=False)


async def test_a_signature_is_used_once_however_long_its_call_waits(house: House) -> None:
    """Attack: what was heard is brought again while the relay is away, and waits for hours."""
    desk, late = Desk(house), Late(house.author.link, house.author._key)
    task = await desk.plan(await house.group("waits"))
    desk.firing._author = late
    assert isinstance(await desk.firing.fire(task.name, "w1", call("w1")), Begun)
    await desk.firing._one_at_a_time.acquire()
    again = asyncio.create_task(desk.firing.fire(task.name, "w2", call("w1")))
    await asyncio.sleep(0)  # it waits
    late.by_s = 2 * HOUR_S
    desk.firing._one_at_a_time.release()
    assert await again == Passed(SAME)
    assert len(await desk.jobs(task)) == 1


class Late(Author):
    """A router's pen whose clock goes on."""

    by_s = 0

    def now_s(self) -> int:
        return super().now_s() + self.by_s


async def test_whose_planner_was_let_go_is_set_off_by_nothing_and_told_of(house: House) -> None:
    desk = Desk(house)
    source = Source(f"31923:{'ad' * 32}:door", "0e" * 32)
    task = await desk.plan(await house.group("let go"), source=source)
    for slot in ("g1", "g2"):
        assert await desk.firing.fire(task.name, slot, call(slot)) == Passed(LET_GO)
    said = [e.content for e in await house.find([Kind.CHAT], h=house.roles.main)]
    assert [LET_GO in words and task.id[:8] in words for words in said].count(True) == 1


async def test_two_processes_make_one_run(house: House) -> None:
    one = Desk(house)
    task = await one.plan(await house.group("two of them"), count=Count(5, 5))
    other = Desk(house)
    await other.book.load()
    both = await asyncio.gather(*(d.firing.fire(task.name, "b1", call("b1")) for d in (one, other)))
    assert {type(each) for each in both} == {Begun}
    (job,) = await one.jobs(task)
    assert {each.job for each in both if isinstance(each, Begun)} == {job.id}
    assert (await one.stored(task)).count == Count(4, 5)


async def test_killed_at_any_time_it_runs_once(house: House) -> None:
    """Cut off again and again, and brought again: one job for each cause, counted once."""
    source = dice("cause-kills")
    desk = Desk(house, an_hour=1_000)
    task = await desk.plan(await house.group("cut off"), count=Count(100, 100))
    for n in range(8):
        for _ in range(3):
            maker = Desk(house, an_hour=1_000)
            await maker.book.load()
            firing = asyncio.create_task(maker.firing.fire(task.name, f"c{n}", call(f"c{n}")))
            await asyncio.sleep(source.uniform(0.0, 0.006))
            firing.cancel()
            await asyncio.gather(firing, return_exceptions=True)
        last = Desk(house, an_hour=1_000)
        await last.book.load()
        assert isinstance(await last.firing.fire(task.name, f"c{n}", call(f"c{n}")), Begun)
    slots = [job.tag("slot") for job in await desk.jobs(task)]
    assert slots == [f"c{n}" for n in range(8)]
    assert (await desk.stored(task)).count == Count(92, 100)


async def test_it_runs_to_its_end(house: House) -> None:
    desk = Desk(house)
    task = await desk.plan(await house.group("runs"))
    async with house.dispatch(Sessions(house)) as dispatch:
        doing = Doing(
            dispatch.intake.perform,
            house.directory.group,
            lambda _group: None,
            desk.tell,
            frozenset,
        )
        firing = Firing(house.author, house.roles, desk.book, doing)
        begun = await firing.fire(task.name, "d1", call("d1"))
        await house.at_rest(dispatch)
    assert isinstance(begun, Begun)
    words = await house.find([Kind.CHAT], h=task.group)
    assert [event.content for event in words if event.tag("job") == begun.job] == ["done"]
