"""Shell: tasks with a clock run when they are due: claimed first, then made work.

    due ─► the next version of the task, by compare and set ─► its job, under (task, slot) ─► runs

The version that names the slot as claimed, and the next run, is on the relay before the job is. A
start after a kill makes the job of a slot that was claimed and has none. Of two schedulers one
claims: the other is refused, and looks at what is there now; should the first be killed before it
makes the job, the second does so before it claims the next. Source: PROTOCOL.md "Kind 31923".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from bot.alarm import Alarm
from bot.author import Author, of_kinds
from bot.groups import Group
from bot.schedule import planning
from bot.schedule.misfire import Pass, Run, Wait, decide
from bot.task_book import Conflict, Planned, TaskBook
from bot.tasks.notices import Notices
from bot.zones import zone_of
from nips.filter import MAX_VALUES, Filter
from nips.kinds import Kind
from nips.nip29 import GroupRole
from nips.own.cause import Cause
from nips.own.roles import Roles
from nips.own.task import Task
from nips.own.task_run import TaskRun
from nips.refusal import Malformed, Refused

RETRY_S = 30.0
LET_GO = "who planned it in their calendar is no admin there any more"

log = structlog.get_logger()


class Perform(Protocol):
    """Its result does not matter here: what was made is on the relay."""

    def __call__(
        self, group: str, run: TaskRun, cause: Cause | None = None, /
    ) -> Awaitable[object]: ...


@dataclass(frozen=True, slots=True)
class Doing:
    """What is done with a slot that is due.

    perform: makes a job of a task's run in a group, of its cause where that is no moment; may be
    called for the same one repeatedly.
    groups: gives a group by its id. why_not: why no job may begin in a group now, None when one
    may. tell: says so there, once a day. owners: the keys by which the owner speaks.
    """

    perform: Perform
    groups: Callable[[str], Group | None]
    why_not: Callable[[str], str | None]
    tell: Callable[[str], Awaitable[None]]
    owners: Callable[[], frozenset[str]]

    def against(self, task: Task) -> str | None:
        """Why a task may not run now, None when it may."""
        group = self.groups(task.group)
        if group is None or group.binding is None or group.binding.archived:
            return "its group is no conversation now"
        if group.binding.paused:
            return "its group is paused"
        # Attack: who was let go leaves behind what the assistant does for them for ever.
        if task.source is not None and not may_plan(task.source.author, group, self.owners()):
            return LET_GO
        return self.why_not(task.group)


def may_plan(author: str, group: Group, owners: frozenset[str]) -> bool:
    """Say whether a key's calendar events can be tasks of a group."""
    # Attack: a member of a group, who may write there, has its agent work for them for ever.
    return author in owners or group.has(author, GroupRole.ADMIN)


