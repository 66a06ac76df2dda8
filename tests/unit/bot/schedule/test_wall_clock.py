"""bot/schedule/wall_clock.py: the rule for the clock's changes, by table and against the oracle."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.schedule.wall_clock import comes_twice, is_passed_over, reached, shown
from tests.unit.bot.schedule import oracle

ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe",
    "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia", "America/Santiago", "Asia/Gaza",
    "Antarctica/Troll", "Pacific/Chatham",
]  # fmt: skip


def unix(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("zone", "local", "utc", "passed_over", "twice"),
    [
        ("UTC", "2026-03-29T02:30", "2026-03-29T02:30", False, False),
        ("Europe/Berlin", "2026-01-01T00:00", "2025-12-31T23:00", False, False),
        # At 02:00 the clock is put forward to 03:00.
        ("Europe/Berlin", "2026-03-29T01:59", "2026-03-29T00:59", False, False),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00", True, False),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00", True, False),
        ("Europe/Berlin", "2026-03-29T02:59", "2026-03-29T01:00", True, False),
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00", False, False),
        # At 03:00 it is put back to 02:00.
        ("Europe/Berlin", "2026-10-25T01:59", "2026-10-24T23:59", False, False),
        ("Europe/Berlin", "2026-10-25T02:00", "2026-10-25T00:00", False, True),
        ("Europe/Berlin", "2026-10-25T02:59", "2026-10-25T00:59", False, True),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00", False, False),
        # By half an hour, and around midnight.
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30", True, False),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45", False, True),
        ("America/Santiago", "2026-09-06T00:30", "2026-09-06T04:00", True, False),
        # By two hours.
        ("Antarctica/Troll", "2026-03-29T02:30", "2026-03-29T01:00", True, False),
        # A day that Samoa never had.
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00", True, False),
        # A clock that was put forward by 44 minutes and 30 seconds.
        ("Africa/Monrovia", "1972-01-07T00:30", "1972-01-07T00:44:30", True, False),
    ],
)  # fmt: skip
def test_when_the_clock_comes_to_a_time(
    zone: str, local: str, utc: str, passed_over: bool, twice: bool
) -> None:
    where, time = ZoneInfo(zone), datetime.fromisoformat(local)
    assert reached(where, time) == unix(utc)
    assert is_passed_over(where, time) is passed_over
    assert comes_twice(where, time) is twice


@given(
    st.sampled_from(ZONES).map(ZoneInfo),
    st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-12-31")).map(
        lambda time: time.replace(microsecond=0)
    ),
)
def test_it_is_the_first_second_by_which_the_clock_has_come_to_it(
    zone: tzinfo, local: datetime
) -> None:
    at_s = reached(zone, local)
    assert shown(zone, at_s) >= local
    # None before it shows as much: not the second before, and no minute of the last two days.
    assert all(
        oracle.local_at(zone, earlier_s) < local
        for earlier_s in (at_s - 1, *range(at_s - 60, at_s - 2 * 86_400, -600))
    )


def test_beyond_the_calendar_there_is_no_time() -> None:
    with pytest.raises(OverflowError):
        reached(ZoneInfo("Asia/Tokyo"), datetime.fromisoformat("0001-01-01"))
    with pytest.raises(OverflowError):
        shown(ZoneInfo("UTC"), 10**12)
