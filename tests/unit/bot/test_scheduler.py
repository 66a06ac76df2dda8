"""bot/scheduler.py over a real relay, with a clock of its own: claimed, then run, once each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from bot.alarm import Alarm
from bot.schedule import planning
from bot.scheduler import LET_GO, RETRY_S, Doing, Scheduler
from bot.task_book import Planned, TaskBook
from bot.zones import zone_of
from nips import nip29
from nips.event import Event
from nips.kinds import Kind
from nips.nip29 import GroupRole
from nips.own import job as job_events
from nips.own import task as tasks
from nips.own.schedule import Count, Misfire, Schedule
from nips.own.task import Source, Task
from nips.own.task_run import TaskRun
from nips.refusal import Prefix, refused
from tests.figures import dice, figure
from tests.unit.bot.uncontained import House, Sessions, a_house

DAY_S, HOUR_S = 86_400, 3_600
NOW = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp())
FOUR = NOW + 4 * HOUR_S


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@dataclass
class Desk:
    """A scheduler with a clock that is set by hand, and what it did. why: why no job may begin."""

    house: House
    now_s: float = NOW
    why: str | None = None
    told: list[str] = field(default_factory=list)
    alarm: Alarm = field(default_factory=Alarm)
    looks: int = 0

    def __post_init__(self) -> None:
        self.book = TaskBook(self.house.author)
        self.performed: list[TaskRun] = []
        self.scheduler = self.over(self.perform)

    def over(self, perform: object) -> Scheduler:
        doing = Doing(
            perform, self.house.directory.group, lambda _group: self.why, self.tell, self.owners,  # type: ignore[arg-type]
        )  # fmt: skip
        return Scheduler(
            self.house.author, self.house.roles, self.book, doing, self.alarm, self.read_clock
        )

    def read_clock(self) -> float:
        self.looks += 1
        return self.now_s

    async def perform(self, _group: str, run: TaskRun) -> None:
        self.performed.append(run)

    def owners(self) -> frozenset[str]:
        return frozenset({self.house.owner.public})

    async def tell(self, group: str) -> None:
        self.told.append(group)

    async def plan(self, group: str, **changes: object) -> Task:
        task = Task(
            group, str(uuid4()), "Plants", "/say done", Schedule("cron", "0 16 * * *"), "UTC", 0
        )
        made = planning.new(replace(task, **changes), zone_of("UTC"), int(self.now_s))  # type: ignore[arg-type]
        return (await self.book.put(made, None)).task

    async def at(self, now_s: int) -> list[int]:
        """What is performed at that time."""
        self.now_s = now_s
        before = len(self.performed)
        await self.scheduler.look(now_s)
        return [int(run.slot) for run in self.performed[before:]]

    async def stored(self, task: Task) -> Task:
        """The task as the relay has it."""
        (event,) = await self.house.find([Kind.CALENDAR_EVENT], d=task.name)
        return tasks.parse(event, self.house.author.pubkey)


async def test_claimed_before_the_job_exists(house: House) -> None:
    desk = Desk(house)
    task = await desk.plan(await house.group("claims"), count=Count(2, 2))
    seen: list[Task] = []

    async def perform(_group: str, run: TaskRun) -> None:
        assert run == TaskRun(task.address(house.author.pubkey), str(FOUR))
        seen.append(await desk.stored(task))

    desk.scheduler = desk.over(perform)
    await desk.at(FOUR - 1)
    assert seen == []
    await desk.at(FOUR)
    assert seen == [replace(task, start=FOUR + DAY_S, last=FOUR, count=Count(1, 2))]
    await desk.at(FOUR + 1)
    assert len(seen) == 1


async def test_to_its_last_run(house: House) -> None:
    desk = Desk(house)
    task = await desk.plan(await house.group("ends"), count=Count(2, 2))
    assert [await desk.at(FOUR + n * DAY_S) for n in range(4)] == [[FOUR], [FOUR + DAY_S], [], []]
    assert (await desk.stored(task)).status == "done"


async def test_what_is_paused_is_not_looked_at(house: House) -> None:
    desk = Desk(house)
    task = await desk.plan(await house.group("pauses"))
    await desk.book.put(planning.paused(task), desk.book.all[task.name])
    assert await desk.at(FOUR) == []
    again = planning.resumed(desk.book.all[task.name].task, zone_of("UTC"), FOUR + HOUR_S)
    await desk.book.put(again, desk.book.all[task.name])
    assert await desk.at(FOUR + HOUR_S) == []
    assert await desk.at(FOUR + DAY_S) == [FOUR + DAY_S]


async def test_who_was_let_go_has_nothing_done_any_more(house: House) -> None:
    """Attack: an admin plans in their calendar, and is removed."""
    desk, group, admin = Desk(house), await house.group("leaves"), "ad" * 32
    theirs = Source(f"31923:{admin}:tea", "0e" * 32)

    async def put(role: str) -> None:
        made = nip29.put_user(house.author.pubkey, group, admin, (role,), house.author.now_s())
        house.directory.learn(await house.author.require(made))

    await desk.plan(group, source=theirs)
    made = await desk.plan(group)
    assert await desk.at(FOUR) == [FOUR], "the router's own"
    await put(GroupRole.ADMIN)
    assert sorted(await desk.at(FOUR + DAY_S)) == 2 * [FOUR + DAY_S]
    mine = Source(f"31923:{house.owner.public}:tea", "0f" * 32)
    owners = await desk.plan(group, source=mine)
    await put(GroupRole.MEMBER)
    assert await desk.at(FOUR + 2 * DAY_S) == 2 * [FOUR + 2 * DAY_S]
    ran = {run.task for run in desk.performed[-2:]}
    assert ran == {task.address(house.author.pubkey) for task in (made, owners)}
    assert len(await desk.at(FOUR + 3 * DAY_S)) == 2
    told = [said.content for said in await house.find([Kind.CHAT], h=house.roles.main)]
    assert [LET_GO in words for words in told].count(True) == 1, "the owner is told once"
    await put(GroupRole.ADMIN)
    assert len(await desk.at(FOUR + 4 * DAY_S)) == 3, "let in again, they go on"


async def test_a_night_of_sleep_is_one_run(house: House) -> None:
    desk = Desk(house)
    await desk.plan(await house.group("sleeps"), schedule=Schedule("cron", "0 * * * *"))
    assert await desk.at(NOW + 10 * HOUR_S + 1800) == [NOW + 10 * HOUR_S]


async def test_what_was_missed_for_good_is_told_the_owner_once(house: House) -> None:
    desk = Desk(house)
    group = await house.group("missed")
    task = await desk.plan(
        group, schedule=Schedule("once", "2026-03-02T16:00:00Z"), misfire=Misfire(HOUR_S)
    )
    silent = await desk.plan(group, misfire=Misfire(None))
    for _ in range(2):
        assert await desk.at(FOUR + 2 * HOUR_S) == []
    assert (await desk.stored(task)).status == "done"
    said = [e.content for e in await house.find([Kind.CHAT], h=house.roles.main)]
    assert [words for words in said if task.id[:8] in words] == [
        f"In missed: A scheduled task ({task.id[:8]}) was not run at 2026-03-02 16:00, UTC: I was "
        "not running. It does not run again."
    ]
    assert not [words for words in said if silent.id[:8] in words]


async def test_over_a_budget_slots_pass_without_a_run_and_without_a_count(house: House) -> None:
    desk = Desk(house, why="5 of 5 runs")
    group = await house.group("no budget")
    task = await desk.plan(group, count=Count(2, 2))
    assert await desk.at(FOUR) == []
    assert desk.told == [group]
    assert await desk.stored(task) == replace(task, start=FOUR + DAY_S)
    desk.why = None
    assert await desk.at(FOUR + DAY_S) == [FOUR + DAY_S]


async def test_a_task_that_cannot_be_read_stops_no_other(house: House) -> None:
    desk = Desk(house)
    group = await house.group("unread")
    bad = await desk.plan(group)
    await desk.book.put(replace(bad, zone="Europe/Atlantis"), desk.book.all[bad.name])
    good = await desk.plan(group)
    assert await desk.at(FOUR) == [FOUR]
    assert desk.performed[0].name == good.name


async def test_of_two_schedulers_one_claims(house: House) -> None:
    one, group = Desk(house), await house.group("two")
    task = await one.plan(group, count=Count(3, 3))
    other = Desk(house)
    await other.book.load()
    for day in range(2):
        due = FOUR + day * DAY_S
        await asyncio.gather(one.at(due), other.at(due))
        # One that was beaten knows it, and finds nothing left to do.
        assert (await one.at(due), await other.at(due)) == ([], [])
        assert await one.stored(task) == replace(
            task, start=due + DAY_S, last=due, count=Count(2 - day, 3)
        )
    # Where both write the very same within one second it is one claim, and one job: (task, slot).
    runs = [run for desk in (one, other) for run in desk.performed if run.name == task.name]
    assert sorted({int(run.slot) for run in runs}) == [FOUR, FOUR + DAY_S]
    assert len({run.once() for run in runs}) == 2


async def test_a_claimed_slot_without_a_job_gets_it_at_the_next_start(house: House) -> None:
    desk = Desk(house)
    task = await desk.plan(await house.group("cut off"))

    async def killed(_group: str, _run: TaskRun) -> None:
        raise asyncio.CancelledError

    desk.scheduler = desk.over(killed)
    with pytest.raises(asyncio.CancelledError):
        await desk.at(FOUR)
    successor = Desk(house, now_s=FOUR + 5)
    await successor.book.load()
    async with house.dispatch(Sessions(house)) as dispatch:
        await successor.over(dispatch.intake.perform).resume()
        await house.at_rest(dispatch)
        await successor.over(dispatch.intake.perform).resume()
        assert dispatch.is_idle
    (made,) = await house.find([Kind.JOB_REQUEST], a=task.address(house.author.pubkey))
    assert job_events.parse_request(made).task == TaskRun(
        task.address(house.author.pubkey), str(FOUR)
    )
    assert await said(house, made) == ["done"]


async def test_what_another_claimed_and_did_not_come_to_is_made_before_the_next_claim(
    house: House,
) -> None:
    desk = Desk(house)
    task = await desk.plan(await house.group("other killed"))
    other = Desk(house)
    await other.book.load()

    async def killed(_group: str, _run: TaskRun, *_: object) -> None:
        raise asyncio.CancelledError

    desk.scheduler = desk.over(killed)
    with pytest.raises(asyncio.CancelledError):
        await desk.at(FOUR)

    async def at(now_s: int) -> list[int]:
        await other.at(now_s)
        return [int(run.slot) for run in other.performed if run.name == task.name]

    assert await at(FOUR + DAY_S) == []  # it learns that the first slot is claimed
    assert await at(FOUR + DAY_S) == [FOUR, FOUR + DAY_S]
    assert await at(FOUR + 2 * DAY_S) == [FOUR, FOUR + DAY_S, FOUR + 2 * DAY_S]


async def test_it_finishes_what_was_claimed_and_wakes_for_what_is_new(house: House) -> None:
    desk = Desk(house)
    group = await house.group("runs on")
    task = await desk.plan(group)
    left = replace(
        task, last=FOUR - DAY_S
    )  # claimed by one that was killed before the job was made
    await desk.book.put(left, desk.book.all[task.name])
    performed: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    async def perform(_group: str, run: TaskRun) -> None:
        performed.put_nowait((run.name, int(run.slot)))

    scheduler = desk.over(perform)
    running = asyncio.create_task(scheduler.run())
    async with asyncio.timeout(10):
        assert await performed.get() == (task.name, FOUR - DAY_S)
        desk.now_s = FOUR
        scheduler.changed()
        assert await performed.get() == (task.name, FOUR)
        other = await desk.plan(group, schedule=Schedule("interval", "60000", FOUR + 1))
        desk.now_s = FOUR + 1
        scheduler.changed()
        assert await performed.get() == (other.name, FOUR + 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert performed.empty()


async def test_it_sleeps_to_the_very_second_and_no_longer(house: House) -> None:
    """By whole seconds it would be up to one late."""
    desk = Desk(house, now_s=NOW + 0.9, alarm=Heard())
    await desk.plan(await house.group("precise"), schedule=Schedule("interval", "60000", NOW + 2))
    running = asyncio.create_task(desk.scheduler.run())
    async with asyncio.timeout(10):
        assert await desk.alarm.heard.get() == pytest.approx(1.1)  # type: ignore[attr-defined]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_cannot_be_claimed_is_tried_again_soon(house: House) -> None:
    """The disk is full, say."""
    desk = Desk(house, now_s=FOUR, alarm=Heard())
    task = await desk.plan(await house.group("refused"))
    planned = desk.book.all[task.name]
    desk.now_s = FOUR + DAY_S
    refusing = Refusing(house.author)
    refusing._known = {task.name: planned}
    desk.book = refusing
    running = asyncio.create_task(desk.over(desk.perform).run())
    heard = desk.alarm.heard  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        assert await heard.get() == RETRY_S
        refusing.is_full = False
        desk.alarm.ring()
        assert await heard.get() == DAY_S
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [int(run.slot) for run in desk.performed] == [FOUR + DAY_S]


class Refusing(TaskBook):
    """A book whose relay takes nothing, for a while."""

    is_full = True

    async def put(self, task: Task, old: Planned | None) -> Planned:
        if self.is_full:
            raise refused(Prefix.ERROR, "the disk is full")
        return await super().put(task, old)


class Heard(Alarm):
    """An alarm that tells what it was set to."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: asyncio.Queue[float] = asyncio.Queue()

    def set(self, in_s: float) -> None:
        self.heard.put_nowait(in_s)
        super().set(in_s)


