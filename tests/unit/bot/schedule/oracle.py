"""What the next runs are, worked out the slow way: every day, every minute, one after another.

Written from crontab(5) and from the rule for the clock's changes, and from nothing of ours: an
expression is text here, and is looked at anew for each minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache

NAMES = {
    name: str(number)
    for first, row in ((0, "sun mon tue wed thu fri sat"), (1, "jan feb mar apr may jun jul aug "
                       "sep oct nov dec"))
    for number, name in enumerate(row.split(), first)
}  # fmt: skip
MINUTE_S, DAY_S = 60, 86_400
LONGEST_S = 6 * 3600  # that a clock is put back by


def holds(field: str, value: int, least: int = 0) -> bool:
    """Say whether one field, of numbers only, holds a value. least: what `*` begins with."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = (f"{least}-99" if span == "*" else span).partition("-")
        if int(low) <= value <= int(high or low) and (value - int(low)) % int(step or 1) == 0:
            return True
    return False


def day_matches(expression: str, day: date) -> bool:
    """Say whether a cron expression may run on a day, by the calendar."""
    _, _, days, months, weekdays = in_numbers(expression)
    number = (day.weekday() + 1) % 7
    by_weekday = holds(weekdays, number) or (number == 0 and holds(weekdays, 7))
    by_day = holds(days, day.day, 1)
    both = days.startswith("*") or weekdays.startswith("*")
    found = by_day and by_weekday if both else by_day or by_weekday
    return found and holds(months, day.month, 1)


def minute_matches(expression: str, local: datetime) -> bool:
    """Say whether a cron expression means a minute of the wall clock."""
    minutes, hours, *_ = in_numbers(expression)
    is_time = holds(minutes, local.minute) and holds(hours, local.hour)
    return is_time and day_matches(expression, local.date())


@cache
def in_numbers(expression: str) -> tuple[str, ...]:
    """Its fields, with numbers instead of names."""
    for name, number in NAMES.items():
        expression = expression.replace(name, number)
    return tuple(expression.split())


def following(expression: str, after: datetime, years: int = 41) -> datetime | None:
    """The first minute after one that matches, looked for day after day."""
    for ahead in range(366 * years):
        day = after.date() + timedelta(days=ahead)
        if not day_matches(expression, day):
            continue
        for minute in range(24 * 60):
            local = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
            if local > after and minute_matches(expression, local):
                return local
    return None


def clock(zone: tzinfo, from_s: int, to_s: int) -> Iterator[tuple[int, list[datetime]]]:
    """Each minute of UTC with the minutes that the zone's clock comes to in it, for the first time:
    one as a rule, none while an hour is repeated, many at once where one is passed over."""
    before = range(from_s - LONGEST_S, from_s, MINUTE_S)
    come_to = max(local_at(zone, at_s) for at_s in before)
    for at_s in range(from_s, to_s, MINUTE_S):
        new = []
        while come_to < local_at(zone, at_s):
            come_to += timedelta(minutes=1)
            new.append(come_to)
        yield at_s, new


def local_at(zone: tzinfo, at_s: int) -> datetime:
    """What a clock shows."""
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).replace(tzinfo=None)


def runs(expression: str, ticks: list[tuple[int, list[datetime]]]) -> list[int]:
    """The minutes of UTC in which an expression runs, once each."""
    return [at_s for at_s, new in ticks if any(minute_matches(expression, local) for local in new)]


def changes(zone: tzinfo, from_s: int, to_s: int) -> Iterator[int]:
    """The days (their first second) in which the clock is set."""
    offset = None
    for at_s in range(from_s, to_s, DAY_S):
        now = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
        if offset is not None and now != offset:
            yield at_s - DAY_S
        offset = now
