"""Pure: jobs, folded from their events, and what is to be done with each: the retry truth.

    a 43004 or 43006                      nothing: it has ended
    else a 43003 `done` of its session    it ends in 43004, whatever happened afterwards
    else it spoke (an event of the bot's  it ends in 43006: running it again could say
         with its `job` tag)              everything twice
    else a limit was passed               it ends in 43006: it would be passed again
    else three attempts were made         it ends in 43006
    else                                  the next attempt, after a pause that grows

Source: PROTOCOL.md "Jobs".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

from bot.engine.outcome import Exited, Killed, Limits, Outcome, Why
from nips.event import Event
from nips.kinds import Kind
from nips.own import job as job_events
from nips.refusal import Malformed

T = TypeVar("T")

JOB_KINDS = frozenset(
    {Kind.JOB_REQUEST, Kind.JOB_ACCEPTED, Kind.JOB_PROGRESS, Kind.JOB_RESULT, Kind.JOB_ERROR}
)
SPEAKING_KINDS = frozenset({Kind.NOTE, Kind.REACTION, Kind.CHAT})
JOB_TAG = "job"
MAX_ATTEMPTS = 3
# A limit that the program reached by itself; the same program would reach it again.
FINAL = frozenset({Why.WALL_CLOCK, Why.MEMORY, Why.OUTPUT, Why.FOLDER, Why.DISK})
# What the image's program says by its exit status.
EXITS = {
    64: "it was started wrongly",
    65: "the job's events are not what they should be",
    69: "the relay or the signer stayed away",
    75: "the relay or the signer refused it",
    127: "the image has no such program",
    137: "it was killed",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `attempts`: how many were begun. `done`: its session said so."""

    id: str
    group: str
    message: str
    created_at: int
    attempts: int = 0
    done: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt did not end well, in words for the owner that follow "I could not finish
    that: "; `final` where another attempt would fail alike."""

    words: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Complete:
    """End the job in a 43004."""


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


Step = Complete | GiveUp | Again | Nothing

INTERRUPTED = Failure("the assistant was stopped while it worked on it")


def fold(events: Iterable[Event], router: str) -> dict[str, Job]:
    """Jobs by id, in the order in which their 43001 come, from events in any order.

    router: in hex; what claims to be its and is not, counts nothing, nor does what is malformed.
    """
    known = list(events)
    requests = [
        request
        for event in known
        if event.kind == Kind.JOB_REQUEST
        and event.pubkey == router
        and (request := _read(job_events.parse_request, event))
    ]
    attempts = [
        attempt
        for event in known
        if event.kind == Kind.JOB_ACCEPTED
        and event.pubkey == router
        and (attempt := _read(job_events.parse_attempt, event))
    ]
    # Attack: one job's session says that another job is done.
    sessions = {(attempt.job, attempt.session) for attempt in attempts}
    done = {
        progress.job
        for event in known
        if event.kind == Kind.JOB_PROGRESS
        and (progress := _read(job_events.parse_progress, event))
        and progress.done
        and (progress.job, progress.session) in sessions
    }
    ended = {
        end.job
        for event in known
        if event.kind in (Kind.JOB_RESULT, Kind.JOB_ERROR)
        and event.pubkey == router
        and (end := _read(job_events.parse_end, event))
    }
    return {
        request.id: Job(
            request.id,
            request.group,
            request.message,
            request.created_at,
            max((a.number for a in attempts if a.job == request.id), default=0),
            request.id in done,
            request.id in ended,
        )
        for request in requests
    }


def spoken(events: Iterable[Event], bot: str) -> frozenset[str]:
    """The ids of the jobs in whose course the bot (hex) has said or published something."""
    return frozenset(
        job
        for event in events
        if event.pubkey == bot and event.kind in SPEAKING_KINDS
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


def failure_of(outcome: Outcome, limits: Limits) -> Failure:
    """Say why a container that ended was not successful, should its job not be done."""
    match outcome.end:
        case Killed(why):
            return Failure(_words(why, limits), why in FINAL)
        case Exited(0):
            return Failure("the agent ended without an end to its work")
        case Exited(code):
            meaning = f" ({EXITS[code]})" if code in EXITS else ""
            return Failure(f"the agent ended with status {code}{meaning}")


def _words(why: Why, limits: Limits) -> str:
    match why:
        case Why.WALL_CLOCK:
            return f"the agent ran longer than {_duration(limits.wall_clock_s)} and was stopped"
        case Why.MEMORY:
            return f"the agent used more than {limits.memory_bytes >> 20} MiB of memory"
        case Why.OUTPUT:
            return f"the agent wrote more than {limits.output_bytes >> 20} MiB of output"
        case Why.FOLDER:
            return (
                f"its folder grew beyond {limits.folder_bytes >> 20} MiB, or beyond what can be "
                "counted. Look into it before you ask again"
            )
        case Why.DISK:
            return "the disk is nearly full. Free some space"
        case Why.ENGINE:
            return "the container engine went away"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds % 60 == 0 else f"{seconds / 60:.1f} minutes"


def _read(parse: Callable[[Event], T], event: Event) -> T | None:
    try:
        return parse(event)
    except Malformed:
        return None
