"""Pure: how often tasks run on their fullest day, whichever day that is."""

from __future__ import annotations

from collections.abc import Iterable

from bot.schedule import cron_text
from bot.schedule.cron import Cron
from bot.tasks.occasions import MAX_AN_HOUR
from nips.own.schedule import Schedule
from nips.own.task import Task

DAY_MS = 86_400_000


def runs_a_day(tasks: Iterable[Task]) -> int:
    """At most so many runs a day are planned by these. Paused ones count: whoever may pause one
    may resume it. What has no clock runs as often as it may. Raises Malformed."""
    return sum(_of(task.schedule) for task in tasks if task.status != "done")


def _of(schedule: Schedule) -> int:
    match schedule.how:
        case "cron":
            return _of_cron(cron_text.parse(schedule.expression))
        case "interval":
            return -(-DAY_MS // int(schedule.expression))
        case "once":
            return 1
        case "event" | "webhook":
            # Attack: an agent that others talk to has each of their words be a run.
            return 24 * MAX_AN_HOUR


def _of_cron(cron: Cron) -> int:
    # Attack: every minute of one day a month, which a look at the next day does not show.
    return len(cron.minutes) * len(cron.hours)