async def test_a_clock_that_is_set_while_it_waits_is_noticed(house: House) -> None:
    """Forward a day, and back two: what it waits for is reckoned anew, and no slot comes twice.
    A machine that slept is one whose clock went forward."""
    desk = Desk(house)
    desk.alarm = Alarm(0.02, lambda: desk.now_s)
    hourly = Schedule("interval", str(HOUR_S * 1000), FOUR)
    await desk.plan(await house.group("set"), schedule=hourly)
    performed: asyncio.Queue[int] = asyncio.Queue()

    async def perform(_group: str, run: TaskRun, *_: object) -> None:
        performed.put_nowait(int(run.slot))

    running = asyncio.create_task(desk.over(perform).run())
    async with asyncio.timeout(10):
        desk.now_s = FOUR + DAY_S + 0.5
        assert await performed.get() == FOUR + DAY_S
        desk.now_s = FOUR - DAY_S  # nothing is due for two days by this clock
        desk.looks = 0
        while desk.looks < 2:  # it has looked at this clock, and sleeps on
            await asyncio.sleep(0.02)
        assert performed.empty()
        desk.now_s = FOUR + DAY_S + HOUR_S
        assert await performed.get() == FOUR + DAY_S + HOUR_S
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert performed.empty()


async def said(house: House, job: Event) -> list[str]:
    """What the bot said for a job."""
    words = await house.find([Kind.CHAT], h=job.tag("h") or "")
    return [event.content for event in words if event.tag("job") == job.id]


