"""bot/tasks/wanted.py: a person's words made into a task, and onto one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.schedule import planning
from bot.tasks import wanted
from bot.tasks.wanted import Wanted, changed, made, version_of
from bot.zones import zone_of
from nips.own.schedule import Count, Misfire, Schedule
from nips.own.task import Task
from nips.refusal import Malformed

NOW = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp())
DAY_S = 86_400
GROUP = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4"
ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def new(when: str | None = "0 16 * * *", prompt: str | None = "Water them", **more: str) -> Task:
    said = Wanted(when=when, prompt=prompt, **more)
    return made(said, GROUP, ID, "Europe/Berlin", zone_of, NOW)


def edit(task: Task, **said: str) -> Task:
    return changed(task, Wanted(**said), zone_of, NOW)


def test_what_is_not_said_is_as_usual() -> None:
    assert new() == Task(
        GROUP, ID, "Water them", "Water them", Schedule("cron", "0 16 * * *"), "Europe/Berlin",
        NOW + 3 * 3_600,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [
        ({"title": " Plants,  all "}, "title", "Plants, all"),
        ({"prompt": "\n Water\nall of them "}, "prompt", "Water\nall of them"),
        ({"prompt": "\n Water\nall of them "}, "title", "Water"),
        ({"tz": "UTC"}, "start", NOW + 4 * 3_600),
        ({"when": "every 90m"}, "schedule", Schedule("interval", "5400000", NOW + 5_400)),
        ({"when": "in 20m"}, "schedule", Schedule("once", "2026-03-02T12:20:00Z")),
        ({"when": "2026-03-02T18:00"}, "schedule", Schedule("once", "2026-03-02T17:00:00Z")),
        ({"late": "no"}, "misfire", Misfire(None)),
        ({"late": "2h"}, "misfire", Misfire(7_200)),
        ({"until": "in 30d"}, "until", NOW + 30 * DAY_S),
        ({"until": "2026-04-01 08:00"}, "until", 1_775_023_200),
        ({"until": "none"}, "until", None),
        ({"times": "5"}, "count", Count(5, 5)),
        ({"times": "none"}, "count", None),
        ({"when": "on mention"}, "schedule", Schedule("event", '{"kinds":[1,1111],"#p":["bot"]}')),
        ({"when": "On  call "}, "schedule", Schedule("webhook", "call")),
        ({"when": "on mention"}, "start", NOW),
        ({"gate": " test -e dry "}, "gate", "test -e dry"),
        ({"gate": "None"}, "gate", ""),
    ],
)
def test_each_thing_that_may_be_said(said: dict[str, str], field: str, value: object) -> None:
    assert getattr(new(**said), field) == value
    # Onto a task that is there it does the same.
    if "when" not in said and field != "title":
        assert getattr(edit(new(), **said), field) == value


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"when": None}, "say when: 0 16 * * 1-5, @daily, every 15m, in 20m or 2026"),
        ({"when": "soon"}, "'soon' is no time: write 0 16"),
        ({"when": "on monday"}, "'monday' sets no task off: write on mention"),
        ({"when": 'on {"kinds":[1]}'}, "more than anybody can read"),
        ({"gate": "x" * 501}, "at most 500 characters, on one line"),
        ({"gate": "a\nb"}, "keep what is long in a script"),
        ({"when": "0 0 31 2 *"}, "never comes"),
        ({"when": "every 10s"}, "every 10s is too often: every 1m is the least"),
        ({"when": "2020-01-01T10:00"}, "2020-01-01 10:00 has passed; it is now"),
        ({"when": "x" * 5_000}, "that is no time: write 0 16"),
        ({"prompt": None}, "needs a prompt"),
        ({"prompt": " \n "}, "needs a prompt"),
        ({"prompt": "x" * 10_000}, "at most 8,000 bytes, and this has 10,000: keep what is long"),
        ({"title": "x" * 201}, "1 to 200 characters"),
        ({"title": " "}, "1 to 200 characters"),
        ({"tz": "Berlin"}, "did you mean Europe/Berlin?"),
        ({"tz": "../../etc/passwd"}, "there is no time zone"),
        ({"late": "soon"}, "no span of time: write 15m"),
        ({"late": "400d"}, "within 366 days at most"),
        ({"until": "2020-01-01T10:00"}, "has passed"),
        ({"until": "in 1h"}, "would first run at 2026-03-02 16:00, and ends at 2026-03-02 14:00"),
        ({"until": "@daily"}, "is no end: write 2026-12-24T18:00, in 30d, or none"),
        ({"times": "0"}, "is no number of runs: write 1 to 1,000,000, or none"),
        ({"times": "five"}, "is no number of runs"),
        ({"times": "9" * 5_000}, "is no number of runs"),
        ({"times": "٣"}, "is no number of runs"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_how_to_write_it(
    said: dict[str, str | None], sentence: str
) -> None:
    with pytest.raises(Malformed) as error:
        new(**said)  # type: ignore[arg-type]
    assert sentence in str(error.value)


def test_the_house_says_how_often_it_may_be() -> None:
    often = Wanted(when="every 2s", prompt="Water them")
    task = made(often, GROUP, ID, "Europe/Berlin", zone_of, NOW, 2_000)
    assert task.schedule == Schedule("interval", "2000", NOW + 2)
    with pytest.raises(Malformed, match="every 1s is too often: every 2s is the least"):
        changed(task, Wanted(when="every 1s"), zone_of, NOW, 2_000)


def test_an_edit_leaves_what_it_does_not_name() -> None:
    task = replace(new(times="5", until="in 30d", late="2h"), count=Count(3, 5), last=NOW - DAY_S)
    assert edit(task, prompt="Water half") == replace(task, prompt="Water half")
    assert edit(task, title="Plants") == replace(task, title="Plants")
    later = edit(task, when="0 18 * * *")
    assert later == replace(task, schedule=Schedule("cron", "0 18 * * *"), start=NOW + 5 * 3_600)
    assert edit(task, times="9").count == Count(9, 9)
    with pytest.raises(Malformed, match="say what is to change: when, prompt, title"):
        edit(task)


def test_a_clock_elsewhere_moves_the_times() -> None:
    assert edit(new(), tz="Asia/Tokyo").start == int(
        datetime(2026, 3, 3, 7, tzinfo=UTC).timestamp()
    )


def test_one_that_is_paused_stays_paused() -> None:
    task = planning.paused(new())
    assert edit(task, when="@daily").status == "paused"


def test_one_that_is_done_runs_again_when_it_is_given_what_it_lacks() -> None:
    done = replace(new(times="2"), status="done", count=Count(0, 2), start=NOW - 60, last=NOW - 60)
    for said in ({"title": "Again"}, {"prompt": "Again"}, {"late": "no"}):
        with pytest.raises(Malformed, match="is done: give it a new time"):
            edit(done, **said)
    assert (again := edit(done, times="3")).status == "active"
    assert (again.count, again.start) == (Count(3, 3), NOW + 3 * 3_600)
    again = edit(done, when="in 20m")
    assert (again.status, again.count, again.start) == ("active", Count(2, 2), NOW + 1_200)


def test_an_editor_who_has_not_seen_the_last_edit_is_refused() -> None:
    """Two editors cannot overwrite each other."""
    task = new(times="5")
    seen = version_of(task)
    wanted.check_version(task, seen)
    wanted.check_version(task, "")
    after = edit(task, title="Plants")
    with pytest.raises(Malformed, match=f"it is {version_of(after)} by now, not '{seen}'; look"):
        wanted.check_version(after, seen)
    changes = ({"when": "@daily"}, {"prompt": "x"}, {"tz": "UTC"}, {"late": "no"},
               {"until": "in 90d"}, {"times": "6"})  # fmt: skip
    versions = {version_of(edit(task, **said)) for said in changes}
    assert len(versions | {seen}) == len(changes) + 1


def test_a_run_makes_no_other_version() -> None:
    """Or whoever edits a task that runs each minute would never be quick enough."""
    task = new(times="5")
    ran = replace(task, start=task.start + DAY_S, last=task.start, count=Count(4, 5))
    assert version_of(ran) == version_of(task) == version_of(planning.paused(task))


def test_as_json() -> None:
    said = {"when": "@daily", "prompt": "x", "times": 5, "tz": None}
    assert Wanted.from_json(said) == Wanted(when="@daily", prompt="x", times="5")
    assert Wanted.from_json({}).is_nothing
    for given, sentence in (
        ([], "as a JSON object"),
        ("x", "as a JSON object"),
        ({"group": "x"}, "there is no 'group'; a task has when, prompt, title, tz"),
        ({"when": ["x"]}, "when is a text"),
        ({"times": True}, "times is a text"),
        ({"times": 1.5}, "times is a text"),
    ):
        with pytest.raises(Malformed) as error:
            Wanted.from_json(given)
        assert sentence in str(error.value)
