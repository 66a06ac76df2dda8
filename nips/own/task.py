"""Pure: a scheduled task, a calendar event (31923): any calendar client shows its next run.

    d <group>/<task>, title, start, D, start_tzid   the calendar's own; the text is the prompt
    h, "-"                                          the group's, and its author's to publish
    schedule, misfire                               schedule.py
    status active | paused | done                   until, count: when it ends (schedule.py)
    last                                            the slot that was claimed last
    gate                                            a command that decides whether it is done
    source                                          the person's own event that it follows

Source: PROTOCOL.md "Kind 31923", NIP-52.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from nips import nip52
from nips.event import Event, Tag, Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.nip52 import CalendarEvent
from nips.own.fields import group_id, of_kind, only_tag, zone_name
from nips.own.schedule import USUAL_MISFIRE, Count, Misfire, Schedule, number
from nips.refusal import Malformed

MAX_TITLE_CHARS = 200
MAX_PROMPT_BYTES = 8_000
MAX_ADDRESS_CHARS = 1_200
MAX_GATE_CHARS = 500
SLOT = re.compile(r"[0-9a-z]{1,64}", re.ASCII)  # how a run of a task is named
_ADDRESS = re.compile(r"31923:[0-9a-f]{64}:", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_WHAT = "task"

Status = Literal["active", "paused", "done"]


@dataclass(frozen=True, slots=True)
class Source:
    """A person's own event: `31923:<key>:<d>`, and the id of the version that was taken over.
    digest: of what was made of it, which tells a task that was changed otherwise since."""

    address: str
    version: str
    digest: str = ""

    @property
    def author(self) -> str:
        """Whose event it is, in hex."""
        return self.address.split(":", 2)[1]

    def tag(self) -> Tag:
        """The `source` tag."""
        digest = (self.digest,) if self.digest else ()
        return ("source", self.address, self.version, *digest)


@dataclass(frozen=True, slots=True)
class Task:
    """group, id: UUIDs. start: unix seconds of the next run; of one that has no clock, since when
    it may run; of one that is done, of its last run. until: no run is later. last: the slot claimed
    last, which all later ones are after; fired: the same of one without a clock, whose slots have
    no order. gate: a command line, which ends well where the task is to be done. None, "": no such
    thing."""

    group: str
    id: str
    title: str
    prompt: str
    schedule: Schedule
    zone: str
    start: int
    status: Status = "active"
    misfire: Misfire = USUAL_MISFIRE
    until: int | None = None
    count: Count | None = None
    last: int | None = None
    source: Source | None = None
    fired: str | None = None
    gate: str = ""

    @property
    def name(self) -> str:
        """The event's `d`."""
        return f"{self.group}/{self.id}"

    def address(self, author: str) -> str:
        """How other events name it; author: its own, in hex."""
        return f"{int(Kind.CALENDAR_EVENT)}:{author}:{self.name}"


def template(task: Task, author: str, created_at: int, prev: str | None = None) -> Template:
    """The unsigned event of `author` (hex). prev: the id of the version it replaces, "" for one
    that must be new; the relay refuses it when another is there."""
    shown = CalendarEvent(task.name, task.title, task.start, task.prompt, task.zone)
    tags: list[Tag] = [*nip52.tags(shown), ("h", task.group), ("-",)]
    tags += [task.schedule.tag(), ("status", task.status), task.misfire.tag()]
    tags += [] if task.until is None else [("until", str(task.until))]
    tags += [] if task.count is None else [task.count.tag()]
    last = task.last if task.schedule.has_clock else task.fired
    tags += [] if last is None else [("last", str(last))]
    tags += [("gate", task.gate)] if task.gate else []
    tags += [] if task.source is None else [task.source.tag()]
    tags += [] if prev is None else [("prev", prev)]
    tags.append(("alt", "A scheduled task of the assistant's"))
    return Template(author, created_at, Kind.CALENDAR_EVENT, tuple(tags), task.prompt)


