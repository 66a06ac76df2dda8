"""Pure: the life of a job: 43001 request, 43002 attempt, 43003 progress, 43004 result, 43006
error, 43005 cancel. Source: PROTOCOL.md "Jobs".

    43001  h, ["e", message]…, ["p", bot], o, ["not_before", s]  router   one for a message
    43001  h, ["a", task], ["slot", …], ["p", bot], o            router   one for a task's slot
    43002  h, ["e", job], ["attempt", "1"], ["p", session], o    router   one for an attempt
    43003  h, ["e", job], ["status", "running" | "done"], ["q", message]…   session  what it is at
    43003  …, ["gate", how it ended]                                        session  it is not done
    43004  h, ["e", job], ["status", "completed"], o             router   the end
    43006  h, ["e", job], ["status", "error"], o                 router   the end, in plain words
    43005  h, ["e", job], ["q", message]…                        who may   it is to end
    43005  h, ["e", job], ["status", "cancelled"], o             router   the end

Messages that come later are handed to it (handed.py). A job ends once: the three
ends share one once-key. Of a task's run all of them have its ["a", task]. Parsers check forms, not
signatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own import task_run
from nips.own.fields import hex32, of_kind, only_tag
from nips.own.job_tags import count_of, group_of, job_of, key_of, named_by
from nips.own.once import once_key
from nips.own.task_run import TaskRun
from nips.refusal import Malformed

MAX_LINE_CHARS = 2_000  # of a progress line
MAX_GATE_CHARS = 100
MAX_SECONDS_DIGITS = 11
ENDINGS = {
    Kind.JOB_RESULT: "A request was answered",
    Kind.JOB_ERROR: "A request could not be answered",
    Kind.JOB_CANCEL: "A request was called off",
}


@dataclass(frozen=True, slots=True)
class JobRequest:
    """43001: messages, at least one, are to be answered by the bot; or a task is to be done, and
    there is none. Ids and keys in hex.

    not_before: unix seconds until which it waits, None for none. task: the run of one.
    """

    id: str
    group: str
    messages: tuple[str, ...]
    bot: str
    created_at: int
    not_before: int | None = None
    task: TaskRun | None = None

    @property
    def message(self) -> str | None:
        """The one that it was made for; None of a task's run."""
        return self.messages[0] if self.messages else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """43002: attempt `number` (from 1) of a job has been given to a session key."""

    id: str
    group: str
    job: str
    number: int
    session: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Progress:
    """43003: a session says what it does; `done` is the last thing it says.

    messages: while it runs, the handed one that it begins with; of `done`, all handed ones that it
    has dealt with. gate: how the command ended that kept a task from being carried out, None where
    none did.
    """

    id: str
    group: str
    job: str
    session: str
    line: str
    done: bool
    messages: tuple[str, ...] = ()
    gate: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """43005: a job is to end without an answer; `ended`: the router says that it has.

    messages: handed ones that go with it. The others get a job of their own.
    """

    id: str
    group: str
    job: str
    author: str
    messages: tuple[str, ...]
    ended: bool


@dataclass(frozen=True, slots=True)
class JobEnd:
    """43004 (`completed`) or 43006 (not): how the job ended; `words` say it to the owner."""

    id: str
    group: str
    job: str
    completed: bool
    words: str


def request(
    router: str,
    group: str,
    message: str,
    bot: str,
    created_at: int,
    *,
    not_before: int | None = None,
    after: str | None = None,
) -> Template:
    """43001 for a message's id. `after`: the job that it had been handed to, and that ended
    without it."""
    waiting: tuple[Tag, ...] = () if not_before is None else (("not_before", str(not_before)),)
    tags: tuple[Tag, ...] = (
        ("h", group),
        ("e", message),
        ("p", bot),
        *waiting,
        ("o", key_of(message, after)),
        ("alt", "A request to the assistant"),
    )
    return Template(router, created_at, Kind.JOB_REQUEST, tags, "")


def attempt(
    router: str,
    group: str,
    job: str,
    number: int,
    session: str,
    created_at: int,
    *,
    task: TaskRun | None = None,
) -> Template:
    """43002 for a job's id. Two sessions for one attempt have one once-key: one of them runs."""
    return Template(
        router,
        created_at,
        Kind.JOB_ACCEPTED,
        (
            ("h", group),
            ("e", job),
            *_about(task),
            ("attempt", str(number)),
            ("p", session),
            ("o", once_key("attempt", job, str(number))),
            ("alt", f"Attempt {number} at a request has begun"),
        ),
        "",
    )


def progress(
    session: str,
    group: str,
    job: str,
    line: str,
    created_at: int,
    *,
    done: bool = False,
    messages: Sequence[str] = (),
    task: TaskRun | None = None,
    gate: str | None = None,
) -> Template:
    """43003 by the session itself; `messages` and `gate` as `Progress` has them."""
    status = "done" if done else "running"
    tags: tuple[Tag, ...] = (
        ("h", group),
        ("e", job),
        *_about(task),
        ("status", status),
        *(("q", message) for message in messages),
        *(() if gate is None else (("gate", gate[:MAX_GATE_CHARS]),)),
        ("alt", f"Work on a request: {status}"),
    )
    return Template(session, created_at, Kind.JOB_PROGRESS, tags, line[:MAX_LINE_CHARS])


