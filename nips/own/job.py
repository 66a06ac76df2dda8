"""Pure: the life of a job: 43001 request, 43002 attempt, 43003 progress, 43004 result, 43006
error. Source: PROTOCOL.md "Jobs".

    43001  h, ["e", message], ["p", bot], o            router   one for a message
    43002  h, ["e", job], ["attempt", "1"], ["p", session], o   router   one for an attempt
    43003  h, ["e", job], ["status", "running" | "done"]        session  content: a line
    43004  h, ["e", job], ["status", "completed"], o            router   the end
    43006  h, ["e", job], ["status", "error"], o                router   the end, in plain words

A job ends once: result and error share one once-key. Parsers check forms, not signatures.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own.fields import group_id, hex32, of_kind, only_tag
from nips.own.once import once_key
from nips.refusal import Malformed

MAX_ATTEMPTS = 99
MAX_LINE_CHARS = 2_000  # of a progress line


@dataclass(frozen=True, slots=True)
class JobRequest:
    """43001: somebody's message is to be answered by the bot. Ids and keys in hex."""

    id: str
    group: str
    message: str
    bot: str
    created_at: int


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
    """43003: a session says what it does; `done` is the last thing it says."""

    id: str
    group: str
    job: str
    session: str
    line: str
    done: bool


@dataclass(frozen=True, slots=True)
class JobEnd:
    """43004 (`completed`) or 43006 (not): how the job ended; `words` say it to the owner."""

    id: str
    group: str
    job: str
    completed: bool
    words: str


def request(router: str, group: str, message: str, bot: str, created_at: int) -> Template:
    """43001 for a message's id."""
    return Template(
        router,
        created_at,
        Kind.JOB_REQUEST,
        (
            ("h", group),
            ("e", message),
            ("p", bot),
            ("o", once_key("job", message)),
            ("alt", "A request to the assistant"),
        ),
        "",
    )


def attempt(
    router: str, group: str, job: str, number: int, session: str, created_at: int
) -> Template:
    """43002 for a job's id. Two sessions for one attempt have one once-key: one of them runs."""
    return Template(
        router,
        created_at,
        Kind.JOB_ACCEPTED,
        (
            ("h", group),
            ("e", job),
            ("attempt", str(number)),
            ("p", session),
            ("o", once_key("attempt", job, str(number))),
            ("alt", f"Attempt {number} at a request has begun"),
        ),
        "",
    )


def progress(
    session: str, group: str, job: str, line: str, created_at: int, *, done: bool = False
) -> Template:
    """43003 by the session itself."""
    status = "done" if done else "running"
    tags: tuple[Tag, ...] = (
        ("h", group),
        ("e", job),
        ("status", status),
        ("alt", f"Work on a request: {status}"),
    )
    return Template(session, created_at, Kind.JOB_PROGRESS, tags, line[:MAX_LINE_CHARS])


def result(router: str, group: str, job: str, created_at: int, words: str = "") -> Template:
    """43004: the job is done."""
    return _end(router, group, job, created_at, Kind.JOB_RESULT, "completed", words)


def error(router: str, group: str, job: str, words: str, created_at: int) -> Template:
    """43006: the job failed; `words` say why to the owner."""
    return _end(router, group, job, created_at, Kind.JOB_ERROR, "error", words)


def parse_request(event: Event | Template) -> JobRequest:
    """Read a 43001. Raises Malformed."""
    what = "job request"
    of_kind(what, event, Kind.JOB_REQUEST)
    return JobRequest(
        event.id,
        _group(what, event),
        _event_id(what, event),
        hex32(f"{what}: p", only_tag(what, event, "p")),
        event.created_at,
    )


def parse_attempt(event: Event | Template) -> Attempt:
    """Read a 43002. Raises Malformed."""
    what = "job attempt"
    of_kind(what, event, Kind.JOB_ACCEPTED)
    number = only_tag(what, event, "attempt")
    if not (number.isascii() and number.isdigit() and 1 <= len(number) <= 2 and number[0] != "0"):
        raise Malformed(f"{what}: attempt must be a number from 1 to {MAX_ATTEMPTS}")
    return Attempt(
        event.id,
        _group(what, event),
        _event_id(what, event),
        int(number),
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
        _group(what, event),
        _event_id(what, event),
        event.pubkey,
        event.content,
        status == "done",
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
    return JobEnd(event.id, _group(what, event), _event_id(what, event), completed, event.content)


def _end(
    router: str, group: str, job: str, created_at: int, kind: Kind, status: str, words: str
) -> Template:
    alt = "A request was answered" if kind == Kind.JOB_RESULT else "A request could not be answered"
    tags: tuple[Tag, ...] = (
        ("h", group),
        ("e", job),
        ("status", status),
        ("o", once_key("end", job)),
        ("alt", alt),
    )
    return Template(router, created_at, kind, tags, words)


def _group(what: str, event: Event | Template) -> str:
    return group_id(f"{what}: h", only_tag(what, event, "h"))


def _event_id(what: str, event: Event | Template) -> str:
    return hex32(f"{what}: e", only_tag(what, event, "e"))
