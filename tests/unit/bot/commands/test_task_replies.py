"""bot/commands/task_replies.py: tasks and their runs as people read them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.commands import replies, task_replies
from bot.commands.facts import Money, RunFacts
from bot.tasks.telling import facts_of
from bot.zones import zone_of
from nips.own.schedule import Count, Schedule
from nips.own.task import Source, Task
from tests.unit.bot.commands.reading import reads_well

NOW = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp())
PROMPT = "Water\n  them all, and say\n\n# how dry it was"
TASK = Task(
    "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4", "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "Water the plants", PROMPT, Schedule("cron", "0 16 * * 1-5"), "Europe/Berlin",
    NOW + 3 * 3_600, until=NOW + 9_000_000, count=Count(3, 5), source=Source("31923:x:y", "0"),
)  # fmt: skip
FACTS = facts_of(TASK, "family", zone_of("Europe/Berlin"))
LONGEST = facts_of(
    replace(
        TASK, title="word " * 40, prompt="word " * 1_600, schedule=Schedule("webhook", "x" * 2_000)
    ),
    "family", zone_of("Europe/Berlin"),
)  # fmt: skip
RUN = RunFacts(
    id="9c01" + "0" * 60, group="family", state="failed", asked_at=NOW - 125,
    what="the scheduled task 7c9e6679 “Water the plants”", begun=(NOW - 120, NOW - 60),
    ended_at=NOW - 30, lasted_s=90, words="the agent ended with status 1, and " + "so on" * 20,
    cost=Money(None, 12, 40), task=TASK.id, slot=str(NOW - 130),
    slot_at="Mon 2026-03-02 12:57 CET", delay_s=10,
)  # fmt: skip
BY_HAND = replace(RUN, state="done", slot="now0", slot_at=None, delay_s=None, words="", cost=None)
EVERY = {
    "tasks": task_replies.tasks([FACTS, LONGEST] * 25, NOW),
    "tasks here": task_replies.tasks([FACTS, LONGEST], NOW, with_group=False),
    "task": task_replies.task(FACTS, NOW),
    "said": task_replies.said("Planned:", LONGEST, NOW),
    "task runs": task_replies.task_runs("Water the plants", [RUN, BY_HAND] * 25, NOW),
    "no runs": task_replies.task_runs("x " * 100, [], NOW),
    "runs": replies.runs([RUN, BY_HAND], NOW),
    "run": replies.run(RUN, NOW),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_answer_reads_well_in_any_client(name: str) -> None:
    reads_well(EVERY[name])


def test_one() -> None:
    assert task_replies.task(FACTS, NOW).text.splitlines() == [
        "Task 7c9e6679 “Water the plants” in family",
        "Now: next Mon 2026-03-02 16:00 CET, in 3 h",
        "When: 0 16 * * 1-5 (Europe/Berlin)",
        "A run that was missed: up to 1d late",
        "Not after: Sun 2026-06-14 18:00 CEST",
        "Runs left: 3 of 5",
        "It follows somebody's own calendar event: an edit of that changes it too.",
        "What is to be done:",
        "│ Water",
        "│   them all, and say",
        "│",
        "│ # how dry it was",
        f"Version: {FACTS.version}",
        f"Its id: {TASK.id}",
    ]


def test_a_long_prompt_is_cut_and_says_so() -> None:
    text = task_replies.task(LONGEST, NOW).text
    assert "[6,500 characters more]" in text
    assert len(text) < 2_500
    assert task_replies.task(LONGEST, NOW).data["prompt"] == "word " * 1_599 + "word "


def test_a_list() -> None:
    lines = task_replies.tasks([FACTS] * 50, NOW).text.splitlines()
    assert lines[:2] == [
        "Planned:",
        "7c9e6679 “Water the plants”: 0 16 * * 1-5, next Mon 2026-03-02 16:00 CET, in 3 h (family)",
    ]
    assert lines[-2:] == ["… and 10 more", "/task ID shows one."]
    long = task_replies.tasks([LONGEST] * 1_000, NOW)
    assert len(long.data) == 100
    assert len(json.dumps(long.data)) < 300_000
    assert task_replies.tasks([], NOW).text == "Nothing is planned."


def test_slot_delay_duration_outcome_and_cost() -> None:
    lines = task_replies.task_runs("Plants", [RUN, BY_HAND], NOW).text.splitlines()
    assert lines[0] == "The last runs of “Plants”:"
    assert lines[1].startswith(
        "❌ 9c010000 Mon 2026-03-02 12:57 CET, 10 s late, took 1 min, 12 tokens, $0.00004, the"
    )
    assert lines[2] == "✅ 9c010000 besides its times, 2 min ago, took 1 min"
    assert (
        replies.runs([RUN], NOW)
        .text.splitlines()[1]
        .startswith(
            "❌ 9c010000 family, task 7c9e6679: Mon 2026-03-02 12:57 CET, 10 s late, took 1 min"
        )
    )
    assert "Its time: Mon 2026-03-02 12:57 CET, begun 10 s late" in replies.run(RUN, NOW).text
    assert task_replies.task_runs("Plants", [], NOW).text == "“Plants” has not run yet."
    assert task_replies.delay(0) == "on time"