def result(
    router: str,
    group: str,
    job: str,
    created_at: int,
    words: str = "",
    *,
    task: TaskRun | None = None,
) -> Template:
    """43004: the job is done."""
    return _end(router, group, job, created_at, Kind.JOB_RESULT, "completed", words, task)


def error(
    router: str,
    group: str,
    job: str,
    words: str,
    created_at: int,
    *,
    task: TaskRun | None = None,
) -> Template:
    """43006: the job failed; `words` say why to the owner."""
    return _end(router, group, job, created_at, Kind.JOB_ERROR, "error", words, task)


def cancel(
    author: str,
    group: str,
    job: str,
    created_at: int,
    messages: Sequence[str] = (),
    *,
    task: TaskRun | None = None,
) -> Template:
    """43005: the job is to end, and these messages handed to it with it."""
    tags: tuple[Tag, ...] = (
        ("h", group),
        ("e", job),
        *_about(task),
        *(("q", message) for message in messages),
        ("alt", "A request is called off"),
    )
    return Template(author, created_at, Kind.JOB_CANCEL, tags, "")


def cancelled(
    router: str, group: str, job: str, created_at: int, *, task: TaskRun | None = None
) -> Template:
    """43005: the job has ended because it was called off."""
    return _end(router, group, job, created_at, Kind.JOB_CANCEL, "cancelled", "", task)


def parse_request(event: Event | Template) -> JobRequest:
    """Read a 43001. Raises Malformed."""
    what = "job request"
    of_kind(what, event, Kind.JOB_REQUEST)
    messages, group = named_by(what, event, "e"), group_of(what, event)
    task = task_run.parse(what, event, group)
    if bool(messages) == (task is not None):
        raise Malformed(f"{what}: needs an 'e' tag, or the run of a task")
    return JobRequest(
        event.id,
        group,
        messages,
        hex32(f"{what}: p", only_tag(what, event, "p")),
        event.created_at,
        _not_before(what, event),
        task,
    )


def parse_attempt(event: Event | Template) -> Attempt:
    """Read a 43002. Raises Malformed."""
    what = "job attempt"
    of_kind(what, event, Kind.JOB_ACCEPTED)
    return Attempt(
        event.id,
        group_of(what, event),
        job_of(what, event),
        count_of(what, event, "attempt"),
        hex32(f"{what}: p", only_tag(what, event, "p")),
        event.created_at,
    )


def parse_progress(event: Event | Template) -> Progress:
    """Read a 43003. Raises Malformed."""
    what = "job progress"
    of_kind(what, event, Kind.JOB_PROGRESS)
    status = only_tag(what, event, "status")
    if status not in ("running", "done"):
        raise Malformed(f"{what}: status must be running or done")
    return Progress(
        event.id,
        group_of(what, event),
        job_of(what, event),
        event.pubkey,
        event.content,
        status == "done",
        named_by(what, event, "q"),
        event.tag("gate"),
    )


def parse_cancel(event: Event | Template) -> Cancel:
    """Read a 43005. Raises Malformed. A client that knows no `status` and no `q` is understood."""
    what = "job cancel"
    of_kind(what, event, Kind.JOB_CANCEL)
    return Cancel(
        event.id,
        group_of(what, event),
        job_of(what, event),
        event.pubkey,
        named_by(what, event, "q"),
        event.values("status") == ["cancelled"],
    )


def parse_end(event: Event | Template) -> JobEnd:
    """Read a 43004 or 43006. Raises Malformed."""
    what = "job end"
    match event.kind, only_tag(what, event, "status"):
        case Kind.JOB_RESULT, "completed":
            completed = True
        case Kind.JOB_ERROR, "error":
            completed = False
        case _:
            raise Malformed(f"{what}: must be kind 43004 completed or kind 43006 error")
    return JobEnd(event.id, group_of(what, event), job_of(what, event), completed, event.content)


def _about(task: TaskRun | None) -> tuple[Tag, ...]:
    return () if task is None else (("a", task.task),)


def _end(
    router: str,
    group: str,
    job: str,
    created_at: int,
    kind: Kind,
    status: str,
    words: str,
    task: TaskRun | None,
) -> Template:
    tags: tuple[Tag, ...] = (
        ("h", group),
        ("e", job),
        *_about(task),
        ("status", status),
        ("o", once_key("end", job)),
        ("alt", ENDINGS[kind]),
    )
    return Template(router, created_at, kind, tags, words)


def _not_before(what: str, event: Event | Template) -> int | None:
    match event.values("not_before"):
        case []:
            return None
        case [text] if text.isascii() and text.isdigit() and len(text) <= MAX_SECONDS_DIGITS:
            return int(text)
        case _:
            raise Malformed(f"{what}: not_before must be one number of unix seconds")
