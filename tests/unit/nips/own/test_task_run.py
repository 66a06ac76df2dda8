"""A job that is a task's run: which task's, which slot's, and of no other group."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.event import Tags
from nips.own import job, task_run
from nips.own.once import once_key
from nips.own.task_run import TaskRun
from nips.refusal import Malformed

ROUTER, BOT, MESSAGE = "0a" * 32, "0b" * 32, "0c" * 32
GROUP = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER = "1f8fad5b-d9cb-469f-a165-70867728950e"
TASK_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
ADDRESS = f"31923:{ROUTER}:{GROUP}/{TASK_ID}"
RUN = TaskRun(ADDRESS, "1767279600")
REQUEST = task_run.request(ROUTER, GROUP, RUN, BOT, 7)


def test_round_trip() -> None:
    assert job.parse_request(REQUEST) == job.JobRequest(REQUEST.id, GROUP, (), BOT, 7, None, RUN)
    assert job.parse_request(REQUEST).message is None
    assert REQUEST.tags[:4] == (("h", GROUP), ("a", ADDRESS), ("slot", "1767279600"), ("p", BOT))
    assert REQUEST.content == ""


def test_its_once_key_is_task_and_slot() -> None:
    assert REQUEST.tag("o") == once_key("task", ADDRESS, "1767279600") == RUN.once()
    later = task_run.request(ROUTER, GROUP, RUN, BOT, 9)
    assert later.tag("o") == REQUEST.tag("o")
    assert TaskRun(ADDRESS, "1767279601").once() != RUN.once()


def test_how_it_is_named() -> None:
    assert (RUN.name, RUN.short_id) == (f"{GROUP}/{TASK_ID}", "7c9e6679")


@pytest.mark.parametrize(
    "tags",
    [
        (("a", ADDRESS),),
        (("slot", "5"),),
        (("a", ADDRESS), ("slot", "5"), ("slot", "6")),
        (("a", ADDRESS), ("a", ADDRESS), ("slot", "5")),
        (("a", ADDRESS), ("slot", "")),
        (("a", ADDRESS), ("slot", "a b")),
        (("a", ADDRESS), ("slot", "5" * 65)),
        # Attack: another group's task, or what is none.
        (("a", f"31923:{ROUTER}:{OTHER}/{TASK_ID}"), ("slot", "5")),
        (("a", f"30023:{ROUTER}:{GROUP}/{TASK_ID}"), ("slot", "5")),
        (("a", f"31923:{ROUTER}:{GROUP}/{TASK_ID}/x"), ("slot", "5")),
        (("a", f"31923:{ROUTER}:{GROUP}"), ("slot", "5")),
        # A job is for messages or for a task.
        (("a", ADDRESS), ("slot", "5"), ("e", MESSAGE)),
        (),
    ],
)
def test_what_is_no_run(tags: Tags) -> None:
    kept = tuple(tag for tag in REQUEST.tags if tag[0] not in ("a", "slot"))
    with pytest.raises(Malformed):
        job.parse_request(replace(REQUEST, tags=(*kept, *tags)))
