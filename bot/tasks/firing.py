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
from bot.schedule import planning
from bot.scheduler import LET_GO, Doing
from bot.task_book import Conflict, TaskBook
from bot.tasks.notices import HOUR_S, Notices
from bot.tasks.occasions import MAX_AN_HOUR
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.cause import Called, Cause
from nips.own.roles import Roles
from nips.own.task_run import TaskRun

MAX_TRIES = 5  # at a task that others change at the same time
MAX_LOOKED_AT = 100  # jobs of one task: more than an hour has, with those that people asked for
SAME = "the same signature has set it off under another name: sign it anew"

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
        self._author, self._book, self._doing = author, book, doing
        self._notices = Notices(author, roles, doing.groups)
        self._an_hour = an_hour
        self._one_at_a_time = asyncio.Lock()

    async def fire(self, name: str, slot: str, cause: Cause) -> Begun | Passed:
        """Have a task (its `d`) run for a slot; may be called for the same one repeatedly. Raises
        Refused where the relay does not take what must be kept."""
        # Before it waits: a call that was fresh then is held against the jobs of that time.
        since_s = self._author.now_s() - HOUR_S
        async with self._one_at_a_time:
            return await self._fire(name, slot, cause, since_s)

    async def _fire(self, name: str, slot: str, cause: Cause, since_s: int) -> Begun | Passed:
        if (planned := self._book.all.get(name)) is None or planned.task.schedule.has_clock:
            return Passed("there is no such task")
        task = planned.task
        run = TaskRun(task.address(self._author.pubkey), slot)
        of_slot, recent = await self._jobs(run, since_s)
        if of_slot is not None:
            return Begun(of_slot.id, False)
        # Attack: who heard a call pass by brings it again under another name, for another run.
        if isinstance(cause, Called) and any(job.tag("signed") == cause.signed for job in recent):
            return Passed(SAME)
        passed = None if task.fired == slot else await self._claim(name, slot, len(recent))
        if passed is not None:
            return passed
        await self._doing.perform(task.group, run, cause)
        of_slot, _ = await self._jobs(run, since_s)
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
                if why == LET_GO and task.source is not None:
                    await self._notices.let_go(task, task.source, why)
                return Passed(why)
            if not is_over and n_recent >= self._an_hour:
                await self._notices.flood(task, self._an_hour, now_s)
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

    async def _jobs(self, run: TaskRun, since_s: int) -> tuple[Event | None, list[Event]]:
        """The job of the slot, where there is one, and those that the task has had since."""
        router, requests = frozenset({self._author.pubkey}), of_kinds(Kind.JOB_REQUEST)
        same = Filter(authors=router, kinds=requests, tags={"o": frozenset({run.once()})})
        recent = Filter(
            authors=router,
            kinds=requests,
            tags={"a": frozenset({run.task})},
            since=since_s,
            limit=MAX_LOOKED_AT,
        )
        found = {e.id: e for e in await self._author.link.fetch([same, recent])}.values()
        of_slot = next((e for e in found if e.values("o") == [run.once()]), None)
        return of_slot, [event for event in found if event.created_at >= since_s]
