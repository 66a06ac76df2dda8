"""kill -9 of two schedulers that run the same tasks: one job a slot, and no slot without."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import time
from uuid import uuid4

from bot.alarm import Alarm
from bot.scheduler import Doing, Scheduler
from bot.task_book import TaskBook
from nips.kinds import Kind
from nips.own import task as tasks
from nips.own import task_run
from nips.own.schedule import MAX_COUNT, Count, Schedule
from nips.own.task import Task
from nips.own.task_run import TaskRun
from tests.figures import dice, figure
from tests.unit.bot.uncontained import House, a_house

N_KILLS = figure("task-kills")
LONGEST_LIFE_S = 1.4  # of which a start takes half
EVERY_SECOND = 3  # tasks
ONCE_A_SECOND = 3  # tasks that run once, due in each second
FOUND_LATER = "a claimed slot has no job yet"


@dataclass
class Pair:
    """Two schedulers as processes; each that is killed is started again."""

    house: House
    log: Path

    async def __aenter__(self) -> Pair:
        self.running = [await self._start(), await self._start()]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def end(self) -> None:
        """Kill both, and start neither."""
        while self.running:
            process = self.running.pop()
            process.kill()
            await process.wait()

    async def kill(self, *which: int) -> None:
        for number in which:
            self.running[number].kill()
        for number in which:
            await self.running[number].wait()
            self.running[number] = await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.unit.bot.scheduler_process",
                str(self.house.place.data), stdout=log, stderr=log,
            )  # fmt: skip


async def test_two_that_are_killed_at_any_time_make_one_job_a_slot(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    source = dice("task-kills")
    lasts_s = int(N_KILLS * LONGEST_LIFE_S / 2) + 2
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(a_house())
        book, group = TaskBook(house.author), await house.group("killed")
        begin = int(time()) + 2
        for _ in range(EVERY_SECOND):
            schedule = Schedule("interval", "1000", begin)
            count = Count(MAX_COUNT, MAX_COUNT)
            await book.put(replace(task_of(group, schedule, begin), count=count), None)
        for second in range(begin, begin + lasts_s):
            for _ in range(ONCE_A_SECOND):
                await book.put(task_of(group, once_at(second), second), None)
        pair = await stack.enter_async_context(Pair(house, tmp_path / "log"))
        for _ in range(N_KILLS):
            await asyncio.sleep(source.uniform(0, LONGEST_LIFE_S))
            await pair.kill(*source.choice(((0,), (1,), (0,), (1,), (0, 1))))
        await asyncio.sleep(max(0.0, begin + lasts_s + 0.5 - time()))
        await pair.end()
        log = (tmp_path / "log").read_text(errors="replace")
        assert "Traceback" not in log, log[-3000:]
        await finish(house)
        kept = await house.find([Kind.CALENDAR_EVENT], h=group)
        jobs = await house.find([Kind.JOB_REQUEST], h=group)
        record_property("jobs", len(jobs))
        record_property("claims whose job another made", log.count(FOUND_LATER))
        made = Counter((job.tag("a"), int(job.tag("slot") or 0)) for job in jobs)
        assert set(made.values()) == {1}, "two jobs of one slot"
        for event in kept:
            task = tasks.parse(event, house.author.pubkey)
            slots = sorted(slot for address, slot in made if address == task_address(house, task))
            assert slots[-1] == task.last
            if task.count is None:
                assert (slots, task.status) == ([task.start], "done")
            else:  # each claim has counted, and has its job
                assert task.count.total - task.count.left == len(slots)
        assert len(kept) == EVERY_SECOND + ONCE_A_SECOND * lasts_s


def task_of(group: str, schedule: Schedule, start: int) -> Task:
    return Task(group, str(uuid4()), "Tick", "/say tick", schedule, "UTC", start)


def once_at(second: int) -> Schedule:
    return Schedule("once", f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}")


def task_address(house: House, task: Task) -> str:
    return task.address(house.author.pubkey)


async def finish(house: House) -> None:
    """One more start, which is not killed, and what was due by then."""
    book = TaskBook(house.author)
    await book.load()

    async def perform(group: str, run: TaskRun, *_: object) -> None:
        bot, now_s = house.roles.bot, house.author.now_s()
        made = task_run.request(house.author.pubkey, group, run, bot, now_s)
        await house.author.insist(house.author.sign(made))

    async def tell(_group: str) -> None:
        raise AssertionError("nothing is over a budget")

    doing = Doing(perform, house.directory.group, lambda _group: None, tell, frozenset)
    scheduler = Scheduler(house.author, house.roles, book, doing, Alarm(), time)
    await scheduler.resume()
    await scheduler.look(int(time()))
