"""bot/schedule/planning.py: a task from its making to its end, and edits that lose no run."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.schedule import planning
from bot.schedule.cron_text import parse
from bot.schedule.expression import read
from bot.schedule.misfire import Pass, Run, decide
from bot.schedule.slots import Every, Once
from nips.own.schedule import Count, Misfire, Schedule
from nips.own.task import Source, Task
from nips.own.wish import Wish
from nips.refusal import Malformed

BERLIN = ZoneInfo("Europe/Berlin")
GROUP, TASK_ID = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
OWNER = "0b" * 32
DAY_S, HOUR_S = 86_400, 3_600


def unix(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


NOW = unix("2026-03-02T12:00+01:00")
FOUR = unix("2026-03-02T16:00+01:00")
DAILY = Schedule("cron", "0 16 * * *")
PLANTS = Task(GROUP, TASK_ID, "Plants", "Water them.", DAILY, "Europe/Berlin", 0)


def made(**changes: object) -> Task:
    return planning.new(replace(PLANTS, **changes), BERLIN, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        (" 0  16 * * MON-fri", Schedule("cron", "0 16 * * MON-fri")),
        ("@daily", Schedule("cron", "@daily")),
        ("every 90500ms", Schedule("interval", "90500", NOW + 91)),
        ("2026-12-24T18:00", Schedule("once", "2026-12-24T17:00:00Z")),
    ],
)
def test_what_was_typed_becomes_a_schedule_and_a_rule_again(text: str, schedule: Schedule) -> None:
    rule = read(text, BERLIN, NOW)
    assert planning.schedule_of(rule, text) == schedule
    assert planning.rule_of(schedule, UTC, 5) == rule


def test_what_an_event_leaves_open_begins_with_its_start() -> None:
    assert planning.rule_of(Schedule("interval", "900000"), UTC, 70) == Every(900_000, 70)
    assert planning.rule_of(Schedule("once", ""), UTC, 70) == Once(70)
    local = Schedule("once", "2026-12-24 18:00")
    assert planning.rule_of(local, BERLIN, 70) == Once(unix("2026-12-24T17:00Z"))


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        (Schedule("cron", "0 0 31 2 *"), "never comes"),
        (Schedule("interval", "999"), "every 999ms is too often: every 1s is the least"),
        (Schedule("interval", "99999999999"), "too rare"),
        (Schedule("once", "tomorrow"), "is no date and time"),
        (Schedule("event", "{}"), "runs at no time of its own"),
    ],
)
def test_a_schedule_that_is_none(schedule: Schedule, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        planning.rule_of(schedule, UTC, 5)


def test_a_new_task_has_its_first_run() -> None:
    assert made().start == FOUR
    assert planning.new(PLANTS, BERLIN, FOUR).start == FOUR + DAY_S
    later = planning.new(PLANTS, BERLIN, NOW, not_before_s=FOUR + 1)
    assert later.start == FOUR + DAY_S
    assert planning.new(PLANTS, BERLIN, NOW, not_before_s=FOUR).start == FOUR
    assert made(until=FOUR, count=Count(1, 5)).start == FOUR


def test_one_without_a_clock_stands_at_its_making() -> None:
    assert made(schedule=Schedule("webhook", "deploy")).start == NOW


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schedule": Schedule("once", "2026-03-02T11:00:00Z")}, "its time has passed; it is now "
         "2026-03-02 12:00 there: write a time to come"),
        ({"until": NOW}, "its end, 2026-03-02 12:00, has passed"),
        ({"until": FOUR - 1}, "it would first run at 2026-03-02 16:00, and ends at 2026-03-02 15:"),
        ({"count": Count(0, 5)}, "from 1 to 1,000,000 times"),
        ({"count": Count(1_000_001, 1_000_001)}, "from 1 to 1,000,000 times"),
        ({"schedule": Schedule("webhook", "x"), "until": NOW - 5}, "has passed"),
        ({"schedule": Schedule("cron", "61 * * * *")}, "the minute field"),
    ],
)  # fmt: skip
def test_one_that_would_never_run(changes: dict[str, object], why: str) -> None:
    with pytest.raises(Malformed, match=re.escape(why)):
        made(**changes)


def test_claimed_before_its_job_exists() -> None:
    task = made(count=Count(3, 5))
    run = decide(planning.plan_of(task, BERLIN), task.start, FOUR + 2)
    assert run == Run(FOUR, FOUR + DAY_S, 2)
    after = planning.claimed(task, run)
    assert after == replace(task, start=FOUR + DAY_S, last=FOUR, count=Count(2, 5))


def test_the_last_run() -> None:
    for task in (
        made(count=Count(1, 5)),
        made(until=FOUR),
        made(schedule=Schedule("once", ""), start=FOUR),
    ):
        begun = replace(task, start=FOUR)
        run = decide(planning.plan_of(begun, BERLIN), FOUR, FOUR)
        assert isinstance(run, Run)
        after = planning.claimed(begun, run)
        assert (after.status, after.start, after.last) == ("done", FOUR, FOUR)


def test_what_was_missed_for_good() -> None:
    task = made(misfire=Misfire(None), count=Count(1, 5))
    verdict = decide(planning.plan_of(task, BERLIN), task.start, FOUR + HOUR_S)
    assert verdict == Pass(FOUR, FOUR + DAY_S)
    assert planning.passed(task, verdict) == replace(task, start=FOUR + DAY_S)
    over = planning.passed(replace(task, last=FOUR - DAY_S), Pass(FOUR, None))
    assert (over.status, over.start, over.count) == ("done", FOUR - DAY_S, Count(1, 5))


def test_paused_and_resumed() -> None:
    task = replace(made(), last=FOUR - DAY_S)
    waiting = planning.paused(task)
    assert waiting == replace(task, status="paused")
    again = planning.resumed(waiting, BERLIN, FOUR + 5 * DAY_S)
    assert again == replace(task, start=FOUR + 6 * DAY_S)


@pytest.mark.parametrize("step", [planning.paused, lambda task: planning.resumed(task, BERLIN, 0)])
def test_what_is_done_is_done(step: object) -> None:
    with pytest.raises(Malformed, match="is done"):
        step(replace(made(), status="done"))  # type: ignore[operator]


def test_one_without_a_clock_is_claimed_slot_by_slot() -> None:
    mention = Schedule("event", '{"kinds":[1]}')
    task = made(schedule=mention, count=Count(2, 2))
    first = planning.fired(task, "0e" * 32, NOW + 60)
    assert first == replace(task, fired="0e" * 32, count=Count(1, 2)), "it stands where it stood"
    last = planning.fired(first, "0f" * 32, NOW + 90)
    assert (last.fired, last.count, last.status, last.start) == (
        "0f" * 32, Count(0, 2), "done", NOW + 90,
    )  # fmt: skip
    assert planning.fired(made(schedule=mention), "0e" * 32, NOW).status == "active"
    again = planning.edited(first, replace(first, prompt="Other.", fired=None), BERLIN, NOW + 70)
    assert again == replace(first, prompt="Other."), "what was claimed stays claimed"


def test_one_without_a_clock_waits_for_its_start() -> None:
    task = replace(PLANTS, schedule=Schedule("webhook", "door"))
    assert planning.new(task, BERLIN, NOW, not_before_s=NOW + 60).start == NOW + 60


def test_an_edit_of_the_words_keeps_a_run_that_is_due() -> None:
    due = replace(made(), last=FOUR - DAY_S)
    edited = planning.edited(due, replace(due, prompt="Twice.", last=None), BERLIN, FOUR + 1)
    assert edited == replace(due, prompt="Twice.")


def test_an_edit_between_claim_and_run_changes_neither_slot_nor_count() -> None:
    task = made(count=Count(3, 5))
    claimed = planning.claimed(task, Run(FOUR, FOUR + DAY_S, 0))
    other = replace(claimed, schedule=Schedule("cron", "5 16 * * *"), prompt="Twice.", last=7)
    edited = planning.edited(claimed, other, BERLIN, FOUR + 1)
    assert (edited.last, edited.count, edited.start) == (FOUR, Count(2, 5), FOUR + 300)


def test_an_edit_never_goes_back_behind_what_was_claimed() -> None:
    """A clock that was a day ahead has been put right."""
    claimed = replace(made(), last=FOUR + DAY_S, start=FOUR + 2 * DAY_S)
    hourly = replace(claimed, schedule=Schedule("cron", "0 * * * *"))
    assert planning.edited(claimed, hourly, BERLIN, NOW).start == FOUR + DAY_S + HOUR_S
    assert planning.resumed(planning.paused(hourly), BERLIN, NOW).start == FOUR + DAY_S + HOUR_S


def test_an_edit_of_the_end() -> None:
    task = made()
    assert planning.edited(task, replace(task, until=FOUR), BERLIN, NOW).start == FOUR
    with pytest.raises(Malformed, match="would first run at"):
        planning.edited(task, replace(task, until=FOUR - 1), BERLIN, NOW)
    with pytest.raises(Malformed, match="times"):
        planning.edited(task, replace(task, count=Count(0, 5)), BERLIN, NOW)


def test_an_edit_wakes_what_is_done() -> None:
    done = replace(made(), status="done", last=FOUR, start=FOUR)
    assert planning.edited(done, replace(done, status="active"), BERLIN, FOUR).start == FOUR + DAY_S


def wish(schedule: Schedule, start: int = NOW + 60, **changes: object) -> Wish:
    given = Wish(OWNER, "0c" * 32, "mine", GROUP, "Plants", "Water them.", schedule, None, start)
    return replace(given, **changes)  # type: ignore[arg-type]


def adopted(given: Wish) -> Task:
    task, not_before_s = planning.wished(given, PLANTS, BERLIN, NOW)
    return planning.new(task, BERLIN, NOW, not_before_s=not_before_s)


def test_how_often_people_may_have_a_task_run_is_the_houses_to_say() -> None:
    often = wish(Schedule("interval", "2000"))
    with pytest.raises(Malformed, match="every 2s is too often: every 1m is the least"):
        planning.wished(often, PLANTS, BERLIN, NOW)
    task, _ = planning.wished(often, PLANTS, BERLIN, NOW, 2_000)
    assert planning.rule_of(task.schedule, BERLIN, 5) == Every(2_000, NOW + 60)


@pytest.mark.parametrize(
    ("given", "schedule", "start"),
    [
        (wish(DAILY), DAILY, FOUR),
        (wish(DAILY, FOUR + 1), DAILY, FOUR + DAY_S),
        (wish(DAILY, NOW - 9 * DAY_S), DAILY, FOUR),
        (wish(Schedule("interval", "900000")), Schedule("interval", "900000", NOW + 60), NOW + 60),
        (wish(Schedule("interval", "900000"), NOW - 60),
         Schedule("interval", "900000", NOW - 60), NOW + 840),
        (wish(Schedule("interval", "900000", NOW + 7)),
         Schedule("interval", "900000", NOW + 7), NOW + 907),
        (wish(Schedule("once", ""), FOUR), Schedule("once", "2026-03-02T15:00:00Z"), FOUR),
        (wish(Schedule("once", "2026-03-02T16:00"), FOUR + 99),
         Schedule("once", "2026-03-02T15:00:00Z"), FOUR),
        (wish(Schedule("webhook", "deploy")), Schedule("webhook", "deploy"), NOW + 60),
        (wish(Schedule("webhook", "deploy"), 9), Schedule("webhook", "deploy"), NOW),
    ],
)  # fmt: skip
def test_a_persons_own_event_becomes_a_task(given: Wish, schedule: Schedule, start: int) -> None:
    task = adopted(given)
    assert (task.schedule, task.start) == (schedule, start)
    assert task.source == Source(f"31923:{OWNER}:mine", "0c" * 32)
    assert (task.zone, task.misfire, task.status) == ("Europe/Berlin", Misfire(), "active")


def test_all_that_such_an_event_says() -> None:
    task = adopted(
        wish(
            DAILY,
            zone="Asia/Tokyo",
            paused=True,
            misfire=Misfire(None),
            until=FOUR + 9,
            count=Count(2, 5),
        )
    )
    assert (task.zone, task.status, task.misfire) == ("Asia/Tokyo", "paused", Misfire(None))
    assert (task.until, task.count) == (FOUR + 9, Count(2, 5))


def test_a_moment_that_has_passed_is_refused_by_its_time() -> None:
    with pytest.raises(Malformed, match="2026-03-02 11:00 has passed"):
        adopted(wish(Schedule("once", ""), NOW - HOUR_S))


def test_adopted_again_when_it_was_edited() -> None:
    task = replace(adopted(wish(DAILY)), last=FOUR - DAY_S)
    same, not_before_s = planning.wished(wish(DAILY, prompt="Twice."), task, BERLIN, FOUR + 1)
    due = planning.edited(task, same, BERLIN, FOUR + 1, not_before_s=not_before_s)
    assert (due.prompt, due.start, due.last) == ("Twice.", FOUR, FOUR - DAY_S)
    moved, not_before_s = planning.wished(wish(DAILY, FOUR + 1), task, BERLIN, NOW)
    edited = planning.edited(task, moved, BERLIN, NOW, not_before_s=not_before_s)
    assert edited.start == FOUR + DAY_S


def test_an_edit_that_leaves_the_count_leaves_what_is_left_of_it() -> None:
    task = replace(adopted(wish(DAILY, count=Count(5, 5))), count=Count(3, 5))
    for wanted, count in ((Count(5, 5), Count(3, 5)), (Count(6, 6), Count(6, 6)), (None, None)):
        edited, _ = planning.wished(wish(DAILY, count=wanted), task, BERLIN, NOW)
        assert edited.count == count


@given(
    st.sampled_from(
        [DAILY, Schedule("cron", "*/7 * * * *"), Schedule("interval", "90500", NOW + 5),
         Schedule("cron", "30 2 * * sun")]
    ),
    st.integers(1, 30),
    st.lists(st.integers(0, 3 * DAY_S), min_size=1, max_size=60),
)  # fmt: skip
def test_a_count_is_a_count_of_runs(schedule: Schedule, left: int, sleeps: list[int]) -> None:
    """However long the machine sleeps between looks."""
    task, now_s = made(schedule=schedule, count=Count(left, left)), NOW
    claimed = []
    for sleep_s in sleeps:
        now_s = max(now_s, task.start) + sleep_s
        while task.status == "active" and task.start <= now_s:
            verdict = decide(planning.plan_of(task, BERLIN), task.start, now_s)
            if isinstance(verdict, Run):
                claimed.append(verdict.slot)
                task = planning.claimed(task, verdict)
            else:
                assert isinstance(verdict, Pass)
                task = planning.passed(task, verdict)
    assert claimed == sorted(set(claimed))
    assert task.count == Count(left - len(claimed), left)
    assert (task.status == "done") == (len(claimed) == left)
    assert task.last == (claimed[-1] if claimed else None)


def test_a_rule_is_the_same_after_a_round_trip() -> None:
    assert planning.plan_of(made(), BERLIN).rule == parse("0 16 * * *")
