"""bot/schedule/preview.py: the next runs, with what the clock does at that time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.schedule.cron_text import parse
from bot.schedule.preview import Showing, upcoming
from bot.schedule.slots import Every, Once

BERLIN = ZoneInfo("Europe/Berlin")


def unix(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def notes(expression: str, day: str) -> list[tuple[str, str]]:
    found = upcoming(parse(expression), BERLIN, unix(f"{day}T00:00+01:00"), 4)
    return [(f"{one.local:%d %H:%M %Z}", one.note) for one in found]


def test_ten_on_weekdays() -> None:
    after_s = unix("2026-10-23T12:00+02:00")
    found = upcoming(parse("0 16 * * 1-5"), BERLIN, after_s)
    assert len(found) == 10
    assert [f"{one.local:%a %d %H:%M %Z}" for one in found[:2]] == [
        "Fri 23 16:00 CEST", "Mon 26 16:00 CET",
    ]  # fmt: skip
    assert found[1].utc == datetime(2026, 10, 26, 15, tzinfo=UTC)
    assert found[0].to_json(after_s) == {
        "at": unix("2026-10-23T16:00+02:00"),
        "weekday": "Friday",
        "local": "2026-10-23T16:00:00+02:00",
        "utc": "2026-10-23T14:00:00Z",
        "in_s": 14_400,
        "note": "",
    }


@pytest.mark.parametrize(
    ("expression", "day", "expected"),
    [
        ("30 2 * * *", "2026-03-28",
         [("28 02:30 CET", ""), ("29 03:00 CEST", "the clock passes over 02:30"),
          ("30 02:30 CEST", ""), ("31 02:30 CEST", "")]),
        ("0,30 2-3 29 3 *", "2026-03-28",
         [("29 03:00 CEST", "the clock passes over 02:00"), ("29 03:30 CEST", ""),
          ("29 02:00 CEST", ""), ("29 02:30 CEST", "")]),
        ("30 2 * * *", "2026-10-24",
         [("24 02:30 CEST", ""), ("25 02:30 CEST", "02:30 comes twice: the first"),
          ("26 02:30 CET", ""), ("27 02:30 CET", "")]),
    ],
)  # fmt: skip
def test_what_the_clock_does(expression: str, day: str, expected: list[tuple[str, str]]) -> None:
    assert notes(expression, day) == expected


def test_what_comes_seldom_or_once() -> None:
    assert upcoming(Once(50), UTC, 10) == [Showing(50, datetime.fromtimestamp(50, UTC), "")]
    assert upcoming(Once(50), UTC, 50) == []
    assert [one.at_s for one in upcoming(Every(60_000, 70), UTC, 10, 3)] == [70, 130, 190]
