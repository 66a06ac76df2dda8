"""Shell: open jobs: whose turn it is, attempt after attempt, until each has its end event.

A job ends when its agent is done, when it cannot be tried again, or when it is called off: by
`/stop`, by a ❌ on its message, or by a 43005 of somebody whom the relay lets write one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from bot.conversation import Phase, Signal
from bot.ending import SEEN, Ending, is_still_wanted
from bot.failure import INTERRUPTED, Failure
from bot.groups import Group
from bot.intake import Intake
from bot.jobs import Again, Job, Step, next_step
from bot.lookout import Lookout
from bot.open_job import Attempts, JobState, Open
from bot.turns import Start, Stop, Turns
from nips.own import job as job_events
from nips.own.job import Cancel
from nips.own.roles import Roles

JUST_MADE_S = 2
SIGNER_WAIT_S = 86_400  # from its making on; who asked does not expect an answer after that
UNDER_WAY = frozenset({Phase.RUNNING, Phase.STOPPING})
STATES = {
    Phase.QUEUED: "queued",
    Phase.RUNNING: "running",
    Phase.PAUSED: "paused",
    Phase.STOPPING: "stopping",
}

log = structlog.get_logger()


class Dispatch:
    """Takes jobs and sees them to their end; `intake` makes them of messages.

    groups: gives a group by its id. lookout: knows whether the signer serves. places: jobs that
    run at once. pauses_s: before a job's second attempt, its third. tasks: where the work runs;
    cancelling it ends the containers. began: is called with each job that is taken.
    """

    def __init__(
        self,
        runner: Attempts,
        roles: Roles,
        groups: Callable[[str], Group | None],
        lookout: Lookout,
        *,
        places: int,
        pauses_s: Sequence[float],
        tasks: asyncio.TaskGroup,
        began: Callable[[Job], None] = lambda _job: None,
    ) -> None:
        self._began = began
        self._runner, self._roles, self._groups = runner, roles, groups
        self._lookout = lookout
        self._author = runner.author
        self.intake = Intake(runner.author, roles, self)
        self._ending = Ending(runner.author, roles, groups, self.intake.again)
        self._pauses_s = tuple(pauses_s)
        self._tasks = tasks
        self._turns = Turns(places)
        self._open: dict[str, Open] = {}

    @property
    def is_idle(self) -> bool:
        """Say whether every job taken has its end event."""
        return not self._open

    def states(self) -> tuple[JobState, ...]:
        """The open jobs, in the order in which they were taken."""
        return tuple(JobState(o.job, self._state(o.job), o.since_s) for o in self._open.values())

    # Turns

    def last_open(self, group: str, not_before: int | None) -> Open | None:
        """The job that a message may be handed to: one that begins when the message may.

        It is the last, for an earlier one would let the message overtake others.
        """
        if not_before is None:
            jobs = self._turns.of(group).jobs[-1:]
            found = [self._open[job] for job in jobs]
        else:
            found = [
                one
                for one in self._open.values()
                if one.timer is not None
                and (one.job.group, one.job.not_before) == (group, not_before)
            ]
        return found[-1] if found and found[-1].takes_more() else None

    def take(self, job: Job) -> None:
        """Queue a job, or let it wait for its time; one that is here already stays where it is."""
        if job.id in self._open:
            return
        self._began(job)
        made = self._open[job.id] = Open(job, self._author.now_s())
        wait_s = (job.not_before or 0) - self._author.now_s()
        if wait_s <= 0:
            self._signal(job.group, Signal.ARRIVED, job.id)
            return
        made.timer = self._tasks.create_task(self._later(made, wait_s, Signal.ARRIVED))

    async def _later(self, waiting: Open, wait_s: float, signal: Signal) -> None:
        await asyncio.sleep(wait_s)
        waiting.timer = None
        self._signal(waiting.job.group, signal, waiting.job.id)

    def find(self, job: str) -> Open | None:
        """The open job of that id."""
        return self._open.get(job)

    async def resolve(self, job: Job) -> None:
        """Go on with a job that was found open: end it where that is due, else queue it."""
        if job.id in self._open:
            return
        job, has_spoken = await self._ending.facts(job)
        failure = INTERRUPTED if job.attempts else None
        step = next_step(job, has_spoken=has_spoken, failure=failure, pauses_s=())
        if isinstance(step, Again):
            self.take(job)
        else:
            await self._ending.end(job, step)

    def _signal(self, group: str, signal: Signal, job: str | None = None) -> None:
        self._turns, todo = self._turns.on(group, signal, job)
        for one in todo:
            match one:
                case Start():
                    self._tasks.create_task(self._work(self._open[one.job]))
                case Stop():
                    if (attempt := self._open[one.job].attempt) is not None:
                        attempt.cancel()

    async def _work(self, work: Open) -> None:
        if not work.job.called_off and await self._is_gone(work.job):
            log.info("what it was made for is gone", job=work.job.id[:12])
            await self._call(work, ())
        job, number = work.job, work.job.attempts + 1
        failure: Failure | None = None
        if not job.called_off:
            work.since_s = self._author.now_s()
            # The attempt first: a sign on its way before it would cost it a commit's time.
            work.attempt = self._tasks.create_task(self._attempt(job, number))
            self.show(job.group, job.all_messages, SEEN)
            failure = await _outcome(work.attempt)
            work.attempt = None
        has_spoken = await self._close(work)
        if failure is not None:
            # An attempt whose 43002 never came to be counts all the same, or it would never end.
            work.job = replace(work.job, attempts=max(work.job.attempts, number))
        step = next_step(work.job, has_spoken=has_spoken, failure=failure, pauses_s=self._pauses_s)
        if failure is not None and isinstance(step, Again):
            log.warning("attempt failed", job=job.id[:12], number=number, reason=failure.words)
            work.closed, work.since_s = False, self._author.now_s()
            self._signal(job.group, Signal.FAILED)
            woken = self._later(work, step.pause_s, Signal.WOKEN)
            work.timer = self._tasks.create_task(woken)
            return
        await self._finish(work, step)
        self._signal(job.group, Signal.ENDED)

    async def _is_gone(self, job: Job) -> bool:
        """Say whether nothing is left of what a job was made for, so that a run would have nothing
        to do. One that was made a moment ago is not looked at: it costs a question."""
        if not job.attempts and self._author.now_s() - job.created_at < JUST_MADE_S:
            return False
        return not await is_still_wanted(self._author, job)

    async def _close(self, work: Open) -> bool:
        """Let nothing more be handed to it, and learn what the relay knows of it by now; True when
        it has spoken."""
        async with work.handing:  # what is being handed over is seen below
            work.closed = True
        known, has_spoken = await self._ending.facts(work.job)
        work.job = replace(
            known,
            called_off=known.called_off or work.job.called_off,
            settled=known.settled | work.job.settled,
        )
        return has_spoken

    async def _attempt(self, job: Job, number: int) -> Failure:
        group = self._groups(job.group)
        if group is None or group.binding is None:
            return Failure("its group is no conversation any more", final=True)
        # Without the signer it could not speak, and would have used up its time when it returns.
        if not await self._lookout.serving(job.created_at + SIGNER_WAIT_S - self._author.now_s()):
            return Failure("the signer, without which I cannot speak, was away", final=True)
        return await self._runner.run(job, number, group.binding.folder)

    async def _finish(self, work: Open, step: Step) -> None:
        work.ending = True
        await self._ending.end(work.job, step)
        del self._open[work.job.id]
        work.ended.set()

    def show(self, group: str, messages: tuple[str, ...], sign: str) -> None:
        """React to messages, soon."""
        self._tasks.create_task(self._ending.sign(group, messages, sign))

    # Calling off

    async def stop(self, group: str) -> int:
        """Call off all the work of a group, with what was handed to it; returns how many jobs that
        were, when their containers are gone and their ends on the relay."""
        n_called = 0
        for _ in range(2):  # one that ends by itself meanwhile gives what was handed to it a job
            stopped = [one for one in self._open.values() if one.job.group == group]
            for one in stopped:
                n_called += await self._call(one, one.job.handed)
            await asyncio.gather(*(one.ended.wait() for one in stopped))
        return n_called

    async def call_off(self, job: str) -> Open | None:
        """Call a job off; messages that were handed to it, and that it has not come to, get
        another. None when it was not open; else returns when a crash does not undo it."""
        if (work := self._open.get(job)) is not None:
            await self._call(work, ())
        return work

    async def cancel(self, job: str) -> bool:
        """Call a job off, and wait until it has ended. False when it was not open."""
        if (work := await self.call_off(job)) is None:
            return False
        await work.ended.wait()
        return True

    def called_off(self, cancel: Cancel) -> None:
        """A 43005 has come: the relay has let its author write it."""
        work = self._open.get(cancel.job)
        if work is None or work.job.group != cancel.group or cancel.ended:
            return
        # Attack: a member calls their own message off, and others' with it.
        of_router = cancel.author == self._author.pubkey
        self._call_off(work, cancel.messages if of_router else ())

    def answering_any(self, messages: frozenset[str]) -> list[Open]:
        """The open jobs that answer one of these messages, whichever their groups."""
        return [one for one in self._open.values() if not messages.isdisjoint(one.job.all_messages)]

    def answering(self, group: str, event_id: str) -> Job | None:
        """The open job of this group that is this event, or answers it."""
        for work in self._open.values():
            if work.job.group == group and event_id in (work.job.id, *work.job.all_messages):
                return work.job
        return None

    async def _call(self, work: Open, messages: Sequence[str]) -> bool:
        """Say on the relay that the job is to end: a crash does not undo what a person wanted.
        False where it ends already."""
        if work.ending:
            return False  # a 43005 after its 43004 would show as called off what was answered
        job, now_s = work.job, self._author.now_s()
        template = job_events.cancel(
            self._author.pubkey, job.group, job.id, now_s, messages, task=job.task
        )
        ok = await self._author.publish(template)
        if not ok.accepted:
            log.error("calling off refused", job=job.id[:12], reason=ok.message)
        self._call_off(work, messages)
        return True

    def _call_off(self, work: Open, messages: Sequence[str]) -> None:
        job, was_called_off = work.job, work.job.called_off
        work.job = replace(job, called_off=True, settled=job.settled | frozenset(messages))
        if was_called_off or job.id not in self._open:
            return
        if work.timer is not None:
            work.timer.cancel()
            work.timer = None
        conversation = self._turns.of(job.group)
        if job.id in conversation.jobs:
            self._signal(job.group, Signal.CALLED_OFF, job.id)
            if conversation.jobs[0] == job.id and conversation.phase in UNDER_WAY:
                return  # the attempt ends, and `_work` the job
        self._tasks.create_task(self._end_unbegun(work))

    async def _end_unbegun(self, work: Open) -> None:
        has_spoken = await self._close(work)
        step = next_step(work.job, has_spoken=has_spoken, failure=None, pauses_s=())
        await self._finish(work, step)

    def _state(self, job: Job) -> str:
        conversation = self._turns.of(job.group)
        if job.id in conversation.jobs[1:]:
            return "queued"
        if job.id not in conversation.jobs:
            return "stopping" if job.called_off else "waiting"
        return STATES[conversation.phase]


async def _outcome(attempt: asyncio.Task[Failure]) -> Failure:
    """How an attempt failed, should the job turn out not to be done; one that was called off was
    interrupted. Raises what it raised."""
    await asyncio.wait({attempt})
    return INTERRUPTED if attempt.cancelled() else attempt.result()
