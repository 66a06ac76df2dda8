"""Shell: open jobs: whose turn it is, attempt after attempt, until each has its end event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import structlog

from bot.attempt import Runner
from bot.author import of_kinds
from bot.conversation import Signal
from bot.groups import Group
from bot.jobs import (
    INTERRUPTED,
    JOB_KINDS,
    SPEAKING_KINDS,
    Again,
    Complete,
    Failure,
    GiveUp,
    Job,
    Nothing,
    Step,
    fold,
    next_step,
    spoken,
)
from bot.notice import notice
from bot.turns import Start, Turns
from nips.event import Event, Tag
from nips.filter import Filter
from nips.own import job as job_events
from nips.own.roles import Roles

SAID_BEFORE_S = 120  # how much earlier than its job an event of it may be dated
MAX_SAID = 5_000

log = structlog.get_logger()


class Dispatch:
    """Takes jobs and sees them to their end.

    groups: gives a group by its id. places: jobs that run at once. pauses_s: before a job's
    second attempt, its third. tasks: where the work runs; cancelling it ends the containers.
    """

    def __init__(
        self,
        runner: Runner,
        roles: Roles,
        groups: Callable[[str], Group | None],
        *,
        places: int,
        pauses_s: Sequence[float],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._runner, self._roles, self._groups = runner, roles, groups
        self._author = runner.author
        self._pauses_s = tuple(pauses_s)
        self._tasks = tasks
        self._turns = Turns(places)
        self._open: dict[str, Job] = {}

    @property
    def is_idle(self) -> bool:
        """Say whether every job taken has its end event."""
        return not self._open

    def take(self, job: Job) -> None:
        """Queue a job; one that is here already stays where it is."""
        if job.id not in self._open:
            self._open[job.id] = job
            self._signal(job.group, Signal.ARRIVED, job.id)

    async def resolve(self, job: Job) -> None:
        """Go on with a job that was found open: end it where that is due, else queue it."""
        if job.id in self._open:
            return
        job, has_spoken = await self._facts(job)
        failure = INTERRUPTED if job.attempts else None
        step = next_step(job, has_spoken=has_spoken, failure=failure, pauses_s=())
        if isinstance(step, Again):
            self.take(job)
        else:
            await self._end(job, step)

    def _signal(self, group: str, signal: Signal, job: str | None = None) -> None:
        self._turns, starts = self._turns.on(group, signal, job)
        for start in starts:
            self._tasks.create_task(self._work(start))

    async def _work(self, start: Start) -> None:
        job = self._open[start.job]
        number = job.attempts + 1
        failure = await self._attempt(job, number)
        job, has_spoken = await self._facts(job)
        # An attempt whose 43002 never came to be counts all the same, or it would never end.
        job = replace(job, attempts=max(job.attempts, number))
        step = next_step(job, has_spoken=has_spoken, failure=failure, pauses_s=self._pauses_s)
        if isinstance(step, Again):
            log.warning("attempt failed", job=job.id[:12], number=number, reason=failure.words)
            self._open[job.id] = job
            self._signal(job.group, Signal.FAILED)
            self._tasks.create_task(self._wake(job.group, step.pause_s))
            return
        await self._end(job, step)
        del self._open[job.id]
        self._signal(job.group, Signal.ENDED)

    async def _wake(self, group: str, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        self._signal(group, Signal.WOKEN)

    async def _attempt(self, job: Job, number: int) -> Failure:
        group = self._groups(job.group)
        if group is None or group.binding is None:
            return Failure("its group is no conversation any more", final=True)
        return await self._runner.run(job, number, group.binding.folder)

    async def _facts(self, job: Job) -> tuple[Job, bool]:
        """What the relay knows of a job by now, and whether it has spoken."""
        about = {"e": frozenset({job.id})}
        said = Filter(
            authors=frozenset({self._roles.bot}),
            kinds=of_kinds(*SPEAKING_KINDS),
            since=max(0, job.created_at - SAID_BEFORE_S),
            limit=MAX_SAID,
        )
        events = await self._author.link.fetch(
            [
                Filter(ids=frozenset({job.id})),
                Filter(kinds=of_kinds(*JOB_KINDS), tags=about),
                said,
            ]
        )
        known = fold(events, self._author.pubkey).get(job.id, job)
        return known, job.id in spoken(events, self._roles.bot)

    async def _end(self, job: Job, step: Step) -> None:
        pubkey, now_s = self._author.pubkey, self._author.now_s()
        match step:
            case Complete():
                log.info("job done", job=job.id[:12])
                end = job_events.result(pubkey, job.group, job.id, now_s)
            case GiveUp(words):
                log.warning("job given up", job=job.id[:12], reason=words)
                # Told first: ended, it would not be looked at again after a crash in between.
                await self._tell(job, words)
                end = job_events.error(pubkey, job.group, job.id, words, now_s)
            case Again() | Nothing():
                return
        ok = await self._author.publish(end)
        if not ok.accepted:
            log.error("job's end refused", job=job.id[:12], reason=ok.message)

    async def _tell(self, job: Job, words: str) -> None:
        """Tell the owner, in main; whoever asked there is told where they asked."""
        about: list[Tag] = []
        asked = await self._author.link.fetch([Filter(ids=frozenset({job.message}))])
        if job.group == self._roles.main:
            about = [("q", job.message), *(("p", event.pubkey) for event in asked)]
        else:
            group = self._groups(job.group)
            name = group.binding.folder if group and group.binding else job.group
            words = f"In {name}: {words}"
        now_s = self._author.now_s()
        ok = await self._author.publish(
            notice(self._roles, ("notice", job.id), words, about, now_s=now_s)
        )
        if not ok.accepted:
            log.error("notice refused", job=job.id[:12], reason=ok.message)


def open_jobs(events: Iterable[Event], router: str) -> list[Job]:
    """The jobs without an end event, in the order in which they came."""
    return [job for job in fold(events, router).values() if not job.ended]
