"""bot/schedule/cron_text.py: what is read, and what is refused with how to write it right."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.schedule.cron_text import MAX_CHARS, SHORT, parse
from nips.refusal import Malformed

ALL_DAYS, ALL_MONTHS = frozenset(range(1, 32)), frozenset(range(1, 13))
WEEK = frozenset(range(7))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("@yearly", "0 0 1 1 *"), ("@annually", "0 0 1 1 *"), ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * sun"), ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"), ("@Daily", "0 0 * * *"),
        ("  0\t9  * * MON-Fri ", "0 9 * * 1-5"), ("0 9 * JAN,jul *", "0 9 * 1,7 *"),
        ("00 09 01 01 *", "0 9 1 1 *"), ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * 5,6,0"),
        ("0 0 * * fri-sun", "0 0 * * 0,5,6"), ("0 0 * * sun-tue", "0 0 * * 0-2"),
        ("0 0 * * sun-sun", "0 0 * * 0"), ("0 0 * * 0-7", "0 0 * * 0-6"),
        ("*/20 * * * *", "0-59/20 * * * *"), ("*/1 * * * *", "* * * * *"),
        ("*/60 */24 * * *", "0 0 * * *"), ("10-20/5,3 * * * *", "3,10,15,20 * * * *"),
        ("0 0 * */3 *", "0 0 * 1,4,7,10 *"), ("*,5 * * * *", "* * * * *"),
    ],
)  # fmt: skip
def test_two_ways_to_write_it(text: str, same: str) -> None:
    assert parse(text) == parse(same)


def test_the_fields() -> None:
    cron = parse("*/30 9-11 1,15 mar-may sat")
    assert (cron.minutes, cron.hours) == ((0, 30), (9, 10, 11))
    assert cron.days == frozenset({1, 15})
    assert cron.months == frozenset({3, 4, 5})
    assert cron.weekdays == frozenset({6})


@pytest.mark.parametrize(
    ("text", "either"),
    [
        ("0 0 * * *", False), ("0 0 1 * *", False), ("0 0 * * 1", False), ("0 0 1 * 1", True),
        ("0 0 */2 * 1", False), ("0 0 1 * */2", False), ("0 0 1-31 * 1", True),
        ("0 0 *,5 * 1", False), ("0 0 5,* * 1", True),
    ],
)  # fmt: skip
def test_days_and_weekdays_are_alternatives_where_both_are_restricted(
    text: str, either: bool
) -> None:
    """crontab(5): restricted is a field that does not begin with `*`."""
    assert parse(text).either is either


# What is wrong, a part of what is said, and what is to be written instead, which is taken.
@pytest.mark.parametrize(
    ("text", "why", "instead"),
    [
        ("0 0 31 2 *", "never comes", "0 0 28 2 *"),
        ("0 0 30,31 feb *", "no such month has a day 30", "0 0 28 feb *"),
        ("0 0 31 4,6,9,11 *", "never comes", "0 0 28 4,6,9,11 *"),
        ("0 0 31 2 */7", "never comes", None),
        ("*/90 * * * *", "write every 90m", None),
        ("0 */48 * * *", "write every 48h", None),
        ("0 0 */45 * *", "write every 45d", None),
        ("0 0 1 */13 *", "never comes to a second value", None),
        ("*/0 * * * *", "write */1, or *", "*/1 * * * *"),
        ("0 22-2 * * *", "write 22-23,0-2", "0 22-23,0-2 * * *"),
        ("0 22-0 * * *", "write 22-23,0", "0 22-23,0 * * *"),
        ("0 0 * * fri-mon", "write fri-7,0-mon", "0 0 * * fri-7,0-mon"),
        ("0 0 * * 6-0", "write 6-7,0", "0 0 * * 6-7,0"),
        ("0 0 * nov-feb *", "write nov-12,1-feb", "0 0 * nov-12,1-feb *"),
        ("5/15 * * * *", "write 5-59/15", "5-59/15 * * * *"),
        ("*-5 * * * *", "write * alone", "* * * * *"),
        ("60 * * * *", "'60' is none of 0 to 59", None),
        ("0 24 * * *", "'24' is none of 0 to 23", None),
        ("0 0 0 * *", "'0' is none of 1 to 31", None),
        ("0 0 32 * *", "the day field", None),
        ("0 0 * 0 *", "the month field", None),
        ("0 0 * 13 *", "or a name such as jan", None),
        ("0 0 * * 8", "or a name such as sun", None),
        ("0 0 * * monday", "or a name such as sun", None),
        ("mon 0 * * *", "the minute field", None),
        ("0 0 * * jan", "the weekday field", None),
        ("-5 * * * *", "is no value, range or step", None),
        ("1--5 * * * *", "is no value, range or step", None),
        ("1,,5 * * * *", "is no value, range or step: write *, 1, 1-5 or */2", "1 * * * *"),
        ("1, 5 * * *", "is no value, range or step", None),
        ("0 0 L * *", "the day field", None),
        ("0 0 ? * *", "is no value, range or step", None),
        ("0 0 15W * *", "the day field", None),
        ("0 0 * * 1#2", "the weekday field", None),
        ("٣ * * * *", "is no value", None),
        ("0 16 * *", "has 4", "0 16 * * 1-5"),
        ("0 0 16 * * 1-5", "none for seconds", "0 16 * * 1-5"),
        ("0 0 0 16 * * 2026", "none for seconds or years", "0 16 * * 1-5"),
        ("", "five fields", "0 16 * * 1-5"),
        ("@reboot", "is no time", "@daily"),
        ("@every 5m", "every 15m", None),
        ("@fortnightly", "none of @yearly", "@weekly"),
        ("1" * (MAX_CHARS + 1), "at most 200 characters", None),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, why: str, instead: str | None) -> None:
    with pytest.raises(Malformed, match=re.escape(why)):
        parse(text)
    if instead is not None:
        parse(instead)


def test_the_short_forms_are_ones() -> None:
    assert all(parse(name) == parse(long) for name, long in SHORT.items())


@given(st.text() | st.from_regex(r"[0-9*/,a-z@-]{0,9}( [0-9*/,a-z-]{0,9}){0,6}", fullmatch=True))
def test_anything_is_read_or_refused(text: str) -> None:
    """Attack: an expression that is no expression, from whoever may publish a calendar event."""
    try:
        cron = parse(text)
    except Malformed as error:
        assert len(str(error)) < 400  # noqa: PT017 - or it is read
        return
    assert cron.minutes
    assert set(cron.minutes) <= set(range(60))
    assert set(cron.hours) <= set(range(24))
    assert cron.days <= ALL_DAYS
    assert cron.months <= ALL_MONTHS
    assert cron.weekdays <= WEEK
    assert list(cron.minutes) == sorted(set(cron.minutes))
