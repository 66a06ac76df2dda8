"""Schedules and misfires as tags."""

from __future__ import annotations

import pytest

from nips.event import Tag
from nips.own.schedule import MAX_EXPRESSION_CHARS, MAX_WINDOW_S, Count, Misfire, Schedule
from nips.refusal import Malformed


@pytest.mark.parametrize(
    ("tag", "schedule"),
    [
        (("schedule", "cron", "0 16 * * 1-5"), Schedule("cron", "0 16 * * 1-5")),
        (("schedule", "interval", "900000"), Schedule("interval", "900000")),
        (("schedule", "interval", "900000", "70"), Schedule("interval", "900000", 70)),
        (("schedule", "once", "2026-12-24T18:00:00Z"), Schedule("once", "2026-12-24T18:00:00Z")),
        (("schedule", "event", '{"kinds":[1]}'), Schedule("event", '{"kinds":[1]}')),
        (("schedule", "webhook", "deploy"), Schedule("webhook", "deploy")),
    ],
)
def test_round_trip(tag: Tag, schedule: Schedule) -> None:
    assert Schedule.from_tag(tag) == schedule
    assert schedule.tag() == tag
    assert schedule.has_clock is (schedule.how not in ("event", "webhook"))


@pytest.mark.parametrize(
    "tag",
    [
        ("schedule",), ("schedule", "cron"), ("schedule", "cron", ""), ("schedule", "", "x"),
        ("schedule", "daily", "x"), ("schedule", "Cron", "* * * * *"),
        ("schedule", "cron", "* * * * *\n"), ("schedule", "cron", "\u202e* * * * *"),
        ("schedule", "cron", "x" * (MAX_EXPRESSION_CHARS + 1)),
        ("schedule", "cron", "* * * * *", "70"), ("schedule", "cron", "* * * * *", ""),
        ("schedule", "interval", "15m"), ("schedule", "interval", "-1"),
        ("schedule", "interval", "1.5"), ("schedule", "interval", "007"),
        ("schedule", "interval", "1" * 12), ("schedule", "interval", "900000", "soon"),
        ("schedule", "interval", "900000", ""), ("schedule", "interval", "900000", "70", "x"),
    ],
)  # fmt: skip
def test_what_is_no_schedule(tag: Tag) -> None:
    with pytest.raises(Malformed):
        Schedule.from_tag(tag)


@pytest.mark.parametrize(
    ("tag", "misfire"),
    [
        (("misfire", "skip"), Misfire(None)),
        (("misfire", "run", "0"), Misfire(0)),
        (("misfire", "run", "3600"), Misfire(3_600)),
        (("misfire", "run", str(MAX_WINDOW_S)), Misfire(MAX_WINDOW_S)),
    ],
)
def test_a_misfire(tag: Tag, misfire: Misfire) -> None:
    assert Misfire.from_tag(tag) == misfire
    assert misfire.tag() == tag


def test_a_person_need_not_say_how_late() -> None:
    assert Misfire.from_tag(("misfire", "run")) == Misfire() == Misfire(86_400)


@pytest.mark.parametrize(
    "rest",
    [(), ("",), ("late",), ("skip", "5"), ("run", ""), ("run", "-1"), ("run", "1h"),
     ("run", str(MAX_WINDOW_S + 1)), ("run", "5", "x")],
)  # fmt: skip
def test_what_is_no_misfire(rest: tuple[str, ...]) -> None:
    with pytest.raises(Malformed):
        Misfire.from_tag(("misfire", *rest))


def test_a_count() -> None:
    assert Count.from_tag(("count", "5")) == Count(5, 5)
    assert Count.from_tag(("count", "0", "5")) == Count(0, 5)
    assert Count(3, 5).tag() == ("count", "3", "5")


@pytest.mark.parametrize(
    "rest", [(), ("0",), ("-1",), ("six",), ("6", "5"), ("0", "0"), ("1000001",), ("1", "2", "3")]
)
def test_what_is_no_count(rest: tuple[str, ...]) -> None:
    with pytest.raises(Malformed):
        Count.from_tag(("count", *rest))
