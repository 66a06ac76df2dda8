"""Pure: a person's own calendar event (31923) that is to be a task, as they publish it.

What makes it one is a `schedule` tag; needed besides are a `d` and a `start`. Understood as in a
task are `h`, `start_tzid`, `misfire`, `until`, `count`, `gate`, and `status` active, paused or
cancelled. The text is the prompt, or the title where there is no text. Whether its author may is
decided elsewhere.
Source: PROTOCOL.md "Kind 31923".
"""

from __future__ import annotations

from dataclasses import dataclass

from nips import nip40, nip52
from nips.event import Event, Template
from nips.kinds import Kind
from nips.own.fields import group_id, only_tag, zone_name
from nips.own.schedule import SECONDS, Count, Misfire, Schedule
from nips.own.task import Source, checked_prompt, gate, only, perhaps, title_of
from nips.refusal import Malformed

MAX_NAME_CHARS = 1_000
_STATUS = frozenset({"active", "paused", "cancelled"})


@dataclass(frozen=True, slots=True)
class Wish:
    """author, id: of the event, hex. name: its `d`. group, zone, misfire: None where it does not
    say. start: unix seconds; no run is before it. An expression "" of a schedule `once` means the
    start. cancelled: it is to be no task any more. The rest as in a task."""

    author: str
    id: str
    name: str
    group: str | None
    title: str
    prompt: str
    schedule: Schedule
    zone: str | None
    start: int
    paused: bool = False
    misfire: Misfire | None = None
    until: int | None = None
    count: Count | None = None
    gate: str = ""
    cancelled: bool = False

    @property
    def source(self) -> Source:
        """What the task says of it."""
        return Source(f"{int(Kind.CALENDAR_EVENT)}:{self.author}:{self.name}", self.id)


def parse(event: Event | Template) -> Wish | None:
    """Read anybody's event; the caller has verified the signature. None for one without a
    `schedule`: an appointment is no task. Raises Malformed with what is wrong with one that means
    to be a task."""
    if not any(tag[0] == "schedule" for tag in event.tags):
        return None
    given = nip52.parse(event)
    if len(given.name) > MAX_NAME_CHARS:
        raise Malformed(f"task: d has at most {MAX_NAME_CHARS} characters")
    status = only_tag("task", event, "status") if event.values("status") else "active"
    if status not in _STATUS:
        raise Malformed("task: status must be active, paused or cancelled")
    return Wish(
        event.pubkey,
        event.id,
        given.name,
        group_id("task: h", only_tag("task", event, "h")) if event.values("h") else None,
        title_of(given.title or given.text),
        checked_prompt(given.text.strip() or given.title),
        _schedule(event),
        None if given.zone is None else zone_name("task: start_tzid", given.zone),
        given.start_s,
        status == "paused",
        Misfire.from_tag(only(event, "misfire")) if event.values("misfire") else None,
        _end(event),
        _count(event),
        gate(event),
        status == "cancelled",
    )


def _end(event: Event | Template) -> int | None:
    """An event that expires (NIP-40) is gone then, and so is what it asked for."""
    ends = [perhaps(event, "until"), nip40.expiration(event.tags)]
    # Milliseconds, say: no end that a task could have, and none that anybody would see.
    return min((s for s in ends if s is not None and SECONDS.fullmatch(str(s))), default=None)


def _count(event: Event | Template) -> Count | None:
    if not event.values("count"):
        return None
    given = Count.from_tag(only(event, "count"))
    return Count(given.total, given.total)  # what is left of it is the task's to know


def _schedule(event: Event | Template) -> Schedule:
    tag = only(event, "schedule")
    # What a calendar client lets its user pick is the start: that is the moment then.
    if tag[1] == "once" and tag[2:] in ((), ("",)):
        return Schedule("once", "")
    return Schedule.from_tag(tag)
