"""Pure: a task as values for programs, and in a few words for people and agents.

Titles and prompts are somebody's words: they stand on one line, in quotes or behind marks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from bot.commands.amounts import ago, duration
from bot.schedule.duration import written
from bot.tasks import occasions
from bot.tasks.wanted import Zones, version_of
from nips.own.schedule import SECONDS
from nips.own.task import Task

SHORT = 8  # digits of an id that people are shown
MAX_TITLE_SHOWN = 40
MAX_WHEN_SHOWN = 30


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """One task. group: what its conversation is called. at: its next run, unix seconds, None where
    it has none by the clock; local: the same by the clock of `tz`. when, late, until, times: as
    people write them; left: of the times. last: the slot that was claimed last. followed: whether
    it follows a calendar event of a person's own. gate: "" for none."""

    id: str
    group: str
    title: str
    status: str
    when: str
    tz: str
    at: int | None
    local: str | None
    late: str
    until: str | None
    times: int | None
    left: int | None
    last: int | None
    followed: bool
    version: str
    prompt: str
    gate: str = ""


def facts_of(task: Task, group: str, zone: tzinfo) -> TaskFacts:
    """What there is to know. group: what its conversation is called. zone: the one it names."""
    runs_by_clock = task.status == "active" and task.schedule.has_clock
    window_s, count = task.misfire.window_s, task.count
    return TaskFacts(
        id=task.id,
        group=group,
        title=task.title,
        status=task.status,
        when=when_of(task, zone),
        tz=task.zone,
        at=task.start if runs_by_clock else None,
        local=_minute(zone, task.start) if runs_by_clock else None,
        late="no" if window_s is None else written(window_s * 1_000),
        until=None if task.until is None else _minute(zone, task.until),
        times=None if count is None else count.total,
        left=None if count is None else count.left,
        last=task.last,
        followed=task.source is not None,
        version=version_of(task),
        prompt=task.prompt,
        gate=task.gate,
    )


def when_of(task: Task, zone: tzinfo) -> str:
    """When it runs, as a person would write it."""
    expression = task.schedule.expression
    match task.schedule.how:
        case "interval":
            return f"every {written(int(expression))}"
        case "once":
            at = datetime.fromisoformat(expression)
            if at.tzinfo is None:
                return expression
            return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M%z")
        case "cron":
            return expression
        case "event" | "webhook":
            return occasions.written(task.schedule)


def line(facts: TaskFacts, now_s: int) -> str:
    """One task on one line."""
    return f"{named(facts)}: {cut(facts.when, MAX_WHEN_SHOWN)}, {state(facts, now_s)}"


def state(facts: TaskFacts, now_s: int) -> str:
    """When it runs next, or why it does not."""
    if facts.status in ("paused", "done"):
        return facts.status
    if facts.at is None or facts.local is None:
        return "waiting for it"
    if facts.at <= now_s:
        return f"due {ago(facts.at, now_s)}"
    return f"next {facts.local}, in {duration(facts.at - now_s)}"


def named(facts: TaskFacts) -> str:
    """A task as it is spoken of."""
    return f"{facts.id[:SHORT]} “{cut(facts.title, MAX_TITLE_SHOWN)}”"


@dataclass(frozen=True, slots=True)
class Slot:
    """Which run of a task. at_s: unix seconds, local: the same by the task's clock; None of one
    that was not made for a time."""

    name: str
    at_s: int | None = None
    local: str | None = None


def slot_of(name: str, tz: str, zones: Zones) -> Slot:
    """Read a slot's name. tz: the name of the task's zone."""
    if not SECONDS.fullmatch(name):
        return Slot(name)
    return Slot(name, int(name), _minute(zones(tz), int(name)))


def cut(text: str, most: int) -> str:
    """One line of somebody's words, in ours."""
    # Attack: a title that closes our quotation marks and goes on as if it were us.
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())
    plain = plain.replace("“", "'").replace("”", "'")
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _minute(zone: tzinfo, at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).strftime("%a %Y-%m-%d %H:%M %Z")
