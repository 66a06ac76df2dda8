"""Shell: a message becomes a job, or is handed to the last one of its group that is open; a task's
run becomes a job of its own.

A message is exactly one of both, for the relay keeps one of two events with its once-key. What is
decided here from memory is decided again, alike or not, after a crash; the once-keys hold either
way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import structlog

from bot.author import Author, is_duplicate
from bot.ending import SEEN, job_on
from bot.jobs import Job, fold
from bot.open_job import Open
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import handed as handed_events
from nips.own import job as job_events
from nips.own import task_run
from nips.own.cause import Cause
from nips.own.roles import Roles
from nips.own.task_run import TaskRun

log = structlog.get_logger()


class Line(Protocol):
    """Where the open jobs are."""

    def last_open(self, group: str, not_before: int | None) -> Open | None:
        """The job that a message may be handed to, None when it needs one of its own."""
        ...

    def find(self, job: str) -> Open | None:
        """The open job of that id."""
        ...

    def take(self, job: Job) -> None:
        """Queue a new job."""
        ...

    async def resolve(self, job: Job) -> None:
        """Go on with a job that was found on the relay."""
        ...

    def show(self, group: str, messages: tuple[str, ...], sign: str) -> None:
        """React to messages, soon."""
        ...


class Intake:
    """`begin` may be called for the same message again and again."""

    def __init__(self, author: Author, roles: Roles, line: Line) -> None:
        self._author, self._roles, self._line = author, roles, line

    async def begin(
        self,
        group: str,
        message: str,
        *,
        not_before: int | None = None,
        after: str | None = None,
    ) -> Job | None:
        """Make a message work, once. not_before: unix seconds until which it waits. after: the job
        that it was handed to and that ended without it.

        Returns the job, if it is a new one.
        """
        open_job = self._line.last_open(group, not_before)
        if open_job is not None and await self._hand(open_job, message, after):
            return None
        now_s = self._author.now_s()
        request = self._author.sign(
            job_events.request(
                self._author.pubkey,
                group,
                message,
                self._roles.bot,
                now_s,
                not_before=not_before,
                after=after,
            )
        )
        log.debug("a message is work", message=message[:12], job=request.id[:12])
        made = Job(request.id, group, (message,), request.created_at, not_before)
        return await self._make(request, made)

    async def perform(self, group: str, run: TaskRun, cause: Cause | None = None) -> Job | None:
        """Make a job of a task's run, once, however often it is asked for. cause: what has set it
        off, None for a moment. Returns the job, if it is a new one."""
        pubkey, now_s = self._author.pubkey, self._author.now_s()
        request = self._author.sign(
            task_run.request(pubkey, group, run, self._roles.bot, now_s, cause)
        )
        return await self._make(request, Job(request.id, group, (), now_s, task=run))

    async def _make(self, request: Event, made: Job) -> Job | None:
        ok = await self._author.insist(request)
        if is_duplicate(ok):
            # What was read again; or this very event, sent again after its OK was lost.
            await self._look_again(request)
        elif ok.accepted:
            log.info("job begins", job=request.id[:12])
            self._line.take(made)
            return made
        else:
            log.error("job refused", job=request.id[:12], reason=ok.message)
        return None

    async def again(self, ended: Job, message: str) -> None:
        """Make a message work that a job has ended without; not before that one was to begin."""
        until_s = ended.not_before or 0
        later = until_s if until_s > self._author.now_s() else None
        await self.begin(ended.group, message, not_before=later, after=ended.id)

    async def _hand(self, to: Open, message: str, after: str | None) -> bool:
        """Hand the message to a job; False when the job has closed meanwhile."""
        async with to.handing:
            if not to.takes_more():
                return False
            job, now_s = to.job, self._author.now_s()
            template = handed_events.handed(
                self._author.pubkey,
                job.group,
                job.id,
                message,
                now_s,
                position=len(job.handed) + 1,
                after=after,
            )
            event = self._author.sign(template)
            ok = await self._author.insist(event)
            if ok.accepted and not is_duplicate(ok):
                log.info("message handed over", job=job.id[:12], message=message[:12])
                to.job = replace(to.job, handed=(*to.job.handed, message))
                if to.attempt is not None:
                    self._line.show(job.group, (message,), SEEN)
                return True
        if ok.accepted:
            await self._look_again(event)
        else:
            log.error("not handed over", message=message[:12], reason=ok.message)
        return ok.accepted

    async def _look_again(self, made: Event) -> None:
        """Look for what was made of this event's message before, under the same once-key."""
        wanted = Filter(
            authors=frozenset({self._author.pubkey}), tags={"o": frozenset(made.values("o"))}
        )
        for event in await self._author.link.fetch([wanted]):
            if event.kind == Kind.JOB_REQUEST:
                for job in fold([event], self._author.pubkey).values():
                    await self._line.resolve(job)
            elif event.kind == Kind.JOB_PROGRESS:
                await self._look_at_handed(handed_events.parse_handed(event))

    async def _look_at_handed(self, handed: handed_events.Handed) -> None:
        if (known := self._line.find(handed.job)) is not None:
            if handed.message not in known.job.handed:
                known.job = replace(known.job, handed=(*known.job.handed, handed.message))
            return
        job = await job_on(self._author, handed.job)
        if job is None:
            return  # long ago: its job is forgotten
        if not job.ended:
            await self._line.resolve(job)
        elif handed.message in job.left_over:
            # It reached the relay after its job had been ended by our successor.
            await self.begin(handed.group, handed.message, after=handed.job)
