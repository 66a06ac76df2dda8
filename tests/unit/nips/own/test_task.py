"""Tasks: round trip, strict reading, and the tricks that d and h can play."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Tags, Template
from nips.own.schedule import Count, Misfire, Schedule
from nips.own.task import (
    MAX_PROMPT_BYTES,
    MAX_TITLE_CHARS,
    Source,
    Task,
    checked_prompt,
    parse,
    template,
    title_of,
)
from nips.refusal import Malformed

ROUTER, OWNER = "0a" * 32, "0b" * 32
GROUP = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER = "1f8fad5b-d9cb-469f-a165-70867728950e"
TASK_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
TASK = Task(
    GROUP, TASK_ID, "Water the plants", "Remind me to water the plants.",
    Schedule("cron", "0 16 * * 1-5"), "Europe/Berlin", 1_767_279_600,
)  # fmt: skip
FULL = replace(
    TASK, schedule=Schedule("interval", "90500", 1_767_000_000), status="paused",
    misfire=Misfire(None), until=1_800_000_000, count=Count(3, 5), last=1_767_279_500,
    source=Source(f"31923:{OWNER}:mine:x", "0c" * 32, "0123456789abcdef"), gate="test -e dry",
)  # fmt: skip
ON_EVENT = replace(TASK, schedule=Schedule("event", '{"kinds":[9]}'), fired="0e" * 32)


@pytest.mark.parametrize(
    "task", [TASK, FULL, ON_EVENT, replace(FULL, count=Count(0, 5), status="done")]
)
@pytest.mark.parametrize("prev", [None, "", "0d" * 32])
def test_round_trip(task: Task, prev: str | None) -> None:
    event = template(task, ROUTER, 7, prev)
    assert parse(event, ROUTER) == task
    assert event.values("prev") == ([] if prev is None else [prev])
    assert event.tag("alt")


def test_the_documented_form() -> None:
    event = template(TASK, ROUTER, 7)
    assert event.kind == 31_923
    assert event.content == TASK.prompt
    assert event.tags == (
        ("d", f"{GROUP}/{TASK_ID}"), ("title", "Water the plants"), ("start", "1767279600"),
        ("D", "20454"), ("start_tzid", "Europe/Berlin"), ("h", GROUP), ("-",),
        ("schedule", "cron", "0 16 * * 1-5"), ("status", "active"), ("misfire", "run", "86400"),
        ("alt", "A scheduled task of the assistant's"),
    )  # fmt: skip
    assert TASK.address(ROUTER) == f"31923:{ROUTER}:{GROUP}/{TASK_ID}"
    full = template(FULL, ROUTER, 7, "0d" * 32).tags
    assert full[7:] == (
        ("schedule", "interval", "90500", "1767000000"), ("status", "paused"), ("misfire", "skip"),
        ("until", "1800000000"), ("count", "3", "5"), ("last", "1767279500"),
        ("gate", "test -e dry"),
        ("source", f"31923:{OWNER}:mine:x", "0c" * 32, "0123456789abcdef"), ("prev", "0d" * 32),
        ("alt", "A scheduled task of the assistant's"),
    )  # fmt: skip


def changed(name: str, *tags: tuple[str, ...]) -> Template:
    """The task's event with other tags of a name; none: without them."""
    event = template(TASK, ROUTER, 7)
    return replace(event, tags=(*(tag for tag in event.tags if tag[0] != name), *tags))


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("d", ()), ("h", ()), ("title", ()), ("start", ()), ("D", ()), ("start_tzid", ()),
        ("schedule", ()), ("status", ()), ("misfire", ()),
        # Attack: a task of one group that lies in another.
        ("h", (("h", OTHER),)), ("h", (("h", GROUP), ("h", OTHER))),
        ("d", (("d", f"{OTHER}/{TASK_ID}"),)), ("d", (("d", f"{GROUP}/../{OTHER}"),)),
        ("d", (("d", f"{GROUP}/{TASK_ID}"), ("d", f"{OTHER}/{TASK_ID}"))),
        ("d", (("d", GROUP),)), ("d", (("d", f"{GROUP}/"),)), ("d", (("d", f"/{TASK_ID}"),)),
        ("d", (("d", f"{GROUP}/{TASK_ID.upper()}"),)), ("d", (("d", f"{GROUP}/{TASK_ID}/x"),)),
        ("title", (("title", ""),)), ("title", (("title", "a\nb"),)),
        ("title", (("title", "x" * (MAX_TITLE_CHARS + 1)),)),
        ("title", (("title", "a\u202eb"),)),
        ("start", (("start", "soon"),)), ("start", (("start", "01"),)),
        ("start", (("start", "1767279600"), ("start", "1"))),
        ("D", (("D", "20453"),)), ("D", (("D", "20454"), ("D", "20455"))),
        ("start_tzid", (("start_tzid", "../../etc/passwd"),)),
        ("schedule", (("schedule", "cron", "* * * * *"), ("schedule", "cron", "0 * * * *"))),
        ("schedule", (("schedule", "interval", "90500"),)),
        ("status", (("status", "asleep"),)), ("status", (("status", "Active"),)),
        ("misfire", (("misfire", "maybe"),)),
        ("until", (("until", "never"),)), ("until", (("until", "5"), ("until", "6"))),
        ("count", (("count", "-1"),)), ("count", (("count", "1000001"),)),
        ("count", (("count", "6", "5"),)), ("count", (("count", "0"),)),
        ("count", (("count", "1", "5", "6"),)), ("count", (("count", "1", ""),)),
        ("last", (("last", "1e9"),)),
        ("source", (("source", "31923:x:y"),)), ("source", (("source", "x", "y"),)),
        ("source", (("source", "x" * 2_000, "0c" * 32),)),
        ("source", (("source", "x", "0c" * 32, "0123"),)),
        ("source", (("source", "x", "0c" * 32, "0123456789abcdef", ""),)),
        ("gate", (("gate", "x" * 501),)), ("gate", (("gate", "a\nb"),)),
        ("gate", (("gate", "a"), ("gate", "b"))),
    ],
)  # fmt: skip
def test_what_is_no_task(name: str, tags: Tags) -> None:
    with pytest.raises(Malformed):
        parse(changed(name, *tags), ROUTER)


