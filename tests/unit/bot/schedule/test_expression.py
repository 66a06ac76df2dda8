"""bot/schedule/expression.py: what people type, and what is refused with how to write it right."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.schedule import cron_text
from bot.schedule.expression import moment, read, written
from bot.schedule.slots import Every, Once, Rule
from nips.refusal import Malformed

BERLIN = ZoneInfo("Europe/Berlin")


def unix(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


NOW = unix("2026-10-23T12:00:00+02:00")
CHRISTMAS = Once(unix("2026-12-24T18:00+01:00"))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("0 16 * * 1-5", cron_text.parse("0 16 * * 1-5")),
        ("*/5 8-18 * * mon-fri", cron_text.parse("*/5 8-18 * * 1-5")),
        ("@daily", cron_text.parse("@daily")),
        ("1-5/2 * * * *", cron_text.parse("1,3,5 * * * *")),
        ("every 15m", Every(900_000, NOW + 900)),
        ("Every  1 hour", Every(3_600_000, NOW + 3_600)),
        ("every 90500ms", Every(90_500, NOW + 91)),
        ("every 366d", Every(366 * 86_400_000, NOW + 366 * 86_400)),
        ("in 20m", Once(NOW + 1_200)),
        ("in 30 seconds", Once(NOW + 30)),
        ("2026-12-24T18:00", CHRISTMAS),
        ("2026-12-24 18:00", CHRISTMAS),
        ("2026-12-24t18:00:00.000", CHRISTMAS),
        ("2026-12-24T17:00Z", CHRISTMAS),
        ("2026-12-24T17:00:00z", CHRISTMAS),
        ("2026-12-24 19:00 +02:00", CHRISTMAS),
        ("2026-12-24T12:00-0500", CHRISTMAS),
        ("2026-12-24T12:00-05", CHRISTMAS),
        # The clock passes over the one, and comes to the other twice.
        ("2027-03-28T02:30", Once(unix("2027-03-28T01:00Z"))),
        ("2026-10-25T02:30", Once(unix("2026-10-25T00:30Z"))),
    ],
)
def test_what_is_understood(text: str, rule: Rule) -> None:
    assert read(text, BERLIN, NOW) == rule


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "say when: 0 16 * * 1-5, @daily, every 15m"),
        ("tomorrow", "is no time: write 0 16 * * 1-5"),
        ("next week at noon please", "is no time: write"),
        ("16:00", "is no time: write"),
        ("5 minutes", "is no time: write"),
        ("every", "is no span of time: write 15m"),
        ("every monday", "is no span of time: write 0 9 * * mon for 9:00 on that weekday"),
        ("every Thursdays at 9", "write 0 9 * * thu"),
        ("every month", "is no span of time: write 15m"),
        ("every 59s", "every 59s is too often: every 1m is the least"),
        ("every 0m", "is too often"),
        ("every 500ms", "every 500ms is too often"),
        ("every 367d", "write a date, or cron fields"),
        ("in a while", "is no span of time: write 15m"),
        ("in 0m", "2026-10-23 12:00 has passed; it is now 2026-10-23 12:00 there"),
        ("in 5300w", "more than a hundred years ahead"),
        ("2026-10-23T12:00", "2026-10-23 12:00 has passed; it is now 2026-10-23 12:00 there"),
        ("2020-01-01T10:00Z", "2020-01-01 11:00 has passed"),
        ("2026-12-24", "does not say at what time: write 2026-12-24T18:00"),
        ("2026-02-31T10:00", "there is no '2026-02-31T10:00': write 2026-12-24T18:00"),
        ("2026-12-24T24:30", "there is no"),
        ("2026-12-24T18:00+25:00", "there is no"),
        ("24.12.2026 18:00", "is no date and time: write 2026-12-24T18:00"),
        ("12/24/2026 18:00", "is no date and time"),
        ("2026-12-24T18", "is no date and time"),
        ("2026-12-24T18:00 Europe/Berlin", "is no date and time"),
        ("2026-12-24T18:00:00.5", "is no date and time"),
        ("2128-01-01T10:00", "more than a hundred years ahead"),
        ("0001-01-01T00:00+05:00", "is in no year from 1970"),
        ("9999-12-31T23:59-05:00", "is in no year from 1970 to 2999"),
        ("0 0 31 2 *", "never comes"),
        ("@reboot", "is no time"),
        ("0 16 * *", "has 4"),
        ("* * *", "has 3"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(Malformed, match=re.escape(why)):
        read(text, BERLIN, NOW)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  0 16\t* * 1-5 ", "0 16 * * 1-5"), ("every 90 minutes", "every 1h30m"),
        ("2026-12-24T18:00", "2026-12-24T17:00:00Z"), ("in 20m", "2026-10-23T10:20:00Z"),
    ],
)  # fmt: skip
def test_how_it_is_written(text: str, shown: str) -> None:
    rule = read(text, BERLIN, NOW)
    assert written(rule, text) == shown
    assert read(shown, UTC, NOW) == rule


def test_a_moment_may_have_passed() -> None:
    assert moment("2020-01-01T10:00", UTC) == unix("2020-01-01T10:00Z")


@given(st.text() | st.from_regex(r"(every|in|2026)[-0-9 a-zT:+]{0,20}", fullmatch=True))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        rule = read(text, BERLIN, NOW)
    except Malformed as error:
        assert len(str(error)) < 500  # noqa: PT017 - or it is read
        return
    assert not isinstance(rule, Once) or rule.at_s > NOW
    assert not isinstance(rule, Every) or rule.first_s > NOW


def test_the_house_may_allow_shorter_intervals() -> None:
    assert read("every 2s", BERLIN, NOW, 2_000) == Every(2_000, NOW + 2)
    with pytest.raises(Malformed, match="every 1s is too often: every 2s is the least"):
        read("every 1s", BERLIN, NOW, 2_000)
