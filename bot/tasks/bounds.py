"""Pure: how many tasks there may be, and what is said to one too many.

A task that is done counts no more; the last ones stay to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

from nips.own.task import Task

MAX_OF_A_GROUP = 50  # active and paused ones
MAX_OF_ALL = 10_000
MAX_DONE = 50  # of a group


def why_full(tasks: Iterable[Task], group: str) -> str | None:
    """Why a group (its UUID) may have no further task; None where it may. tasks: all there are."""
    # Attack: an agent that plans without end has everybody's work wait, or the disk full.
    going = [task for task in tasks if task.status != "done"]
    mine = sum(task.group == group for task in going)
    if mine >= MAX_OF_A_GROUP:
        return (
            f"A conversation has at most {MAX_OF_A_GROUP} tasks, and this one has {mine}. "
            "Cancel one that is not needed, or have one task do the work of two."
        )
    if len(going) >= MAX_OF_ALL:
        return f"There are {MAX_OF_ALL:,} tasks, which is all that there may be. Cancel some first."
    return None


def too_old(tasks: Iterable[Task], group: str) -> list[Task]:
    """The tasks of a group that have been done for so long that they make room."""
    done = [task for task in tasks if task.group == group and task.status == "done"]
    newest_first = sorted(done, key=lambda task: (task.start, task.id), reverse=True)
    return newest_first[MAX_DONE:]