def test_by_its_keeper_and_of_its_kind() -> None:
    event = template(TASK, ROUTER, 7)
    for wrong in (replace(event, pubkey=OWNER), replace(event, kind=31_922)):
        with pytest.raises(Malformed):
            parse(wrong, ROUTER)


@pytest.mark.parametrize("prompt", ["", " \n", "x" * 10_000, "ü" * (MAX_PROMPT_BYTES // 2 + 1)])
def test_a_prompt_that_is_none_or_too_long(prompt: str) -> None:
    with pytest.raises(
        Malformed, match=r"say what is to be done|file of the conversation's folder"
    ):
        checked_prompt(prompt)
    with pytest.raises(Malformed):
        parse(replace(template(TASK, ROUTER, 7), content=prompt), ROUTER)


@pytest.mark.parametrize("last", ["", "A" * 64, "0e" * 33, "../x"])
def test_what_names_no_run_of_one_without_a_clock(last: str) -> None:
    event = template(replace(ON_EVENT, fired=None), ROUTER, 7)
    with pytest.raises(Malformed):
        parse(replace(event, tags=(*event.tags, ("last", last))), ROUTER)


def test_what_it_does_not_know_it_leaves_alone() -> None:
    assert parse(changed("image", ("image", "https://example.com/a.png")), ROUTER) == TASK


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Water the plants", "Water the plants"),
        ("\n  Water\tthe  plants \nall of them", "Water the plants"),
        ("a\u202eb\x1b[2J", "a b [2J"),
        ("x" * 300, "x" * (MAX_TITLE_CHARS - 1) + "…"),
        ("", "Without a title"), (" \n ", "Without a title"), ("\u200b", "Without a title"),
    ],
)  # fmt: skip
def test_a_title_is_made_of_the_first_line(text: str, title: str) -> None:
    assert title_of(text) == title


@given(st.text(max_size=400))
def test_any_text_makes_a_title(text: str) -> None:
    parse(template(replace(TASK, title=title_of(text)), ROUTER, 7), ROUTER)
