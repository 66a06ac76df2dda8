"""Pure: jobs as a person looks back on them: what each job's events say, put together.

`bot.jobs` folds the same events into what is to be done next; here is when things were.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from nips.event import Event
from nips.kinds import Kind
from nips.own import handed as handed_events
from nips.own import job as job_events
from nips.own.task_run import TaskRun
from nips.refusal import Malformed

T = TypeVar("T")
ENDS = {Kind.JOB_RESULT: "done", Kind.JOB_ERROR: "failed", Kind.JOB_CANCEL: "stopped"}


@dataclass(frozen=True, slots=True)
class Run:
    """One job. messages: that it answers, handed ones too. task: whose run it is. begun: unix
    seconds of each attempt. end: `done`, `failed`, `stopped`, or None while it is open. words: why
    it failed, or was done without an agent."""

    id: str
    group: str
    messages: tuple[str, ...]
    created_at: int
    not_before: int | None = None
    begun: tuple[int, ...] = ()
    end: str | None = None
    ended_at: int | None = None
    words: str = ""
    task: TaskRun | None = None

    def lasted_s(self, now_s: int) -> int | None:
        """From the first attempt to the end, or until now; None where none was made."""
        if not self.begun:
            return None
        return max(0, (now_s if self.ended_at is None else self.ended_at) - min(self.begun))


def fold(events: Iterable[Event], router: str) -> dict[str, Run]:
    """Runs by id, from events in any order. Only the router (hex) says what becomes of a job."""
    begun: dict[str, dict[int, int]] = defaultdict(dict)
    handed: dict[str, list[tuple[int, str]]] = defaultdict(list)
    ends: dict[str, Event] = {}
    requests: list[tuple[Event, job_events.JobRequest]] = []
    for event in events:
        if event.pubkey != router:
            continue
        match event.kind:
            case Kind.JOB_REQUEST:
                if request := _read(job_events.parse_request, event):
                    requests.append((event, request))
            case Kind.JOB_ACCEPTED:
                if attempt := _read(job_events.parse_attempt, event):
                    begun[attempt.job][attempt.number] = attempt.created_at
            case Kind.JOB_PROGRESS:
                if given := _read(handed_events.parse_handed, event):
                    handed[given.job].append((event.created_at, given.message))
            case Kind.JOB_RESULT | Kind.JOB_ERROR | Kind.JOB_CANCEL:
                if (job := event.tag("e")) and _is_end(event):
                    ends.setdefault(job, event)
    return {
        event.id: Run(
            event.id,
            request.group,
            (*request.messages, *(message for _, message in sorted(handed[event.id]))),
            request.created_at,
            request.not_before,
            tuple(at for _, at in sorted(begun[event.id].items())),
            *_end(ends.get(event.id)),
            request.task,
        )
        for event, request in requests
    }


def _is_end(event: Event) -> bool:
    # A 43005 may also be the router's wish that a job ends; its end says that it has.
    return event.kind != Kind.JOB_CANCEL or event.tag("status") == "cancelled"


def _end(event: Event | None) -> tuple[str | None, int | None, str]:
    if event is None:
        return None, None, ""
    words = event.content if event.kind != Kind.JOB_CANCEL else ""
    return ENDS[Kind(event.kind)], event.created_at, words


def _read(parse: Callable[[Event], T], event: Event) -> T | None:
    try:
        return parse(event)
    except Malformed:
        return None
