"""bot/schedule/duration.py: spans as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.schedule.duration import parse_ms, written
from nips.refusal import Malformed


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("15m", 900_000), ("1h30m", 5_400_000), ("1h 30m", 5_400_000), ("1 h, 30 min", 5_400_000),
        ("90s", 90_000), ("90 seconds", 90_000), ("2 days", 172_800_000), ("1 Week", 604_800_000),
        ("hour", 3_600_000), ("day", 86_400_000), ("500ms", 500), ("90500 ms", 90_500),
        ("1 hr", 3_600_000), ("5 mins", 300_000), ("0m", 0), ("1m1m30s"[2:], 90_000),
    ],
)  # fmt: skip
def test_what_is_understood(text: str, ms: int) -> None:
    assert parse_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    ["", "15", "m15", "-5m", "1.5h", "5 months", "1 year", "15m later", "1m 1m", "1h and 5m", "٣m",
     "1" * 13 + "m", "hours and hours", "every 5m"],
)  # fmt: skip
def test_what_is_not(text: str) -> None:
    with pytest.raises(Malformed, match="write 15m, 1h30m, 90s or 2d"):
        parse_ms(text)


@given(st.integers(0, 10**13))
def test_what_is_written_is_read(ms: int) -> None:
    assert parse_ms(written(ms)) == ms


@given(st.text())
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        assert parse_ms(text) >= 0
    except Malformed as error:
        assert len(str(error)) < 400  # noqa: PT017 - or it is read
