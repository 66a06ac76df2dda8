"""Pure: jobs, folded from their events, and what is to be done with each: the retry truth.

    a 43004, 43006, or the router's 43005 nothing: it has ended
    else a 43003 `done` of its session    it ends in 43004, whatever happened afterwards
    else somebody called it off (43005)   it ends in 43005
    else it spoke (an event of the bot's  it ends in 43006: running it again could say
         with its `job` tag)              everything twice
    else a limit was passed               it ends in 43006: it would be passed again
    else three attempts were made         it ends in 43006
    else                                  the next attempt, after a pause that grows

Messages handed to a job take part in every attempt. Those that it ends without are left over: each
gets a job anew, unless a session had begun with it. Source: PROTOCOL.md "Jobs".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from bot.failure import INTERRUPTED, Failure
from nips.event import Event
from nips.kinds import Kind
from nips.own import handed as handed_events
from nips.own import job as job_events
from nips.own.handed import Handed
from nips.own.job import Attempt, Cancel, JobEnd, JobRequest, Progress
from nips.own.task_run import TaskRun
from nips.refusal import Malformed

T = TypeVar("T")
OfJob = TypeVar("OfJob", Attempt, Progress, Handed, Cancel, JobEnd)

JOB_KINDS = frozenset(
    {
        Kind.JOB_REQUEST,
        Kind.JOB_ACCEPTED,
        Kind.JOB_PROGRESS,
        Kind.JOB_RESULT,
        Kind.JOB_CANCEL,
        Kind.JOB_ERROR,
    }
)
SAID_IN_GROUPS = frozenset({Kind.REACTION, Kind.CHAT})
SAID_IN_PUBLIC = frozenset({Kind.NOTE, Kind.COMMENT, Kind.REACTION, Kind.ARTICLE, Kind.DRAFT})
JOB_TAG = "job"
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    messages: that it was made for; none of a task's run, which `task` is. not_before: unix seconds
    until which it waits. attempts: how many were begun. handed: messages that came while it was
    open, in their order; begun: those of them that a session has begun with; settled: those that
    need nothing more; withdrawn: those of them that were taken back. called_off: it is to end
    without an answer. done: its session said so. ended: it has its end event. gate: how the
    command ended that kept its task from being carried out, None where none did.
    """

    id: str
    group: str
    messages: tuple[str, ...]
    created_at: int
    not_before: int | None = None
    attempts: int = 0
    handed: tuple[str, ...] = ()
    begun: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    withdrawn: frozenset[str] = frozenset()
    called_off: bool = False
    done: bool = False
    ended: bool = False
    task: TaskRun | None = None
    gate: str | None = None

    @property
    def message(self) -> str | None:
        """The message that it was made for, the first of them; None of a task's run."""
        return self.messages[0] if self.messages else None

    @property
    def all_messages(self) -> tuple[str, ...]:
        """Every message that it is to answer, in order."""
        return (*self.messages, *self.handed)

    @property
    def at(self) -> str | None:
        """The message that it was last at; None while it is at a task's prompt."""
        return next((m for m in reversed(self.handed) if m in self.begun), self.message)

    @property
    def left_over(self) -> tuple[str, ...]:
        """The handed messages that nobody has dealt with, should it end now.

        One that a session had begun with may have had an effect: like a run that had spoken, it is
        not begun again.
        """
        return tuple(m for m in self.handed if m not in self.settled and m not in self.begun)


@dataclass(frozen=True, slots=True)
class Complete:
    """End the job in a 43004."""


@dataclass(frozen=True, slots=True)
class CallOff:
    """End the job in a 43005."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the job in a 43006 with these words, and tell the owner."""

    words: str


@dataclass(frozen=True, slots=True)
class Again:
    """Begin this attempt, after a pause."""

    number: int
    pause_s: float


@dataclass(frozen=True, slots=True)
class Nothing:
    """It has ended."""


Step = Complete | CallOff | GiveUp | Again | Nothing


