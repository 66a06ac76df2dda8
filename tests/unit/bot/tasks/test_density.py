"""bot/tasks/density.py: runs on the fullest day."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.tasks.density import runs_a_day
from nips.own.schedule import Schedule
from nips.own.task import Task

TASK = Task("g", "id", "Plants", "Water them", Schedule("cron", "@daily"), "UTC", 0)


@pytest.mark.parametrize(
    ("schedule", "count"),
    [
        (Schedule("cron", "@daily"), 1),
        (Schedule("cron", "0 16 * * 1-5"), 1),
        (Schedule("cron", "*/15 * * * *"), 96),
        (Schedule("cron", "* * * * *"), 1_440),
        # Attack: nothing today, and every minute of one day a month.
        (Schedule("cron", "* * 1 * *"), 1_440),
        (Schedule("interval", "60000", 0), 1_440),
        (Schedule("interval", "86400001", 0), 1),
        (Schedule("interval", "7000000", 0), 13),
        (Schedule("once", "2026-12-24T18:00:00Z"), 1),
        # Attack: an agent that has each word of others be a run.
        (Schedule("webhook", "call"), 240),
        (Schedule("event", '{"kinds":[9],"#h":["here"]}'), 240),
    ],
)
def test_of_one(schedule: Schedule, count: int) -> None:
    assert runs_a_day([replace(TASK, schedule=schedule)]) == count


def test_of_all_that_are_not_done() -> None:
    paused, done = replace(TASK, status="paused"), replace(TASK, status="done")
    assert runs_a_day([TASK, paused, done]) == 2
