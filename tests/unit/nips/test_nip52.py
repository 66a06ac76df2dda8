"""NIP-52's calendar events with a time of day, as far as they are used here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips import nip52
from nips.event import Tags, Template
from nips.nip52 import CalendarEvent, days, parse, tags
from nips.refusal import Malformed

AUTHOR = "0a" * 32


def event(*given: tuple[str, ...], text: str = "x", kind: int = 31_923) -> Template:
    return Template(AUTHOR, 7, kind, tuple(given), text)


def test_the_form_of_the_nip() -> None:
    party = CalendarEvent("id", "Party", 1_767_290_400, "Bring cake", "America/Costa_Rica")
    expected: Tags = (
        ("d", "id"), ("title", "Party"), ("start", "1767290400"), ("D", "20454"),
        ("start_tzid", "America/Costa_Rica"),
    )  # fmt: skip
    assert tags(party) == expected
    assert parse(event(*expected, text="Bring cake")) == party


def test_one_that_takes_time_has_a_tag_for_each_of_its_days() -> None:
    trip = CalendarEvent("id", "Trip", 86_399, "", None, 2 * 86_400)
    made = tags(trip)
    assert made == (
        ("d", "id"), ("title", "Trip"), ("start", "86399"), ("end", "172800"), ("D", "0"),
        ("D", "1"),
    )  # fmt: skip
    assert parse(event(*made, text="")) == trip
    assert list(days(86_399, 172_801)) == [0, 1, 2]
    assert list(days(86_400)) == [1]


@given(st.integers(0, 99_999_999_999), st.none() | st.integers(1, 86_400 * 300))
def test_round_trip(start_s: int, length_s: int | None) -> None:
    end_s = None if length_s is None else start_s + length_s
    if end_s is not None and end_s > 99_999_999_999:
        end_s = None
    made = CalendarEvent("d", "t", start_s, "c", "UTC", end_s)
    assert parse(event(*tags(made), text="c")) == made


def test_somebody_elses_may_lack_what_is_not_needed() -> None:
    assert parse(event(("d", ""), ("start", "5"))) == CalendarEvent("", "", 5, "x")
    assert parse(event(("d", "x"), ("start", "5"), ("name", "old"))).title == "old"
    assert (
        parse(event(("d", "x"), ("start", "5"), ("name", "old"), ("title", "new"))).title == "new"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        event(("start", "5")),
        event(("d", "x")),
        event(("d", "x"), ("start", "2026-12-24")),
        event(("d", "x"), ("start", "-5")),
        event(("d", "x"), ("start", "1" * 12)),
        event(("d", "x"), ("start", "٣")),
        event(("d", "x"), ("start", "5"), ("end", "5")),
        event(("d", "x"), ("start", "5"), ("end", "4")),
        event(("d", "x"), ("start", "5"), ("end", "late")),
        event(("d", "x"), ("start", "5"), kind=31_922),
    ],
)
def test_what_is_none(wrong: Template) -> None:
    with pytest.raises(Malformed):
        parse(wrong)


@pytest.mark.parametrize("end_s", [5, 4, 5 + 86_400 * (nip52.MAX_DAYS + 1)])
def test_what_has_no_such_form(end_s: int) -> None:
    with pytest.raises(Malformed):
        tags(CalendarEvent("d", "t", 5, "", None, end_s))
