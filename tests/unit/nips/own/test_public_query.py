"""nips/own/public_query.py: what is asked for, what counts as an answer, what is passed on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.own.public_query import (
    MAX_ANSWER_CHARS,
    MAX_CONTENT_CHARS,
    MAX_EVENT_BYTES,
    answers,
    checked,
    is_private,
    shown,
)
from nips.refusal import Malformed

KEY = SecretKey(bytes([7]) * 32)


def note(text: str, *tags: tuple[str, ...], kind: int = 1, at: int = 100) -> Event:
    return Template(KEY.public, at, kind, tags, text).sign(KEY, bytes(32))


def wanted(**fields: Any) -> Filter:
    return checked(Filter.from_json(fields))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"limit": 3},
        {"since": 1, "until": 2},
        {"kinds": []},
        {"kinds": [1, 4]},
        {"kinds": [13]},
        {"kinds": [14]},
        {"kinds": [1059]},
        {"kinds": [22242]},
        {"kinds": [24133]},
        {"kinds": [23194]},
        {"kinds": list(range(21))},
        {"#p": [KEY.public]},
        {"kinds": [1], "#e": ["ab" * 32]},
        {"kinds": [1], "after_seq": 0},
        {"kinds": [1], "limit": 0},
        {"kinds": [1], "limit": 51},
        {"search": "x" * 201},
        {"#t": ["x" * 65]},
        {"#d": []},
        {"#d": ["x" * 256]},
        {"#d": [str(number) for number in range(21)]},
    ],
)
def test_what_is_not_asked(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        wanted(**fields)


def test_what_is_asked_has_a_limit() -> None:
    assert wanted(kinds=[1]).limit == 20
    assert wanted(search="herons", limit=50).limit == 50
    assert wanted(**{"#d": ["my-trip", ""]}).tags == {"d": frozenset({"my-trip", ""})}
    assert wanted(**{"#t": ["birds"]}).tags == {"t": frozenset({"birds"})}


@given(st.integers(0, 65_535))
def test_no_private_kind_is_an_answer(kind: int) -> None:
    event = note("x", kind=kind)
    assert answers(wanted(ids=[event.id]), event) is not is_private(kind)
    assert is_private(kind) or not {kind} & {4, 13, 14, 1059, 22_242, 24_133}


def test_an_answer_holds_the_words_in_its_text_or_its_tags() -> None:
    query = wanted(search="grey heron")
    assert answers(query, note("A heron, Grey"))
    assert answers(query, note("x", ("title", "The grey heron"), kind=30_023))
    assert not answers(query, note("a grey cat"))
    assert not answers(wanted(kinds=[1]), note("x" * (MAX_EVENT_BYTES + 1)))


def test_long_ones_are_cut_and_the_whole_has_an_end() -> None:
    (one,), n_left_out = shown([note("x" * 20_000, *[("t", str(n)) for n in range(99)])])
    assert (len(one["content"]), len(one["tags"]), one["cut"], n_left_out) == (
        MAX_CONTENT_CHARS, 40, True, 0,
    )  # fmt: skip
    assert one["tags_left_out"] == 59
    (one,), _ = shown([note("x", ("p", "y" * 2_000), ("t", "z"))])
    assert (one["tags"], one["tags_left_out"]) == ([["t", "z"]], 1)
    many = [note("y" * 7_000, at=number) for number in range(20)]
    some, n_left_out = shown(many)
    assert len(some) + n_left_out == 20
    assert n_left_out > 0
    assert len(json.dumps(some)) < MAX_ANSWER_CHARS
    assert [one["created_at"] for one in some] == list(range(19, 19 - len(some), -1))
