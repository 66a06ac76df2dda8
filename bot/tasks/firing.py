"""Shell: a task without a clock is set off: its slot is claimed first, then made work, once.

    event, call ─► has its slot a job? ─► the task's next version, by compare and set ─► its job

A slot is named by what it is for, so the same again is the same run: what is read again after a
crash, or called again by somebody who got no answer, has one effect. A claimed slot without a job
is met by that too, for who brings the cause brings it again. Source: PROTOCOL.md "What sets a task
off".
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from bot.author import Author, of_kinds
from bot.notice import notice
from bot.schedule import planning
from bot.scheduler import Doing
from bot.task_book import Conflict, TaskBook
from bot.tasks.occasions import MAX_AN_HOUR
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.cause import Cause
from nips.own.roles import Roles
from nips.own.task import Task
from nips.own.task_run import TaskRun

HOUR_S = 3_600
MAX_TRIES = 5  # at a task that others change at the same time

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Begun:
    """The job of the run, and whether it was made by this."""

    job: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """Nothing was made of it, and why. too_often: because of how often it came of late."""

    why: str
    too_often: bool = False


class Firing:
    """book: the tasks, which have been loaded. an_hour: runs of one task within an hour."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        book: TaskBook,
        doing: Doing,
        an_hour: int = MAX_AN_HOUR,
    ) -> None:
        self._author, self._roles, self._book, self._doing = author, roles, book, doing
        self._an_hour = an_hour
        self._one_at_a_time = asyncio.Lock()

    async def fire(self, name: str, slot: str, cause: Cause) -> Begun | Passed:
        """Have a task (its `d`) run for a slot; may be called for the same one repeatedly. Raises
        Refused where the relay does not take what must be kept."""
        async with self._one_at_a_time:
            return await self._fire(name, slot, cause)

    async def _fire(self, name: str, slot: str, cause: Cause) -> Begun | Passed:
        if (planned := self._book.all.get(name)) is None or planned.task.schedule.has_clock:
            return Passed("there is no such task")
        task = planned.task
        run = TaskRun(task.address(self._author.pubkey), slot)
        of_slot, n_recent = await self._jobs(run)
        if of_slot is not None:
            return Begun(of_slot.id, False)
        if task.fired != slot and (passed := await self._claim(name, slot, n_recent)) is not None:
            return passed
        await self._doing.perform(task.group, run, cause)
        of_slot, _ = await self._jobs(run)
        if of_slot is None:
            return Passed("the relay did not take it")
        return Begun(of_slot.id, True)

    async def _claim(self, name: str, slot: str, n_recent: int) -> Passed | None:
        """Store that the slot is claimed; why not."""
        for _ in range(MAX_TRIES):
            if (planned := self._book.all.get(name)) is None:
                return Passed("there is no such task")
            task, now_s = planned.task, self._author.now_s()
            if task.fired == slot:
                return None  # another process has claimed it
            if task.status != "active":
                return Passed(f"it is {task.status}")
            is_over = task.until is not None and now_s > task.until
            if not is_over and (why := self._doing.against(task)) is not None:
                log.info("task passed over", task=task.id[:8], reason=why)
                await self._doing.tell(task.group)
                return Passed(why)
            if not is_over and n_recent >= self._an_hour:
                await self._tell_of_flood(task, now_s)
                return Passed(f"it has run {n_recent} times within an hour", too_often=True)
            after = planning.over(task, now_s) if is_over else planning.fired(task, slot, now_s)
            try:
                await self._book.put(after, planned)
            except Conflict:
                continue
            if is_over:
                return Passed("its end has passed")
            log.info("slot claimed", task=task.id[:8], slot=slot[:12])
            return None
        return Passed("it is being changed all the time")

    async def _jobs(self, run: TaskRun) -> tuple[Event | None, int]:
        """The job of the slot, where there is one, and how many the task has had of late."""
        router, requests = frozenset({self._author.pubkey}), of_kinds(Kind.JOB_REQUEST)
        since = self._author.now_s() - HOUR_S
        same = Filter(authors=router, kinds=requests, tags={"o": frozenset({run.once()})})
        recent = Filter(
            authors=router,
            kinds=requests,
            tags={"a": frozenset({run.task})},
            since=since,
            limit=self._an_hour,
        )
        found = {e.id: e for e in await self._author.link.fetch([same, recent])}.values()
        of_slot = next((e for e in found if e.values("o") == [run.once()]), None)
        return of_slot, sum(event.created_at >= since for event in found)

    async def _tell_of_flood(self, task: Task, now_s: int) -> None:
        """Tell the owner, once an hour, that a task is set off no more for a while."""
        group = self._doing.groups(task.group)
        name = group.binding.folder if group and group.binding else task.group[:8]
        where = "" if task.group == self._roles.main else f"In {name}: "
        words = (
            f"{where}A task ({task.id[:8]}) was set off more than {self._an_hour} times within an "
            "hour. What else sets it off for now is passed over. If that is not what you want, "
            f"make its filter narrower, or pause it: /task pause {task.id[:8]}"
        )
        once = ("set off too often", task.name, str(now_s // HOUR_S))
        said = notice(self._roles, once, words, now_s=now_s)
        if refusal := (await self._author.publish(said)).refusal:
            log.error("notice refused", task=task.id[:8], reason=refusal.sentence)