async def test_a_task_runs_and_its_cancellation_before_is_a_calling_off(house: House) -> None:
    desk = Desk(house)
    group = await house.group("runs")
    task, gone = await desk.plan(group), await desk.plan(group)
    async with house.dispatch(Sessions(house)) as dispatch:
        desk.scheduler = desk.over(dispatch.intake.perform)
        await desk.at(FOUR)
        await house.at_rest(dispatch)
    async with house.dispatch(Sessions(house)) as dispatch:
        run = TaskRun(gone.address(house.author.pubkey), "7")
        job = await dispatch.intake.perform(group, run)
        assert job is not None
        assert await dispatch.intake.perform(group, run) is None, "it is the same job"
        await house.at_rest(dispatch)
    (made,) = await house.find([Kind.JOB_REQUEST], a=task.address(house.author.pubkey))
    assert await said(house, made) == ["done"]
    assert len(await house.find([Kind.JOB_RESULT], e=made.id)) == 1


async def test_killed_at_any_time_each_slot_runs_once(house: House) -> None:
    """Two at a time, cut off again and again at any moment: one job a slot, no slot without."""
    source = dice("task-cuts")
    group = await house.group("killed")
    maker = Desk(house)
    task = await maker.plan(group, schedule=Schedule("interval", "60000", NOW + 60))
    now_s = NOW
    for _ in range(figure("task-cuts")):
        now_s += source.randrange(30, 200)
        desks = [Desk(house, now_s=now_s) for _ in range(2)]

        async def live(desk: Desk) -> None:
            async def perform(group: str, run: TaskRun) -> None:
                await publish(house, group, run)

            scheduler = desk.over(perform)
            await desk.book.load()
            await scheduler.resume()
            await scheduler.look(int(desk.now_s))

        running = [asyncio.create_task(live(desk)) for desk in desks]
        await asyncio.sleep(source.uniform(0.0, 0.03))
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    last = Desk(house, now_s=now_s)
    await last.book.load()

    async def perform(group: str, run: TaskRun) -> None:
        await publish(house, group, run)

    await last.over(perform).resume()
    jobs = await house.find([Kind.JOB_REQUEST], a=task.address(house.author.pubkey))
    slots = [int(job.tag("slot") or "0") for job in jobs]
    assert slots == sorted(set(slots)), "one job a slot, in their order"
    assert (await last.stored(task)).last == slots[-1]
    assert all((slot - NOW) % 60 == 0 for slot in slots)


async def publish(house: House, group: str, run: TaskRun) -> None:
    from nips.own import task_run

    template = task_run.request(
        house.author.pubkey, group, run, house.roles.bot, house.author.now_s()
    )
    await house.author.insist(house.author.sign(template))
