"""Pure: a task as it comes to be, is edited, claimed, paused, resumed.

Each step takes a task and returns the one to be stored in its place. Where its rule has come to an
end it is done. Steps that a person asks for raise Malformed with a sentence.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo

from bot.schedule import cron_text, expression
from bot.schedule.cron import Cron
from bot.schedule.misfire import Pass, Plan, Run
from bot.schedule.slots import Every, Once, Rule
from bot.schedule.wall_clock import shown
from nips.own.schedule import MAX_COUNT, Count, Schedule
from nips.own.task import Task
from nips.own.wish import Wish
from nips.refusal import Malformed


def rule_of(schedule: Schedule, zone: tzinfo, start_s: int) -> Rule:
    """What the slots of a schedule with a clock are. start_s: where an interval, or a moment,
    begins that does not say so itself. How often people may have a task run is looked at where they
    ask for it. Raises Malformed."""
    match schedule.how:
        case "cron":
            return cron_text.parse(schedule.expression)
        case "interval":
            every_ms = expression.interval_ms(
                int(schedule.expression), expression.SHORTEST_INTERVAL_MS
            )
            return Every(every_ms, start_s if schedule.first_s is None else schedule.first_s)
        case "once" if not schedule.expression:
            return Once(start_s)
        case "once":
            return Once(expression.moment(schedule.expression, zone))
        case _:
            raise Malformed(f"a task on {schedule.how} runs at no time of its own")


def schedule_of(rule: Rule, text: str) -> Schedule:
    """How an event says it. text: what a person has written, which says what a cron rule is."""
    match rule:
        case Cron():
            return Schedule("cron", expression.written(rule, text))
        case Every(every_ms, first_s):
            return Schedule("interval", str(every_ms), first_s)
        case Once():
            return Schedule("once", expression.written(rule))


def plan_of(task: Task, zone: tzinfo) -> Plan:
    """What a task with a clock goes by; zone: the one that it names. Raises Malformed."""
    rule = rule_of(task.schedule, zone, task.start)
    return Plan(
        rule, zone, task.misfire, task.until, None if task.count is None else task.count.left
    )


def new(task: Task, zone: tzinfo, now_s: int, *, not_before_s: int = 0) -> Task:
    """The task with its first run, at `not_before_s` or later; without a clock it may run since
    then, or since now. Its own `start` does not count. Raises Malformed where it would never
    run."""
    _check_end(task, zone, now_s)
    if not task.schedule.has_clock:
        return replace(task, start=max(now_s, not_before_s))
    after_s = max(now_s, not_before_s - 1, task.last or 0)
    first = plan_of(task, zone).next(after_s)
    if first is None:
        raise Malformed(_why_never(task, zone, after_s, now_s))
    return replace(task, start=first)


def edited(old: Task, wanted: Task, zone: tzinfo, now_s: int, *, not_before_s: int = 0) -> Task:
    """`old` as it is wanted; what was claimed stays claimed. Its next run stays too, due already
    or not, where nothing about its times has changed. Raises Malformed as `new` does."""
    wanted = replace(wanted, last=old.last, fired=old.fired)
    times = (old.schedule, old.zone, old.status)
    stays = times == (wanted.schedule, wanted.zone, wanted.status) and old.start >= not_before_s
    if not stays or (wanted.until is not None and wanted.until < old.start):
        return new(wanted, zone, now_s, not_before_s=not_before_s)
    _check_end(wanted, zone, now_s)
    return replace(wanted, start=old.start)


def wished(
    wish: Wish,
    task: Task,
    zone: tzinfo,
    now_s: int,
    least_ms: int = expression.MIN_INTERVAL_MS,
) -> tuple[Task, int]:
    """`task` as a person's own event asks for it, for `new` or `edited`, and not before when it
    runs. zone: the one that is meant. least_ms: the shortest interval that people may have. Raises
    Malformed."""
    schedule, not_before_s = wish.schedule, wish.start
    if schedule.has_clock:
        rule = rule_of(schedule, zone, wish.start)
        if isinstance(rule, Every):
            expression.interval_ms(rule.every_ms, least_ms)
        schedule = schedule_of(rule, schedule.expression)
        if isinstance(rule, Once):
            not_before_s = expression.once(rule.at_s, zone, now_s).at_s
    wanted = replace(
        task,
        title=wish.title,
        prompt=wish.prompt,
        schedule=schedule,
        zone=wish.zone or task.zone,
        status="paused" if wish.paused else "active",
        misfire=wish.misfire or task.misfire,
        until=wish.until,
        count=task.count if _same_total(wish.count, task.count) else wish.count,
        gate=wish.gate,
        source=wish.source,
    )
    return wanted, not_before_s


def claimed(task: Task, run: Run) -> Task:
    """The task after one of its slots was claimed, before the job for it exists."""
    count = None if task.count is None else Count(task.count.left - 1, task.count.total)
    return _advanced(replace(task, last=run.slot, count=count), run.slot, run.next)


def fired(task: Task, slot: str, now_s: int) -> Task:
    """The same of a task without a clock: that slot was claimed, now."""
    count = None if task.count is None else Count(task.count.left - 1, task.count.total)
    after = replace(task, fired=slot, count=count)
    return after if count is None or count.left else over(after, now_s)


def over(task: Task, now_s: int) -> Task:
    """A task without a clock that runs no more."""
    return replace(task, start=now_s, status="done")


def passed(task: Task, verdict: Pass) -> Task:
    """The task after slots that were missed for good. They count as no runs."""
    return _advanced(task, task.last or task.start, verdict.next)


def paused(task: Task) -> Task:
    """The task, running no more. Raises Malformed where it is done."""
    _check_not_done(task)
    return replace(task, status="paused")


def resumed(task: Task, zone: tzinfo, now_s: int) -> Task:
    """The task, running again, from its next slot on; what was missed meanwhile is not made up
    for. Raises Malformed where there is none, or it is done."""
    _check_not_done(task)
    return new(replace(task, status="active"), zone, now_s)


def _same_total(one: Count | None, other: Count | None) -> bool:
    return one is not None and other is not None and one.total == other.total


def _advanced(task: Task, last_s: int, next_s: int | None) -> Task:
    if next_s is None:
        return replace(task, start=last_s, status="done")
    return replace(task, start=next_s)


def _check_not_done(task: Task) -> None:
    if task.status == "done":
        raise Malformed("that task is done: give it a new time, or make another one")


def _check_end(task: Task, zone: tzinfo, now_s: int) -> None:
    if task.count is not None and not 1 <= task.count.left <= MAX_COUNT:
        raise Malformed(f"a task runs from 1 to {MAX_COUNT:,} times")
    if task.until is not None and task.until <= now_s:
        raise Malformed(
            f"its end, {_minute(task.until, zone)}, has passed; it is now "
            f"{_minute(now_s, zone)} there: write a time to come"
        )


def _why_never(task: Task, zone: tzinfo, after_s: int, now_s: int) -> str:
    endless = plan_of(replace(task, until=None, count=None), zone).next(after_s)
    if endless is None or task.until is None:
        return f"its time has passed; it is now {_minute(now_s, zone)} there: write a time to come"
    return (
        f"it would first run at {_minute(endless, zone)}, and ends at "
        f"{_minute(task.until, zone)}: write a later end"
    )


def _minute(at_s: int, zone: tzinfo) -> str:
    return f"{shown(zone, at_s):%Y-%m-%d %H:%M}"
