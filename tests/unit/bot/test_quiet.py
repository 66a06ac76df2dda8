"""Quiet hours against an oracle that looks at the clock every minute; the changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.quiet import ends_at_s
from nips.own.binding import Quiet

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe",
    "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia", "America/Santiago", "Asia/Gaza",
]  # fmt: skip


def unix(text: str, zone: tzinfo = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def shown(zone: tzinfo, at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC).astimezone(zone):%H:%M}"


def oracle(quiet: Quiet, zone: tzinfo, now_s: int) -> int | None:
    """The rule as it is written: look at the clock on the wall, minute after minute."""

    def is_quiet(at_s: int) -> bool:
        time = shown(zone, at_s)
        if quiet.start < quiet.end:
            return quiet.start <= time < quiet.end
        return time >= quiet.start or time < quiet.end

    if not is_quiet(now_s):
        return None
    at_s = now_s - now_s % 60
    while is_quiet(at_s):
        at_s += 60
    return at_s


@pytest.mark.parametrize(
    ("start", "end", "now", "until"),
    [
        ("22:00", "07:00", "2026-11-22T21:59:59", None),
        ("22:00", "07:00", "2026-11-22T22:00:00", "2026-11-23T07:00:00"),
        ("22:00", "07:00", "2026-11-23T00:00:00", "2026-11-23T07:00:00"),
        ("22:00", "07:00", "2026-11-23T06:59:59", "2026-11-23T07:00:00"),
        ("22:00", "07:00", "2026-11-23T07:00:00", None),
        ("13:00", "15:00", "2026-11-23T12:59:59", None),
        ("13:00", "15:00", "2026-11-23T14:30:15", "2026-11-23T15:00:00"),
        ("13:00", "15:00", "2026-11-23T15:00:00", None),
        ("00:00", "23:59", "2026-11-23T12:00:00", "2026-11-23T23:59:00"),
    ],
)
def test_the_hours(start: str, end: str, now: str, until: str | None) -> None:
    found = ends_at_s(Quiet(start, end, "Europe/Berlin"), BERLIN, unix(now))
    assert found == (None if until is None else unix(until))


def test_a_night_in_which_the_clocks_change() -> None:
    night = Quiet("22:00", "07:00", "Europe/Berlin")
    spring, autumn = unix("2026-03-28T23:00"), unix("2026-10-24T23:00")
    assert ends_at_s(night, BERLIN, spring) == unix("2026-03-29T07:00") == spring + 7 * 3600
    assert ends_at_s(night, BERLIN, autumn) == unix("2026-10-25T07:00") == autumn + 9 * 3600


def test_an_end_that_the_clock_jumps_over_is_the_jump() -> None:
    """02:30 is not shown on 2026-03-29: at 02:00 the clock shows 03:00."""
    found = ends_at_s(Quiet("22:00", "02:30", "Europe/Berlin"), BERLIN, unix("2026-03-29T01:10"))
    assert found == unix("2026-03-29T03:00")


def test_a_time_that_comes_twice_is_quiet_twice() -> None:
    """On 2026-10-25 the clock shows 03:00, then 02:00 again."""
    night = Quiet("22:00", "02:30", "Europe/Berlin")
    first = unix("2026-10-25T02:30")
    assert ends_at_s(night, BERLIN, unix("2026-10-25T01:00")) == first
    assert ends_at_s(night, BERLIN, first) is None
    again = first + 45 * 60  # 02:15, the second time
    assert shown(BERLIN, again) == "02:15"
    assert ends_at_s(night, BERLIN, again) == first + 3600


times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
nights = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1])
AROUND_CHANGES = [
    unix(day, ZoneInfo("UTC"))
    for day in ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01",
                "2027-02-07", "2027-03-14")
]  # fmt: skip


@given(
    nights,
    st.sampled_from(ZONES),
    st.integers(unix("2026-01-01"), unix("2027-12-31"))
    | st.builds(
        lambda day, s: day + s, st.sampled_from(AROUND_CHANGES), st.integers(-86400, 172800)
    ),
)
def test_it_agrees_with_the_clock_on_the_wall(
    night: tuple[str, str], name: str, now_s: int
) -> None:
    quiet, zone = Quiet(*night, name), ZoneInfo(name)
    found = ends_at_s(quiet, zone, now_s)
    assert found == oracle(quiet, zone, now_s)
    if found is not None:
        assert ends_at_s(quiet, zone, found) is None
        assert timedelta(0) < timedelta(seconds=found - now_s) <= timedelta(hours=26)
