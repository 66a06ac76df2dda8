"""bot/schedule/cron.py: the next minute, against an oracle that looks at every day and minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.schedule.cron import LONGEST_GAP_YEARS, Cron
from bot.schedule.cron_text import parse
from tests.unit.bot.schedule import oracle
from tests.unit.bot.schedule.expressions import comes, expressions, forms

local = datetime.fromisoformat
MOMENTS = st.datetimes(local("1970-01-02"), local("2150-01-01"))


@pytest.mark.parametrize(
    ("expression", "after", "following"),
    [
        ("0 16 * * 1-5", "2026-10-23T15:59", "2026-10-23T16:00"),
        ("0 16 * * 1-5", "2026-10-23T16:00", "2026-10-26T16:00"),
        ("0 16 * * 1-5", "2026-10-23T15:59:59", "2026-10-23T16:00"),
        ("*/15 * * * *", "2026-12-31T23:45", "2027-01-01T00:00"),
        ("5,35 8-10 * * *", "2026-01-01T10:35", "2026-01-02T08:05"),
        ("0 0 * * 0", "2026-11-21T12:00", "2026-11-22T00:00"),
        ("0 0 * * 7", "2026-11-21T12:00", "2026-11-22T00:00"),
        ("0 0 13 * 5", "2026-11-01T00:00", "2026-11-06T00:00"),
        ("0 0 13 * 5", "2026-11-06T00:00", "2026-11-13T00:00"),
        ("0 0 1 * 1", "2026-11-30T00:00", "2026-12-01T00:00"),
        ("0 0 */2 * 1", "2026-11-22T12:00", "2026-11-23T00:00"),
        ("0 0 */2 * 1", "2026-11-23T12:00", "2026-12-07T00:00"),
        ("0 0 31 * *", "2026-01-31T00:00", "2026-03-31T00:00"),
        ("0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00"),
        ("0 0 29 2 */7", "2088-03-01T00:00", "2128-02-29T00:00"),
        ("59 23 31 12 *", "2026-12-31T23:59", "2027-12-31T23:59"),
    ],
)
def test_the_next_minute(expression: str, after: str, following: str) -> None:
    at = local(after)
    found = parse(expression).following(at)
    assert found == local(following)
    assert found == oracle.following(expression, at)


@given(expressions(), MOMENTS)
def test_it_agrees_with_the_oracle(expression: str, after: datetime) -> None:
    assert parse(expression).following(after) == oracle.following(expression, after)


@given(forms())
def test_what_is_refused_would_never_come(expression: str) -> None:
    assert comes(expression) == (oracle.following(expression, local("2026-01-01")) is not None)


def test_no_two_days_of_one_expression_are_farther_apart_than_is_looked() -> None:
    """The rarest are a 29 February on one weekday; the calendar repeats after 400 years."""
    years = [year for year in range(2000, 2401) if year % 4 == 0 and (year % 100 or not year % 400)]
    apart = []
    for weekday in range(7):
        there = [year for year in years if date(year, 2, 29).weekday() == weekday]
        there.append(there[0] + 400)
        apart += [later - year for year, later in pairwise(there)]
    assert max(apart) == LONGEST_GAP_YEARS


def test_what_never_comes_is_looked_for_no_longer_than_that() -> None:
    never = Cron((0,), (0,), frozenset({31}), frozenset({2}), frozenset({1}), either=False)
    assert not never.is_possible()
    assert never.following(local("2026-01-01")) is None
    assert replace(never, either=True).is_possible()


def test_the_calendar_ends() -> None:
    daily = parse("@daily")
    assert daily.following(local("9998-12-31T01:00")) is None
    assert daily.following(local("9999-06-01")) is None
    assert daily.following(local("9998-12-30T01:00")) == local("9998-12-31")


def test_a_rare_one_is_found_by_months_and_not_by_days() -> None:
    """Not timed but counted: a day of each year's one month is looked at, and no other."""
    seen: list[date] = []

    class Counted(Cron):
        __slots__ = ()

        def matches(self, day: date) -> bool:
            seen.append(day)
            return Cron.matches(self, day)

    rare = parse("0 0 29 2 */7")
    counted = Counted(rare.minutes, rare.hours, rare.days, rare.months, rare.weekdays, rare.either)
    assert counted.following(local("2088-03-01")) == local("2128-02-29")
    assert len(seen) <= 29 * (LONGEST_GAP_YEARS + 1)
    assert max(seen) - min(seen) < timedelta(days=366 * LONGEST_GAP_YEARS)
