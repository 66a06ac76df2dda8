"""bot/tasks/bounds.py: how many tasks there may be, and which ones make room."""

from __future__ import annotations

from dataclasses import replace

from bot.tasks import bounds
from nips.own.schedule import Schedule
from nips.own.task import Status, Task

MINE, OTHER = "0" * 8, "1" * 8
TASK = Task(MINE, "id", "Plants", "Water them", Schedule("cron", "@daily"), "UTC", 0)


def tasks(count: int, group: str = MINE, status: Status = "active") -> list[Task]:
    return [replace(TASK, id=f"{i:04}", group=group, status=status, start=i) for i in range(count)]


def test_a_group_has_so_many_and_no_more() -> None:
    """Attack: a thousand tasks from one group."""
    full = [*tasks(30), *tasks(20, status="paused"), *tasks(500, status="done")]
    assert bounds.why_full(full[1:], MINE) is None
    assert bounds.why_full(full, OTHER) is None
    why = bounds.why_full(full, MINE) or ""
    assert why.startswith("A conversation has at most 50 tasks, and this one has 50. Cancel one")


def test_all_together_have_so_many() -> None:
    assert bounds.why_full(tasks(bounds.MAX_OF_ALL - 1, OTHER), MINE) is None
    assert "10,000" in (bounds.why_full(tasks(bounds.MAX_OF_ALL, OTHER), MINE) or "")


def test_of_those_that_are_done_the_oldest_go() -> None:
    done = tasks(53, status="done")
    there = [*tasks(9), *done, *tasks(99, OTHER, "done")]
    assert sorted(task.start for task in bounds.too_old(there, MINE)) == [0, 1, 2]
    assert bounds.too_old(done[3:], MINE) == []
