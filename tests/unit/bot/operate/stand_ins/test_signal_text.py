"""bot/operate/stand_ins/signal_text.py; tests/signal has the table, asked of the service."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.operate.stand_ins.signal_text import styled, utf16_units

TEXT = st.text(alphabet="ab *~|`\\😀", max_size=40)


@given(TEXT)
def test_every_range_lies_in_the_text(text: str) -> None:
    made = styled(text)
    for written in made.ranges:
        start, length, _ = written.split(":")
        assert 0 <= int(start) <= int(start) + int(length) <= utf16_units(made.text)


@given(TEXT)
def test_words_are_never_touched(text: str) -> None:
    kept = [sign for sign in styled(text).text if sign in "ab 😀"]
    assert kept == [sign for sign in text if sign in "ab 😀"]


@given(TEXT)
def test_what_is_escaped_whole_stays_as_it_was(text: str) -> None:
    # A backslash cannot be escaped, so a text with one cannot be kept.
    plain = text.replace("\\", "")
    escaped = "".join(f"\\{sign}" if sign in "*~|`" else sign for sign in plain)
    assert styled(escaped).text == plain
    assert styled(escaped).ranges == ()
