"""Pure: which minutes of the wall clock a cron expression matches, and the next of them.

Nothing here knows a time zone: `wall_clock.py` says when a clock shows such a minute, and
`cron_text.py` reads expressions. Source: crontab(5); PROTOCOL.md "Kind 31923".
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, time, timedelta

MINUTE = timedelta(minutes=1)
# The longest that one day of an expression is from the next: a 29 February on a certain weekday,
# across a year such as 2100.
LONGEST_GAP_YEARS = 40
A_LEAP_YEAR = 2000


@dataclass(frozen=True, slots=True)
class Cron:
    """minutes, hours: ascending. days: of the month. weekdays: 0 is Sunday, 6 Saturday. either:
    a day matches by one of the two; else by both. No field is empty."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def following(self, shown: datetime) -> datetime | None:
        """The first minute after `shown` that matches, both without a zone; None where there is
        none for `LONGEST_GAP_YEARS`, which is never, or none before the calendar ends."""
        if shown.year == MAXYEAR:
            return None
        earliest = shown.replace(second=0, microsecond=0) + MINUTE
        for day in self._days(earliest.date()):
            found = self._time(earliest.time() if day == earliest.date() else time.min)
            if found is not None:
                return datetime.combine(day, found)
        return None

    def matches(self, day: date) -> bool:
        """Say whether something of the day matches."""
        in_days, in_weekdays = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        is_one = in_days or in_weekdays if self.either else in_days and in_weekdays
        return is_one and day.month in self.months

    def is_possible(self) -> bool:
        """Say whether any day ever matches: no 31 February does. Every date but an impossible one
        falls on every weekday, sooner or later."""
        longest = (monthrange(A_LEAP_YEAR, month)[1] for month in self.months)
        return self.either or min(self.days) <= max(longest)

    def _days(self, first: date) -> Iterator[date]:
        last_year = min(first.year + LONGEST_GAP_YEARS, MAXYEAR - 1)
        for year in range(first.year, last_year + 1):
            for month in sorted(self.months):
                if (year, month) >= (first.year, first.month):
                    least = first.day if (year, month) == (first.year, first.month) else 1
                    for number in range(least, monthrange(year, month)[1] + 1):
                        if self.matches(day := date(year, month, number)):
                            yield day

    def _time(self, earliest: time) -> time | None:
        """The first time of a day, from one on."""
        for hour in self.hours:
            if hour > earliest.hour:
                return time(hour, self.minutes[0])
            if hour == earliest.hour:
                for minute in self.minutes:
                    if minute >= earliest.minute:
                        return time(hour, minute)
        return None
