"""Pure: what makes a task run, how often, and what becomes of a time that is missed, as tags.

    ["schedule","cron","0 16 * * 1-5"]
    ["schedule","interval","<milliseconds>","<unix second of the first slot>"]
    ["schedule","once","2026-12-24T18:00:00Z"]
    ["schedule","event","<filter>"]   ["schedule","webhook","<name>"]
    ["misfire","run","<seconds>"]     ["misfire","skip"]
    ["count","<runs that are left>","<of how many>"]

Here they have their form; what an expression means is read where slots are reckoned. Source:
PROTOCOL.md "Kind 31923".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from nips.event import Tag
from nips.refusal import Malformed

MAX_EXPRESSION_CHARS = 2_000
MAX_WINDOW_S = 366 * 86_400
MAX_COUNT = 1_000_000
SECONDS = re.compile(r"0|[1-9][0-9]{0,10}", re.ASCII)

How = Literal["cron", "interval", "once", "event", "webhook"]
BY_THE_CLOCK: frozenset[str] = frozenset({"cron", "interval", "once"})


@dataclass(frozen=True, slots=True)
class Schedule:
    """first_s: of an interval, the unix second of its first slot, from which the others are
    counted; None where it is not known yet, as in a person's own event."""

    how: How
    expression: str
    first_s: int | None = None

    @property
    def has_clock(self) -> bool:
        """Say whether it runs at times, and not on events."""
        return self.how in BY_THE_CLOCK

    def tag(self) -> Tag:
        """The `schedule` tag."""
        first = () if self.first_s is None else (str(self.first_s),)
        return ("schedule", self.how, self.expression, *first)

    @classmethod
    def from_tag(cls, tag: Tag) -> Schedule:
        """Read the tag. Raises Malformed."""
        how, expression, first = (*tag[1:], "", "", "")[:3]
        if how not in get_args(How):
            raise Malformed(f"task: schedule must be one of {', '.join(get_args(How))}")
        if not 1 <= len(expression) <= MAX_EXPRESSION_CHARS or not expression.isprintable():
            raise Malformed("task: schedule needs an expression, on one line")
        if len(tag) > (4 if how == "interval" else 3):
            raise Malformed("task: schedule has too many parts")
        if how == "interval" and not SECONDS.fullmatch(expression):
            raise Malformed("task: an interval is a number of milliseconds, such as 900000")
        first_s = number("an interval's first slot", first) if len(tag) > 3 else None
        return cls(cast(How, how), expression, first_s)


@dataclass(frozen=True, slots=True)
class Misfire:
    """A slot that nobody was there for is made up for once, if it is no older than `window_s`;
    None: it is not."""

    window_s: int | None = 86_400

    def tag(self) -> Tag:
        """The `misfire` tag."""
        if self.window_s is None:
            return ("misfire", "skip")
        return ("misfire", "run", str(self.window_s))

    @classmethod
    def from_tag(cls, tag: Tag) -> Misfire:
        """Read the tag; `run` alone has the usual window. Raises Malformed."""
        match tag[1:]:
            case ("skip",):
                return cls(None)
            case ("run",):
                return USUAL_MISFIRE
            case ("run", window) if SECONDS.fullmatch(window) and int(window) <= MAX_WINDOW_S:
                return cls(int(window))
        raise Malformed(
            f"task: misfire must be skip, or run and perhaps a number of seconds up to "
            f"{MAX_WINDOW_S}"
        )


@dataclass(frozen=True, slots=True)
class Count:
    """How many runs there are to be: `left` of `total`. An edit that leaves the total as it is
    leaves what is left."""

    left: int
    total: int

    def tag(self) -> Tag:
        """The `count` tag."""
        return ("count", str(self.left), str(self.total))

    @classmethod
    def from_tag(cls, tag: Tag) -> Count:
        """Read the tag; one number alone is a count that has not begun. Raises Malformed."""
        if len(tag) not in (2, 3):
            raise Malformed("task: count must be a number of runs")
        total = number("count", tag[-1], 1, MAX_COUNT)
        return cls(number("count", tag[1], 0, total), total)


USUAL_MISFIRE = Misfire()


def number(what: str, text: str, least: int = 0, most: int | None = None) -> int:
    """A whole number in digits. Raises Malformed."""
    if SECONDS.fullmatch(text) and least <= int(text) and (most is None or int(text) <= most):
        return int(text)
    bounds = f"from {least} on" if most is None else f"from {least} to {most}"
    raise Malformed(f"task: {what} must be a whole number {bounds}")
