"""bot/schedule/slots.py: every zone around its clock's changes, intervals that do not drift."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from math import ceil
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.schedule.cron_text import parse
from bot.schedule.slots import Every, Once, Rule, latest_slot, next_slot
from bot.zones import known_zones
from tests.figures import dice, figure
from tests.unit.bot.schedule import oracle
from tests.unit.bot.schedule.expressions import expressions

BERLIN = ZoneInfo("Europe/Berlin")
DAY_S = 86_400
FROM_S = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
TO_S = int(datetime(2028, 1, 1, tzinfo=UTC).timestamp())
# What lies in, before and after the hours that clocks are set in, and what is there each minute.
AROUND = (
    "* * * * *", "*/15 * * * *", "0 * * * *", "30 * * * *", "30 2 * * *", "0 0 * * *",
    "5,35 0-4 * * *", "59 23 * * *", "15 1 * * sat,sun", "45 2 1-31/2 * sun",
)  # fmt: skip


def slots(rule: Rule, zone: tzinfo, from_s: int, to_s: int) -> list[int]:
    """All from `from_s` on and before `to_s`."""
    found, at_s = [], next_slot(rule, zone, from_s - 1)
    while at_s is not None and at_s < to_s:
        found.append(at_s)
        at_s = next_slot(rule, zone, at_s)
    return found


def test_every_zone_around_every_change_of_its_clock() -> None:
    source = dice("wall-clock")
    zones = sorted(known_zones())
    chosen = source.sample(zones, min(figure("wall-clock"), len(zones)))
    rules = {expression: parse(expression) for expression in AROUND}
    for name in chosen:
        zone = ZoneInfo(name)
        for day_s in oracle.changes(zone, FROM_S, TO_S):
            from_s, to_s = day_s - DAY_S, day_s + 2 * DAY_S
            ticks = list(oracle.clock(zone, from_s, to_s))
            for expression, rule in rules.items():
                expected = oracle.runs(expression, ticks)
                assert slots(rule, zone, from_s, to_s) == expected, (name, day_s, expression)
                # Asked at any time, within an hour that comes again too.
                last_s = expected[-1] if expected else from_s
                for at_s in range(from_s, last_s, source.randrange(1_000, 4_000)):
                    then = expected[bisect_right(expected, at_s)]
                    assert next_slot(rule, zone, at_s) == then, (name, at_s, expression)


@given(
    expressions(),
    st.sampled_from(
        ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns",
         "Antarctica/Troll", "Africa/Cairo", "Pacific/Chatham", "Asia/Kathmandu"]
    ).map(ZoneInfo),
    st.integers(FROM_S, TO_S),
)  # fmt: skip
def test_any_expression_on_any_day(expression: str, zone: tzinfo, at_s: int) -> None:
    from_s = at_s - at_s % 60
    ticks = list(oracle.clock(zone, from_s, from_s + DAY_S))
    assert slots(parse(expression), zone, from_s, from_s + DAY_S) == oracle.runs(expression, ticks)


def test_in_an_hour_that_comes_again_nothing_runs_again() -> None:
    """02:00 to 03:00 comes twice on 2026-10-25."""
    second_s = int(datetime(2026, 10, 25, 1, 10, tzinfo=UTC).timestamp())  # 02:10 again
    three_s = second_s + 50 * 60
    for expression in ("30 2 * * *", "*/5 * * * *", "0 * * * *"):
        slot = next_slot(parse(expression), BERLIN, second_s)
        assert slot is not None
        assert slot >= three_s, expression


@given(expressions().map(parse), st.integers(FROM_S, TO_S))
def test_slots_ascend(rule: Rule, after_s: int) -> None:
    slot = next_slot(rule, BERLIN, after_s)
    assert slot is not None
    assert slot > after_s
    assert slot % 60 == 0
    # None lies between: whoever asks later, but before it, is told the same.
    assert next_slot(rule, BERLIN, slot - 1) == slot
    assert next_slot(rule, BERLIN, (after_s + slot - 1) // 2) == slot


@pytest.mark.parametrize(
    ("every_ms", "first_s", "after_s", "slot"),
    [
        (60_000, 1_000, 0, 1_000),
        (60_000, 1_000, 999, 1_000),
        (60_000, 1_000, 1_000, 1_060),
        (60_000, 1_000, 1_059, 1_060),
        (60_001, 1_000, 1_060, 1_061),
        (90_500, 1_000, 1_000, 1_091),
        (90_500, 1_000, 1_091, 1_181),
        (86_400_000, FROM_S, FROM_S + 365 * DAY_S, FROM_S + 366 * DAY_S),
    ],
)
def test_an_interval(every_ms: int, first_s: int, after_s: int, slot: int) -> None:
    assert next_slot(Every(every_ms, first_s), UTC, after_s) == slot


@given(st.integers(60_000, 400_000_000), st.integers(0, 2**31), st.integers(0, 2**40))
def test_an_interval_does_not_drift(every_ms: int, first_s: int, after_s: int) -> None:
    """Each slot is a whole number of intervals after the first, never early, less than 1 s late."""
    slot = next_slot(Every(every_ms, first_s), BERLIN, after_s)
    assert slot is not None
    assert slot > after_s
    number = round(Fraction((slot - first_s) * 1000, every_ms))
    exact_s = first_s + Fraction(number * every_ms, 1000)
    assert 0 <= slot - exact_s < 1
    before_s = first_s + ceil(Fraction((number - 1) * every_ms, 1000))
    assert number == 0 or before_s <= after_s


def test_a_moment() -> None:
    assert next_slot(Once(7), UTC, 6) == 7
    assert next_slot(Once(7), UTC, 7) is None


RULES = st.one_of(
    expressions().map(parse),
    st.builds(Every, st.integers(60_000, 400_000_000), st.integers(FROM_S, TO_S)),
    st.builds(Once, st.integers(FROM_S, TO_S)),
)


@given(RULES, st.integers(FROM_S, TO_S), st.integers(0, 3 * DAY_S))
def test_the_latest_slot_is_the_last_of_them(rule: Rule, after_s: int, ahead_s: int) -> None:
    first = next_slot(rule, BERLIN, after_s)
    if first is None:
        return
    by_s = first + ahead_s
    assert latest_slot(rule, BERLIN, first, by_s) == slots(rule, BERLIN, first, by_s + 1)[-1]


def test_a_year_of_missed_minutes_costs_a_few_questions() -> None:
    """Counted, not timed: how often the zone is asked what its clock shows."""
    asked = 0

    class Counted(tzinfo):
        def utcoffset(self, when: datetime | None) -> timedelta:
            nonlocal asked
            asked += 1
            return timedelta(hours=1)

        def dst(self, when: datetime | None) -> timedelta:
            return timedelta(0)

        def tzname(self, when: datetime | None) -> str:
            return "X"

    found = latest_slot(parse("* * * * *"), Counted(), FROM_S, TO_S + 30)
    assert found == TO_S
    assert asked < 1_000


def test_the_last_years_of_the_calendar_are_an_end() -> None:
    after_s = int(datetime(9998, 12, 31, 23, tzinfo=UTC).timestamp())
    assert next_slot(parse("@daily"), BERLIN, after_s) is None
    assert next_slot(parse("@daily"), BERLIN, 10**15) is None
    assert next_slot(parse("@daily"), ZoneInfo("Asia/Tokyo"), -(10**15)) is None
