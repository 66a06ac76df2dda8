"""A person's own calendar event: an appointment, a task, or what is wrong with one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Template
from nips.own.schedule import Count, Misfire, Schedule
from nips.own.task import Source
from nips.own.wish import MAX_NAME_CHARS, Wish, parse
from nips.refusal import Malformed

OWNER = "0b" * 32
GROUP = "0f8fad5b-d9cb-469f-a165-70867728950e"
CRON = ("schedule", "cron", "0 16 * * 1-5")


def event(*tags: tuple[str, ...], text: str = "Do it.") -> Template:
    given = tags if any(tag[0] == "d" for tag in tags) else (("d", "mine"), *tags)
    if not any(tag[0] == "start" for tag in given):
        given = (*given, ("start", "1767279600"))
    return Template(OWNER, 7, 31_923, given, text)


def test_an_appointment_is_no_task() -> None:
    assert parse(event(("title", "Dentist"))) is None
    assert parse(Template(OWNER, 7, 31_923, (), "")) is None


def test_the_least_that_a_task_says() -> None:
    given = event(CRON)
    wish = parse(given)
    assert wish == Wish(
        OWNER, given.id, "mine", None, "Do it.", "Do it.", Schedule("cron", "0 16 * * 1-5"), None,
        1_767_279_600,
    )  # fmt: skip
    assert wish.source == Source(f"31923:{OWNER}:mine", given.id)


def test_all_that_it_may_say() -> None:
    given = event(
        ("title", "Plants"), ("h", GROUP), ("start_tzid", "Europe/Berlin"), ("end", "1767283200"),
        ("schedule", "interval", "900000"), ("status", "paused"), ("misfire", "skip"),
        ("until", "1800000000"), ("count", "3"), ("location", "Home"), ("D", "20454"),
        ("gate", "sh dry.sh"), text="  Water them.\n",
    )  # fmt: skip
    assert parse(given) == Wish(
        OWNER, given.id, "mine", GROUP, "Plants", "Water them.", Schedule("interval", "900000"),
        "Europe/Berlin", 1_767_279_600, True, Misfire(None), 1_800_000_000, Count(3, 3),
        "sh dry.sh",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "until"),
    [
        ((("expiration", "1800000000"),), 1_800_000_000),
        ((("expiration", "1800000000"), ("until", "1900000000")), 1_800_000_000),
        ((("expiration", "1900000000"), ("until", "1800000000")), 1_800_000_000),
        ((("expiration", "soon"),), None),
        ((("expiration", "1800000000000"),), None),
        ((("expiration", "1800000000000"), ("until", "1900000000")), 1_900_000_000),
    ],
)
def test_what_an_event_asks_for_ends_with_it(
    tags: tuple[tuple[str, ...], ...], until: int | None
) -> None:
    wish = parse(event(CRON, *tags))
    assert wish is not None
    assert wish.until == until


def test_what_is_left_of_a_count_is_not_the_persons_to_say() -> None:
    wish = parse(event(CRON, ("count", "2", "5")))
    assert wish is not None
    assert wish.count == Count(5, 5)


@pytest.mark.parametrize("tag", [("schedule", "once"), ("schedule", "once", "")])
def test_a_moment_may_be_the_start_that_the_calendar_shows(tag: tuple[str, ...]) -> None:
    wish = parse(event(tag))
    assert wish is not None
    assert wish.schedule == Schedule("once", "")


def test_one_that_is_called_off() -> None:
    wish = parse(event(CRON, ("status", "cancelled")))
    assert wish is not None
    assert (wish.cancelled, wish.paused) == (True, False)


def test_a_title_alone_is_what_is_to_be_done() -> None:
    wish = parse(event(CRON, ("title", "Say good morning"), text=""))
    assert wish is not None
    assert (wish.title, wish.prompt) == ("Say good morning", "Say good morning")


@pytest.mark.parametrize(
    ("tags", "text", "why"),
    [
        ((("schedule",),), "x", "exactly one 'schedule'"),
        ((CRON, CRON), "x", "exactly one 'schedule'"),
        ((("schedule", "0 16 * * 1-5"),), "x", "schedule must be one of cron, interval, once"),
        ((("schedule", "interval", "15m"),), "x", "a number of milliseconds, such as 900000"),
        ((CRON, ("start", "tomorrow")), "x", "start is a number of unix seconds"),
        ((CRON, ("start", "9"), ("end", "8")), "x", "ends after its start"),
        ((CRON, ("d", "x" * (MAX_NAME_CHARS + 1))), "x", "d has at most"),
        ((CRON, ("h", "main")), "x", "must be a lower-case UUID"),
        ((CRON, ("h", GROUP), ("h", GROUP)), "x", "exactly one 'h'"),
        ((CRON, ("start_tzid", "../Berlin")), "x", "a zone's name such as Europe/Berlin"),
        ((CRON, ("status", "done")), "x", "status must be active, paused or cancelled"),
        ((CRON, ("misfire", "later")), "x", "misfire must be skip, or run"),
        ((CRON, ("until", "2026-12-24")), "x", "until must be a whole number"),
        ((CRON, ("count", "0")), "x", "count must be a whole number from 1 to 1000000"),
        ((CRON, ("gate", "x" * 501)), "x", "a command of at most 500 characters"),
        ((CRON,), "", "say what is to be done"),
        ((CRON,), "x" * 10_000, "at most 8,000 bytes, and this has 10,000"),
    ],
)
def test_what_is_wrong_with_one(tags: tuple[tuple[str, ...], ...], text: str, why: str) -> None:
    with pytest.raises(Malformed, match=re.escape(why)):
        parse(event(*tags, text=text))


NAMES = st.sampled_from(
    ["d", "h", "start", "schedule", "status", "misfire", "until", "count", "title", "start_tzid"]
)


@given(st.lists(st.tuples(NAMES, st.text(max_size=9), st.text(max_size=9))), st.text())
def test_whatever_somebody_publishes(tags: list[tuple[str, ...]], text: str) -> None:
    try:
        parse(Template(OWNER, 7, 31_923, tuple(tags), text))
    except Malformed as error:
        assert len(str(error)) < 400  # noqa: PT017 - or it is read
