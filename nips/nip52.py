"""Pure: calendar events that have a time of day, kind 31923. Source: NIP-52 "Time-Based Calendar
Event". What is used here of it: name, title, start, end, the zone of the start, the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nips.event import Event, Tag, Tags, Template
from nips.kinds import Kind
from nips.refusal import Malformed

DAY_S = 86_400
MAX_DAYS = 400
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """name: `d`, its own among its author's. start_s, end_s: unix seconds, the end not in it, None
    where it takes no time. zone: of the IANA database, None where none is said."""

    name: str
    title: str
    start_s: int
    text: str
    zone: str | None = None
    end_s: int | None = None


def days(start_s: int, end_s: int | None = None) -> range:
    """The days of UTC on which it takes place, counted from 1970."""
    # NIP-52: "calculated as floor(unix_seconds() / seconds_in_one_day). Multiple tags SHOULD be
    # included to cover the event's timeframe."
    last_s = start_s if end_s is None else end_s - 1
    return range(start_s // DAY_S, last_s // DAY_S + 1)


def tags(calendar_event: CalendarEvent) -> Tags:
    """The tags that say all of it but the text. Raises Malformed for what has no such form."""
    start_s, end_s, zone = calendar_event.start_s, calendar_event.end_s, calendar_event.zone
    _check(start_s, end_s)
    taken = days(start_s, end_s)
    if len(taken) > MAX_DAYS:
        raise Malformed(f"a calendar event has at most {MAX_DAYS} days")
    end: tuple[Tag, ...] = () if end_s is None else (("end", str(end_s)),)
    return (
        ("d", calendar_event.name),
        ("title", calendar_event.title),
        ("start", str(start_s)),
        *end,
        *(("D", str(day)) for day in taken),
        *((("start_tzid", zone),) if zone is not None else ()),
    )


def parse(event: Event | Template) -> CalendarEvent:
    """Read anybody's. Raises Malformed for another kind, without a name or a start, or with an end
    that is not after it."""
    name = event.tag("d")
    if event.kind != Kind.CALENDAR_EVENT or name is None:
        raise Malformed(f"a calendar event with a time has kind {int(Kind.CALENDAR_EVENT)} and a d")
    start_s = _seconds("start", event.tag("start"))
    end = event.tag("end")
    end_s = None if end is None else _seconds("end", end)
    _check(start_s, end_s)
    # NIP-52, deprecated: "`name` … Use only if `title` is not available."
    title = event.tag("title") or event.tag("name") or ""
    return CalendarEvent(name, title, start_s, event.content, event.tag("start_tzid"), end_s)


def _seconds(what: str, text: str | None) -> int:
    if text is None or not _SECONDS.fullmatch(text):
        raise Malformed(f"a calendar event's {what} is a number of unix seconds")
    return int(text)


def _check(start_s: int, end_s: int | None) -> None:
    # NIP-52: "Must be less than `end`, if it exists."
    if end_s is not None and end_s <= start_s:
        raise Malformed("a calendar event ends after its start")
