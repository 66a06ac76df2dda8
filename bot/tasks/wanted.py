"""Pure: what somebody says of a task, in their words, made into a task or onto one.

    when     0 16 * * 1-5, @daily, every 15m, in 20m, 2026-12-24T18:00, on mention, on call
    prompt   what is to be done
    title    what people call it; without one the prompt's first line
    tz       whose wall clock is meant, such as Europe/Berlin
    late     how late a run that was missed may still be made up for: 2h, or no
    until    no run is later: as `when` of one that runs once, or none
    times    how many runs from now on: 5, or none
    gate     a command that ends well where it is to be done; or none

Agents, commands and the command line all say it so. What is not said stays as it is, or as is
usual; what cannot be meant is refused with how to write it right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import tzinfo

from bot.schedule import duration, expression, planning
from bot.schedule.expression import FORMS, MIN_INTERVAL_MS
from bot.schedule.slots import Once
from bot.tasks import occasions
from nips.own.once import once_key
from nips.own.schedule import (
    MAX_COUNT,
    MAX_EXPRESSION_CHARS,
    MAX_WINDOW_S,
    USUAL_MISFIRE,
    Count,
    Misfire,
    Schedule,
)
from nips.own.task import Task, checked_gate, checked_prompt, checked_title, title_of
from nips.refusal import Malformed

ALL_FORMS = f"{FORMS}, {occasions.FORMS}"
NONE = "none"  # takes an end, a number of runs or a gate away
_NOT = frozenset({"no", NONE, "never", "skip", "off"})
_VERSION_DIGITS = 8

Zones = Callable[[str], tzinfo]  # a zone by its name; raises Malformed


@dataclass(frozen=True, slots=True)
class Wanted:
    """None: nothing is said of that."""

    when: str | None = None
    prompt: str | None = None
    title: str | None = None
    tz: str | None = None
    late: str | None = None
    until: str | None = None
    times: str | None = None
    gate: str | None = None

    @classmethod
    def from_json(cls, given: object) -> Wanted:
        """Read an object of these fields; a number may stand for its digits. Raises Malformed."""
        if not isinstance(given, Mapping):
            raise Malformed("a task is said as a JSON object")
        if unknown := sorted(str(name) for name in given if name not in FIELDS):
            raise Malformed(f"there is no {unknown[0][:40]!r}; a task has {', '.join(FIELDS)}")
        said = {}
        for name, value in given.items():
            if type(value) is int:
                value = str(value)
            if not isinstance(value, str | None):
                raise Malformed(f"{name} is a text")
            said[name] = value
        return cls(**said)

    @property
    def is_nothing(self) -> bool:
        """Say whether nothing is said at all."""
        return all(getattr(self, name) is None for name in FIELDS)


FIELDS = tuple(field.name for field in fields(Wanted))


def made(
    wanted: Wanted,
    group: str,
    task_id: str,
    usual_zone: str,
    zones: Zones,
    now_s: int,
    least_ms: int = MIN_INTERVAL_MS,
) -> Task:
    """A new task of a group (its UUID). usual_zone: the clock that is meant where none is named.
    least_ms: the shortest interval that they may have.
    Raises Malformed."""
    if wanted.when is None:
        raise Malformed(f"say when: {ALL_FORMS}")
    prompt = checked_prompt((wanted.prompt or "").strip())
    name = wanted.tz or usual_zone
    zone = zones(name)
    draft = Task(
        group,
        task_id,
        title_of(prompt) if wanted.title is None else _title(wanted.title),
        prompt,
        _schedule(wanted.when, group, zone, now_s, least_ms),
        name,
        now_s,
        misfire=USUAL_MISFIRE if wanted.late is None else _misfire(wanted.late),
        until=None if wanted.until is None else _until(wanted.until, zone, now_s),
        count=None if wanted.times is None else _count(wanted.times),
        gate=_gate(wanted.gate or ""),
    )
    return planning.new(draft, zone, now_s)


def changed(
    old: Task, wanted: Wanted, zones: Zones, now_s: int, least_ms: int = MIN_INTERVAL_MS
) -> Task:
    """The task with what is said of it. One that is done runs again where a time is given, an end
    or a number of runs. least_ms: as in `made`. Raises Malformed."""
    if wanted.is_nothing:
        raise Malformed(f"say what is to change: {', '.join(FIELDS)}")
    name = wanted.tz or old.zone
    zone = zones(name)
    new = replace(old, zone=name)
    if wanted.when is not None:
        new = replace(new, schedule=_schedule(wanted.when, old.group, zone, now_s, least_ms))
    if wanted.prompt is not None:
        new = replace(new, prompt=checked_prompt(wanted.prompt.strip()))
    if wanted.title is not None:
        new = replace(new, title=_title(wanted.title))
    if wanted.late is not None:
        new = replace(new, misfire=_misfire(wanted.late))
    if wanted.until is not None:
        new = replace(new, until=_until(wanted.until, zone, now_s))
    if wanted.times is not None:
        new = replace(new, count=_count(wanted.times))
    if wanted.gate is not None:
        new = replace(new, gate=_gate(wanted.gate))
    if old.status == "done":
        new = _again(new, wanted)
    return planning.edited(old, new, zone, now_s)


def version_of(task: Task) -> str:
    """A short name for what people have said of a task, by which an edit says what it has seen.
    That a slot is claimed, or that it is paused, makes no other."""
    until = "" if task.until is None else str(task.until)
    total = "" if task.count is None else str(task.count.total)
    said = (task.title, task.prompt, *task.schedule.tag(), task.zone, *task.misfire.tag())
    gate = (task.gate,) if task.gate else ()
    return once_key("task version", *said, until, total, *gate)[:_VERSION_DIGITS]


def check_version(task: Task, seen: str) -> None:
    """Raises Malformed where the task is not what somebody has seen of it; "": they do not say.

    Of two who edit the same one at the same time, the second would undo what the first did.
    """
    if seen and seen.strip().lower() != version_of(task):
        raise Malformed(
            f"somebody else has changed it since: it is {version_of(task)} by now, not "
            f"{seen[:_VERSION_DIGITS]!r}; look at it again"
        )


def _again(task: Task, wanted: Wanted) -> Task:
    if wanted.when is None and wanted.until is None and wanted.times is None:
        raise Malformed("that task is done: give it a new time, or make another one")
    count = task.count
    if count is not None and count.left == 0:
        count = Count(count.total, count.total)
    return replace(task, status="active", count=count)


def _schedule(when: str, group: str, zone: tzinfo, now_s: int, least_ms: int) -> Schedule:
    if (occasion := occasions.read(_short(when), group)) is not None:
        return occasion
    return planning.schedule_of(expression.read(when, zone, now_s, least_ms), when)


def _gate(line: str) -> str:
    return "" if line.strip().lower() == NONE else checked_gate(line)


def _short(when: str) -> str:
    if len(when) > MAX_EXPRESSION_CHARS:
        raise Malformed(f"that is no time: write {ALL_FORMS}")
    return when


def _title(text: str) -> str:
    return checked_title(" ".join(text.split()))


def _misfire(late: str) -> Misfire:
    if late.strip().lower() in _NOT:
        return Misfire(None)
    window_s = duration.parse_ms(late) // 1000
    if window_s > MAX_WINDOW_S:
        raise Malformed(f"a run is made up for within {MAX_WINDOW_S // 86_400} days at most")
    return Misfire(window_s)


def _until(text: str, zone: tzinfo, now_s: int) -> int | None:
    if text.strip().lower() in _NOT:
        return None
    rule = expression.read(_short(text), zone, now_s)
    if not isinstance(rule, Once):
        raise Malformed(f"{text[:40]!r} is no end: write 2026-12-24T18:00, in 30d, or {NONE}")
    return rule.at_s


def _count(times: str) -> Count | None:
    given = times.strip().lower()
    if given in _NOT:
        return None
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MAX_COUNT):
        raise Malformed(f"{times[:20]!r} is no number of runs: write 1 to {MAX_COUNT:,}, or {NONE}")
    return Count(int(given), int(given))