def fold(events: Iterable[Event], router: str) -> dict[str, Job]:
    """Jobs by id, in the order in which their 43001 come, from events in any order.

    router: in hex; what claims to be its and is not, counts nothing, nor does what is malformed.
    """
    known = list(events)
    requests = _all(known, Kind.JOB_REQUEST, job_events.parse_request, by=router)
    attempts = _of_jobs(_all(known, Kind.JOB_ACCEPTED, job_events.parse_attempt, by=router))
    handed = _of_jobs(_all(known, Kind.JOB_PROGRESS, handed_events.parse_handed, by=router))
    said = _of_jobs(_all(known, Kind.JOB_PROGRESS, job_events.parse_progress))
    # Who may write one is for the relay to see to: it knows whose messages they are.
    cancels = _of_jobs(_all(known, Kind.JOB_CANCEL, job_events.parse_cancel))
    ends = _of_jobs(
        end
        for kind in (Kind.JOB_RESULT, Kind.JOB_ERROR)
        for end in _all(known, kind, job_events.parse_end, by=router)
    )

    def job_of(request: JobRequest) -> Job:
        tried = attempts.get(request.id, [])
        # Attack: one job's session says that another job is done.
        sessions = {attempt.session for attempt in tried}
        reports = [one for one in said.get(request.id, []) if one.session in sessions]
        calls = [one for one in cancels.get(request.id, []) if one.group == request.group]
        # Attack: a member calls their own message off, and others' with it.
        of_router = [one for one in calls if one.author == router]
        given = sorted(handed.get(request.id, []), key=lambda one: one.position)
        taken_back = frozenset(one.message for one in given if one.withdrawn)
        return Job(
            request.id,
            request.group,
            request.messages,
            request.created_at,
            request.not_before,
            attempts=max((attempt.number for attempt in tried), default=0),
            handed=tuple(dict.fromkeys(one.message for one in given if not one.withdrawn)),
            begun=_messages(one for one in reports if not one.done),
            settled=taken_back
            | _messages(one for one in reports if one.done)
            | _messages(of_router),
            withdrawn=taken_back,
            called_off=bool(calls),
            done=any(one.done for one in reports),
            ended=request.id in ends or any(one.ended for one in of_router),
            task=request.task,
            gate=next((one.gate for one in reports if one.done and one.gate), None),
        )

    return {request.id: job_of(request) for request in requests}


def spoken(events: Iterable[Event], bot: str, router: str) -> frozenset[str]:
    """The ids of the jobs in whose course the bot (hex) has said or published something, or the
    router has at the session's wish: a file handed over, words in another group."""
    return frozenset(
        job
        for event in events
        if (event.pubkey == bot and event.kind in SAID_IN_GROUPS | SAID_IN_PUBLIC)
        or (event.pubkey == router and event.kind == Kind.CHAT)
        for job in event.values(JOB_TAG)
    )


def next_step(
    job: Job, *, has_spoken: bool, failure: Failure | None, pauses_s: Collection[float]
) -> Step:
    """What is to be done with a job that is not running.

    failure: of the attempt just made, INTERRUPTED for one that a restart cut off, None where
    none was made. pauses_s: before the second attempt, the third, and so on.
    """
    if job.ended:
        return Nothing()
    if job.done:
        return Complete()
    if job.called_off:
        return CallOff()
    if failure is not None and has_spoken:
        return GiveUp(f"I could not finish that: {failure.words}. What I had said before stands.")
    if failure is not None and failure.final:
        return GiveUp(f"I could not finish that: {failure.words}.")
    if job.attempts >= MAX_ATTEMPTS:
        why = failure.words if failure is not None else INTERRUPTED.words
        return GiveUp(f"I could not finish that in {MAX_ATTEMPTS} attempts: {why}.")
    if job.attempts == 0:
        return Again(1, 0.0)
    pauses = tuple(pauses_s)
    return Again(job.attempts + 1, pauses[min(job.attempts, len(pauses)) - 1] if pauses else 0.0)


def _all(
    events: Iterable[Event], kind: Kind, parse: Callable[[Event], T], *, by: str | None = None
) -> list[T]:
    """The well-formed events of a kind, and of an author, each once."""
    found: dict[str, T] = {}
    for event in events:
        if event.kind == kind and by in (None, event.pubkey) and event.id not in found:
            with suppress(Malformed):
                found[event.id] = parse(event)
    return list(found.values())


def _of_jobs(found: Iterable[OfJob]) -> dict[str, list[OfJob]]:
    by_job: dict[str, list[OfJob]] = {}
    for one in found:
        by_job.setdefault(one.job, []).append(one)
    return by_job


def _messages(said: Iterable[Progress | Cancel]) -> frozenset[str]:
    return frozenset(message for one in said for message in one.messages)