def parse(event: Event | Template, author: str) -> Task:
    """Read a task whose author is `author`; the caller has verified the signature. Raises
    Malformed."""
    of_kind(_WHAT, event, Kind.CALENDAR_EVENT)
    if event.pubkey != author:
        raise Malformed("task: not by its keeper")
    group, _, identifier = only_tag(_WHAT, event, "d").partition("/")
    # Attack: a task that is one group's by its name and another's by its tag.
    if group != only_tag(_WHAT, event, "h"):
        raise Malformed("task: d must be the group of its h, a slash, and a UUID")
    start = number("start", only_tag(_WHAT, event, "start"))
    if event.values("D") != [str(day) for day in nip52.days(start)]:
        raise Malformed("task: D must be the day of its start")
    schedule = Schedule.from_tag(only(event, "schedule"))
    if (schedule.how == "interval") != (schedule.first_s is not None):
        raise Malformed("task: an interval says its first slot")
    return Task(
        group_id("task: group", group),
        group_id("task: id", identifier),
        checked_title(only_tag(_WHAT, event, "title")),
        checked_prompt(event.content),
        schedule,
        zone_name("task: start_tzid", only_tag(_WHAT, event, "start_tzid")),
        start,
        _status(only_tag(_WHAT, event, "status")),
        Misfire.from_tag(only(event, "misfire")),
        perhaps(event, "until"),
        Count.from_tag(only(event, "count")) if event.values("count") else None,
        perhaps(event, "last") if schedule.has_clock else None,
        _source(event),
        None if schedule.has_clock else _fired(event),
        gate(event),
    )


def title_of(text: str) -> str:
    """A title made of somebody's words: the first line of them, cut where it is long."""
    first = next(iter(text.strip().splitlines()), "")
    shown = " ".join("".join(sign if sign.isprintable() else " " for sign in first).split())
    if len(shown) > MAX_TITLE_CHARS:
        shown = shown[: MAX_TITLE_CHARS - 1].rstrip() + "…"
    return shown or "Without a title"


def checked_title(title: str) -> str:
    """The same title. Raises Malformed."""
    if not 1 <= len(title) <= MAX_TITLE_CHARS or not title.isprintable():
        raise Malformed(f"a task's title has 1 to {MAX_TITLE_CHARS} characters, on one line")
    return title


def checked_prompt(prompt: str) -> str:
    """The same prompt. Raises Malformed."""
    n_bytes = len(prompt.encode(errors="replace"))
    if not prompt.strip():
        raise Malformed("a task needs a prompt: say what is to be done")
    if n_bytes > MAX_PROMPT_BYTES:
        raise Malformed(
            f"a task's prompt has at most {MAX_PROMPT_BYTES:,} bytes, and this has {n_bytes:,}: "
            "keep what is long in a file of the conversation's folder, and name that"
        )
    return prompt


def checked_gate(line: str) -> str:
    """The same command line, "" for none. Raises Malformed."""
    if len(line) > MAX_GATE_CHARS or not line.isprintable():
        raise Malformed(
            f"a task's gate is a command of at most {MAX_GATE_CHARS} characters, on one line: keep "
            "what is long in a script of the conversation's folder, such as sh gate.sh"
        )
    return line.strip()


def gate(event: Event | Template) -> str:
    """The command in the one `gate` tag, "" where there is none. Raises Malformed."""
    return checked_gate(only_tag(_WHAT, event, "gate")) if event.values("gate") else ""


def only(event: Event | Template, name: str) -> Tag:
    """The one tag of a name, whole. Raises Malformed."""
    only_tag(_WHAT, event, name)
    return next(tag for tag in event.tags if tag[0] == name and len(tag) > 1)


def perhaps(event: Event | Template, name: str) -> int | None:
    """The number in the one tag of a name, None where there is none. Raises Malformed."""
    if not event.values(name):
        return None
    return number(name, only_tag(_WHAT, event, name))


def _status(text: str) -> Status:
    if text not in get_args(Status):
        raise Malformed(f"task: status must be one of {', '.join(get_args(Status))}")
    return cast(Status, text)


def _source(event: Event | Template) -> Source | None:
    if not event.values("source"):
        return None
    match only(event, "source"):
        case (_, address, version, *more) if (
            len(address) <= MAX_ADDRESS_CHARS
            and _ADDRESS.match(address)
            and is_hex(version, 32)
            and len(more) <= 1
        ):
            digest = more[0] if more else ""
            if not digest or _DIGEST.fullmatch(digest):
                return Source(address, version, digest)
    raise Malformed("task: source must be an address, an event's id, and perhaps a digest")


def _fired(event: Event | Template) -> str | None:
    if not event.values("last"):
        return None
    slot = only_tag(_WHAT, event, "last")
    if not SLOT.fullmatch(slot):
        raise Malformed("task: last must be a slot's name")
    return slot
