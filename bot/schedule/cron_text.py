"""Pure: a cron expression read, or what is wrong with it and how it is written right.

    minute  hour  day of the month  month  weekday
    0-59    0-23  1-31              1-12   0-7      0 and 7 are Sunday
                                    jan…   sun…     by name, three letters

A field is `*`, a value, a range `1-5`, a step through all or a range (`*/15`, `8-18/2`), or several
of these with commas. Source: crontab(5), and PROTOCOL.md "Kind 31923", which is narrower than some
programs: what two of them read in two ways is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.schedule.cron import Cron
from nips.refusal import Malformed

MAX_CHARS = 200
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SHORT = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}  # fmt: skip
_PART = re.compile(r"(\*|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five. names: of its values, from `first_name` on. unit: what an interval that is
    meant instead of a step is counted in."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    first_name: int = 0
    unit: str = ""

    def values(self, text: str) -> tuple[int, ...]:
        """What it matches, ascending. Raises Malformed."""
        found: set[int] = set()
        for part in text.split(","):
            found.update(self._part(part, text))
        return tuple(sorted(found))

    def _part(self, part: str, whole: str) -> range:
        read = _PART.fullmatch(part)
        if read is None:
            raise self._wrong(
                whole, f"{part!r} is no value, range or step: write {self._example()}"
            )
        first, last, step = read.groups()
        every = self._step(step, whole)
        if first == "*":
            if last is not None:
                raise self._wrong(whole, "* is every value already: write * alone")
            return range(self.least, self.most + 1, every)
        low = self._value(first, whole)
        if last is None:
            if step is not None:
                raise self._wrong(whole, f"a step needs a range: write {first}-{self.most}/{step}")
            return range(low, low + 1)
        high = self._value(last, whole)
        if last == "sun" and low > high:
            high = 7
        if low > high:
            rest = last if high == self.least else f"{self.least}-{last}"
            raise self._wrong(whole, f"a range goes upward: write {first}-{self.most},{rest}")
        return range(low, high + 1, every)

    def _value(self, text: str, whole: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.first_name
        if text.isdigit() and self.least <= (number := int(text[:9])) <= self.most:
            return number
        named = f", or a name such as {self.names[0]}" if self.names else ""
        raise self._wrong(whole, f"{text!r} is none of {self.least} to {self.most}{named}")

    def _step(self, step: str | None, whole: str) -> int:
        if step is None:
            return 1
        every = int(step[:9])
        if every == 0:
            raise self._wrong(whole, "a step is at least 1: write */1, or *")
        if every > self.most - self.least + 1:
            instead = f"; for an interval write every {step[:9]}{self.unit}" if self.unit else ""
            raise self._wrong(whole, f"a step of {step[:9]} never comes to a second value{instead}")
        return every

    def _example(self) -> str:
        name = f", {self.names[1]}" if self.names else ""
        return f"*, {self.least + 1}{name}, {self.least + 1}-{self.least + 5} or */2"

    def _wrong(self, whole: str, why: str) -> Malformed:
        return Malformed(f"the {self.name} field {whole[:40]!r}: {why}")


FIELDS = (
    Field("minute", 0, 59, unit="m"),
    Field("hour", 0, 23, unit="h"),
    Field("day", 1, 31, unit="d"),
    Field("month", 1, 12, MONTHS, 1),
    Field("weekday", 0, 7, WEEKDAYS),
)
_NAMES = ", ".join(field.name for field in FIELDS)


def parse(text: str) -> Cron:
    """Read an expression, or a short form such as @daily. Raises Malformed."""
    if len(text) > MAX_CHARS:
        raise Malformed(f"a cron expression has at most {MAX_CHARS} characters")
    given = " ".join(text.lower().split())
    if given.startswith("@"):
        given = _long(given)
    fields = given.split()
    if len(fields) != len(FIELDS):
        seconds = ", and none for seconds or years" if len(fields) in (6, 7) else ""
        raise Malformed(
            f"a cron expression has five fields ({_NAMES}{seconds}) and {given[:60]!r} has "
            f"{len(fields)}: write 0 16 * * 1-5 for 16:00 from Monday to Friday"
        )
    minutes, hours, days, months, weekdays = (
        field.values(text) for field, text in zip(FIELDS, fields, strict=True)
    )
    # crontab(5): "If both fields are restricted (i.e., do not contain the "*" character), the
    # command will be run when either field matches" - by which programs mean the first character.
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    cron = Cron(
        minutes,
        hours,
        frozenset(days),
        frozenset(months),
        frozenset(day % 7 for day in weekdays),
        either,
    )
    if not cron.is_possible():
        raise Malformed(
            f"{given[:60]!r} never comes: no such month has a day {min(days)}; write 28 for a day "
            "that every month has"
        )
    return cron


def _long(given: str) -> str:
    if given in SHORT:
        return SHORT[given]
    if given.startswith("@every"):
        raise Malformed("an interval is written without @: every 15m")
    if given == "@reboot":
        raise Malformed("@reboot is no time; write a time such as @daily, or every 1h")
    raise Malformed(f"{given[:20]!r} is none of {', '.join(SHORT)}")
