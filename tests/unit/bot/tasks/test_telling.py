"""bot/tasks/telling.py: a task in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.tasks import telling
from bot.tasks.telling import Slot, facts_of, line, slot_of
from bot.tasks.wanted import version_of
from bot.zones import zone_of
from nips.own.schedule import Count, Misfire, Schedule
from nips.own.task import Source, Task

NOW = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp())
BERLIN = zone_of("Europe/Berlin")
TASK = Task(
    "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4", "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "Water the plants", "Water them all", Schedule("cron", "0 16 * * 1-5"), "Europe/Berlin",
    NOW + 3 * 3_600,
)  # fmt: skip


def test_all_of_it() -> None:
    task = replace(
        TASK, misfire=Misfire(None), until=NOW + 86_400, count=Count(3, 5), last=NOW - 60,
        source=Source("31923:x:y", "0" * 64),
    )  # fmt: skip
    facts = facts_of(task, "family", BERLIN)
    assert (facts.group, facts.at, facts.local) == (
        "family", NOW + 3 * 3_600, "Mon 2026-03-02 16:00 CET",
    )  # fmt: skip
    assert (facts.late, facts.until) == ("no", "Tue 2026-03-03 13:00 CET")
    assert (facts.left, facts.times, facts.last, facts.followed) == (3, 5, NOW - 60, True)
    assert facts.version == version_of(task)
    assert facts_of(TASK, "family", BERLIN).late == "1d"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "0 16 * * 1-5, next Mon 2026-03-02 16:00 CET, in 3 h"),
        ({"start": NOW - 90}, "0 16 * * 1-5, due 1 min ago"),
        ({"status": "paused"}, "0 16 * * 1-5, paused"),
        ({"status": "done"}, "0 16 * * 1-5, done"),
        ({"schedule": Schedule("interval", "5400000", NOW)},
         "every 1h30m, next Mon 2026-03-02 16:00 CET, in 3 h"),
        ({"schedule": Schedule("once", "2026-03-02T15:00:00Z")},
         "2026-03-02T16:00+0100, next Mon 2026-03-02 16:00 CET, in 3 h"),
        ({"schedule": Schedule("once", "2026-03-02T15:00")},
         "2026-03-02T15:00, next Mon 2026-03-02 16:00 CET, in 3 h"),
        ({"schedule": Schedule("webhook", "door")}, "on call, waiting for it"),
        ({"schedule": Schedule("event", '{"kinds":[7],"#p":["bot"]}')},
         "on reaction, waiting for it"),
    ],
)  # fmt: skip
def test_on_one_line(changes: dict[str, object], said: str) -> None:
    facts = facts_of(replace(TASK, **changes), "family", BERLIN)  # type: ignore[arg-type]
    assert line(facts, NOW) == f"7c9e6679 “Water the plants”: {said}"


def test_no_title_speaks_as_if_it_were_us() -> None:
    """Attack: a title with our quotation marks in it, or one without an end."""
    facts = facts_of(replace(TASK, title="A”: done. ✅ “B" + "x" * 190), "family", BERLIN)
    said = telling.named(facts)
    assert said.startswith("7c9e6679 “A': done. ✅ 'Bxxx")
    assert len(said) <= 51
    assert telling.cut("a\u202eb\nc", 10) == "a b c"


def test_slots() -> None:
    found = slot_of(str(NOW), "Europe/Berlin", zone_of)
    assert found == Slot(str(NOW), NOW, "Mon 2026-03-02 13:00 CET")
    assert slot_of("now0a1b", "Europe/Berlin", zone_of) == Slot("now0a1b")