class Scheduler:
    """`run` until cancelled. now_s: the clock, in unix seconds with their fractions: by whole ones
    a task would begin up to a second late."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        book: TaskBook,
        doing: Doing,
        alarm: Alarm,
        now_s: Callable[[], float],
    ) -> None:
        self._author, self._book = author, book
        self._notices = Notices(author, roles, doing.groups)
        self._doing, self._alarm, self._now_s = doing, alarm, now_s
        self._misread: set[str] = set()  # versions that were complained of
        self._made: dict[
            str, int
        ] = {}  # by a task's name the last slot that is known to have a job

    async def run(self) -> None:
        """Finish what was claimed, then run what is due. The book has been loaded."""
        await self.resume()
        async with self._alarm:
            while True:
                looked_at_s = int(self._now_s())
                has_done_all = await self.look(looked_at_s)
                in_s = self._next_after(looked_at_s) - self._now_s()
                self._alarm.set(in_s if has_done_all else min(in_s, RETRY_S))
                await self._alarm.wait()

    def changed(self) -> None:
        """A task is new or another one: look when the next is due."""
        self._alarm.ring()

    async def resume(self) -> None:
        """Make the jobs of slots that were claimed by a predecessor who did not come to it."""
        await self._finish([planned.task for planned in self._book.all.values()])

    async def _finish(self, tasks: list[Task]) -> None:
        """The same for these tasks."""
        claimed = {
            (task.address(self._author.pubkey), str(task.last)): task
            for task in tasks
            if task.last is not None
        }
        found = await self._found({address for address, _ in claimed})
        for (address, slot), task in sorted(claimed.items(), key=lambda one: one[0][1]):
            if (address, slot) not in found:
                log.info("a claimed slot has no job yet", task=task.id[:8], slot=slot)
                await self._doing.perform(task.group, TaskRun(address, slot))
            self._made[task.name] = int(slot)

    async def look(self, now_s: int) -> bool:
        """Do all that is due at that second; False where some of it could not be claimed."""
        has_done_all = True
        due = [p for p in self._book.all.values() if _has_time(p.task) and p.task.start <= now_s]
        for planned in sorted(due, key=lambda p: (p.task.start, p.task.name)):
            try:
                await self._attend_to(planned, now_s)
            except Refused as error:  # the disk is full, say: looked at again soon
                has_done_all = False
                log.error("task not claimed", task=planned.task.id[:8], reason=str(error))
        return has_done_all

    async def _attend_to(self, planned: Planned, now_s: int) -> None:
        task = planned.task
        try:
            plan = planning.plan_of(task, zone_of(task.zone))
        except Malformed as error:
            self._complain(planned, error)
            return
        verdict = decide(plan, task.start, now_s)
        if isinstance(verdict, Wait):
            return
        if task.last is not None and self._made.get(task.name) != task.last:
            # Another scheduler has claimed that slot, and may have been killed right then.
            await self._finish([task])
        match verdict:
            case Run(slot) if (why := self._doing.against(task)) is not None:
                log.info("task passed over", task=task.id[:8], slot=slot, reason=why)
                after = planning.passed(task, Pass(slot, plan.next(slot)))
                if await self._replace(planned, after):
                    await self._doing.tell(task.group)
                    if why == LET_GO and task.source is not None:
                        await self._notices.let_go(task, task.source, why)
                    elif after.status == "done":
                        await self._notices.missed(after, slot, why)
            case Run(slot, _, late_s):
                if await self._replace(planned, planning.claimed(task, verdict)):
                    log.info("slot claimed", task=task.id[:8], slot=slot, late_s=late_s)
                    run = TaskRun(task.address(self._author.pubkey), str(slot))
                    await self._doing.perform(task.group, run)
                    self._made[task.name] = slot
            case Pass(slot, _):
                log.info("task missed", task=task.id[:8], slot=slot)
                after = planning.passed(task, verdict)
                is_told = task.misfire.window_s is not None or after.status == "done"
                if await self._replace(planned, after) and is_told:
                    await self._notices.missed(after, slot, "I was not running")

    async def _replace(self, planned: Planned, task: Task) -> bool:
        """False where somebody else was quicker: what they made of it is looked at next."""
        try:
            await self._book.put(task, planned)
        except Conflict:
            log.info("somebody else has changed the task", task=task.id[:8])
            self._alarm.ring()
            return False
        return True

    async def _found(self, addresses: set[str]) -> set[tuple[str, str]]:
        """The runs of these tasks that have a job, whatever became of it."""
        found, wanted = set[tuple[str, str]](), sorted(addresses)
        for first in range(0, len(wanted), MAX_VALUES):
            of_tasks = Filter(
                authors=frozenset({self._author.pubkey}),
                kinds=of_kinds(Kind.JOB_REQUEST),
                tags={"a": frozenset(wanted[first : first + MAX_VALUES])},
            )
            for event in await self._author.stored([of_tasks]):
                found.add((event.tag("a") or "", event.tag("slot") or ""))
        return found

    def _complain(self, planned: Planned, error: Malformed) -> None:
        if planned.event.id not in self._misread:
            self._misread.add(planned.event.id)
            log.error("task cannot run", task=planned.task.id[:8], reason=str(error))

    def _next_after(self, looked_at_s: int) -> float:
        """When the next is due of those that were not due then."""
        times = (p.task.start for p in self._book.all.values() if _has_time(p.task))
        return min((start for start in times if start > looked_at_s), default=float("inf"))


def _has_time(task: Task) -> bool:
    return task.status == "active" and task.schedule.has_clock
