"""bot/tasks/occasions.py: what is watched for, for whom, since when, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import pytest

from bot.tasks import occasions
from bot.tasks.occasions import CATCH_UP_S, MAX_PUBLIC, MAX_STORED, OVERLAP_S
from nips.filter import Filter
from nips.own.schedule import Misfire, Schedule
from nips.own.task import Task
from nips.own.watch import People
from nips.refusal import Malformed

MAIN, GROUP = "0f8fad5b-d9cb-469f-a165-70867728950e", "1f8fad5b-d9cb-469f-a165-70867728950e"
BOT, OWNER, ANN = "0a" * 32, "0b" * 32, "0c" * 32
PEOPLE = People(BOT, frozenset({OWNER}), frozenset({ANN}))
NOW = 1_767_225_600
MENTION = {"kinds": [1], "#p": ["bot"]}
HERE = {"kinds": [9], "#h": ["here"]}
ARTICLES = {"kinds": [30_023], "authors": ["followed"]}


def task(of: object, n: int = 1, group: str = MAIN, **changes: object) -> Task:
    schedule = Schedule("event", json.dumps(of))
    made = Task(group, str(UUID(int=n)), "T", "Do it.", schedule, "UTC", NOW + n)
    return replace(made, **changes)  # type: ignore[arg-type]


def of(*tasks: Task) -> list[occasions.Waiting]:
    return list(occasions.watched(tasks, MAIN))


@pytest.mark.parametrize(
    ("text", "schedule", "shown"),
    [
        ("on mention", Schedule("event", '{"kinds":[1,1111],"#p":["bot"]}'), "on mention"),
        (" ON Article ", Schedule("event", '{"kinds":[30023],"authors":["followed"]}'),
         "on article"),
        ("on call", Schedule("webhook", "call"), "on call"),
        ('on {"#h": ["here"], "kinds": [9]}', Schedule("event", '{"kinds":[9],"#h":["here"]}'),
         'on {"kinds":[9],"#h":["here"]}'),
        ('on {"kinds":[7],"#p":["bot"]}', Schedule("event", '{"kinds":[7],"#p":["bot"]}'),
         "on reaction"),
    ],
)  # fmt: skip
def test_how_people_write_it(text: str, schedule: Schedule, shown: str) -> None:
    assert occasions.read(text, MAIN) == schedule
    assert occasions.written(schedule) == shown
    assert occasions.read(shown, MAIN) == schedule


@pytest.mark.parametrize("text", ["", "@daily", "every 5m", "only", "once", "2026-12-24"])
def test_a_time_is_none_of_these(text: str) -> None:
    assert occasions.read(text, MAIN) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("on", "write on mention, on reaction, on article, on call, or on and a filter"),
        ("on monday", "'monday' sets no task off"),
        ("on {", "as a filter in JSON"),
        ('on {"kinds":[1]}', "more than anybody can read"),
    ],
)
def test_what_sets_nothing_off(text: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        occasions.read(text, MAIN)


def test_what_is_made_of_it() -> None:
    written = occasions.checked(task(MENTION), (), MAIN)
    assert written.schedule.expression == '{"kinds":[1],"#p":["bot"]}'
    assert occasions.checked(written, (written,), MAIN) == written
    assert occasions.checked(task(HERE, group=GROUP), (), MAIN).schedule.how == "event"
    by_clock = task(MENTION, schedule=Schedule("cron", "x"))
    assert occasions.checked(by_clock, (), MAIN) == by_clock


def test_what_is_refused() -> None:
    with pytest.raises(Malformed, match="as a filter in JSON"):
        occasions.checked(task("a mention"), (), MAIN)
    # Attack: another group's agent tells the public relays what it knows, in what it waits for.
    with pytest.raises(Malformed, match="in the owner's own conversation only"):
        occasions.checked(task(MENTION, group=GROUP), (), MAIN)
    many = [task(MENTION, n) for n in range(1, MAX_PUBLIC + 1)]
    with pytest.raises(Malformed, match="10 tasks wait for public events already"):
        occasions.checked(task(MENTION, 99), many, MAIN)
    assert occasions.checked(many[3], many, MAIN), "one of them may be edited"
    assert occasions.checked(task(HERE, 99), many, MAIN)
    many[0] = replace(many[0], status="paused")
    assert occasions.checked(task(MENTION, 99), many, MAIN)


def test_who_waits() -> None:
    good, here = task(MENTION, 2), task(HERE, 1, GROUP)
    others = (
        task("x", 3), task(MENTION, 4, GROUP), task(MENTION, 5, status="paused"),
        task(MENTION, 6, status="done"), task(MENTION, 7, schedule=Schedule("webhook", "x")),
    )  # fmt: skip
    assert [one.id for one, _ in of(good, *others, here)] == [here.id, good.id]


def test_what_is_read_in_the_groups() -> None:
    assert occasions.here(of(task(MENTION))) is None
    both = of(task(HERE, 2, GROUP), task({"kinds": [7], "#h": ["here"]}, 1), task(MENTION, 3))
    assert occasions.here(both) == Filter(
        kinds=frozenset({7, 9}), tags={"h": frozenset({MAIN, GROUP})}, since=NOW + 1
    )


def test_what_public_relays_are_asked_for() -> None:
    one, same, articles = task(MENTION), task({**MENTION, "kinds": [7]}, 2), task(ARTICLES, 3)
    since = {one.name: 70, same.name: 50, articles.name: 60}
    assert occasions.public(of(one, same, articles, task(HERE, 4)), PEOPLE, since) == (
        Filter(kinds=frozenset({3}), authors=frozenset({OWNER}), limit=1),
        Filter(kinds=frozenset({1, 7}), tags={"p": frozenset({BOT})}, since=50, limit=MAX_STORED),
        Filter(kinds=frozenset({30_023}), authors=frozenset({ANN}), since=60, limit=MAX_STORED),
    )
    nobody = replace(PEOPLE, followed=frozenset())
    assert [sorted(f.kinds or ()) for f in occasions.public(of(articles), nobody, {})] == [[3]]


def test_a_question_has_bounds() -> None:
    crowd = replace(PEOPLE, followed=frozenset(f"{n:064x}" for n in range(1_000)))
    many = [task({**ARTICLES, "#t": [f"{n}"]}, n) for n in range(1, 9)]
    asked = occasions.public(of(*many), crowd, {})
    assert sum(len(one.authors or ()) for one in asked) <= 4_000
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("misfire", "last_run_s", "since"),
    [
        (Misfire(), None, NOW),
        (Misfire(), NOW + 40_000, NOW + 40_000 - OVERLAP_S),
        (Misfire(600), None, NOW + 49_400),
        (Misfire(None), None, NOW + 50_000),
        (Misfire(None), NOW + 49_990, NOW + 50_000),
        (Misfire(9 * CATCH_UP_S), NOW - 9, NOW),
    ],
)
def test_how_far_back_it_goes(misfire: Misfire, last_run_s: int | None, since: int) -> None:
    waiting = task(MENTION, start=NOW, misfire=misfire)
    assert occasions.since(waiting, last_run_s, NOW + 50_000) == since
    long_ago = replace(waiting, start=5)
    assert occasions.since(long_ago, last_run_s, NOW + 50_000) >= NOW + 50_000 - CATCH_UP_S
