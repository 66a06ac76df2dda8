"""NIP-01 filters against a naive reading of the NIP, and what is no filter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from nips.event import Event
from nips.filter import MAX_VALUES, Filter
from nips.refusal import Malformed

# Few values, so that filters and events meet often.
IDS = [f"{n:064x}" for n in range(3)]
KEYS = [f"{n:064x}" for n in range(10, 13)]
KINDS = [0, 1, 9, 30078]
VALUES = ["a", "b", "", IDS[0]]
NAMES = ["e", "p", "h", "E", "title"]

events = st.builds(
    Event,
    id=st.sampled_from(IDS),
    pubkey=st.sampled_from(KEYS),
    created_at=st.integers(0, 6),
    kind=st.sampled_from(KINDS),
    tags=st.lists(
        st.builds(
            lambda name, values: (name, *values),
            st.sampled_from(NAMES),
            st.lists(st.sampled_from(VALUES), max_size=2),
        ),
        max_size=4,
    ).map(tuple),
    content=st.just(""),
    sig=st.just("0" * 128),
)


def some(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), max_size=3)


filters = st.fixed_dictionaries(
    {},
    optional={
        "ids": some(IDS),
        "authors": some(KEYS),
        "kinds": some(KINDS),
        "#e": some(VALUES),
        "#E": some(VALUES),
        "#h": some(VALUES),
        "since": st.integers(0, 6),
        "until": st.integers(0, 6),
        "limit": st.integers(0, 3),
    },
)


def naive(given: dict[str, Any], event: Event) -> bool:
    """The NIP's sentences one after the other, over the JSON as it came."""
    for name, wanted in given.items():
        if name == "ids" and event.id not in wanted:
            return False
        if name == "authors" and event.pubkey not in wanted:
            return False
        if name == "kinds" and event.kind not in wanted:
            return False
        if name == "since" and not wanted <= event.created_at:
            return False
        if name == "until" and not event.created_at <= wanted:
            return False
        if name[0] == "#":
            found = False
            for tag in event.tags:
                if tag[0] == name[1:] and tag[1:2] and tag[1] in wanted:
                    found = True
            if not found:
                return False
    return True


@settings(max_examples=3_000)
@given(given_json=filters, event=events)
def test_matches_as_the_naive_reading_does(given_json: dict[str, Any], event: Event) -> None:
    expected = naive(given_json, event)
    note(f"matches: {expected}")
    assert Filter.from_json(given_json).matches(event) is expected


def test_both_outcomes_are_met() -> None:
    event = Event(IDS[0], KEYS[0], 3, 9, (("h", "a"),), "", "0" * 128)
    assert Filter.from_json({"#h": ["a", "b"], "kinds": [9], "since": 3, "until": 3}).matches(event)
    assert not Filter.from_json({"#h": ["b"]}).matches(event)


@given(given_json=filters)
def test_json_round_trip(given_json: dict[str, Any]) -> None:
    read = Filter.from_json(given_json)
    assert Filter.from_json(read.to_json()) == read


def test_search_and_after_seq_survive_but_are_no_condition() -> None:
    read = Filter.from_json({"search": "x", "after_seq": 4, "limit": 0})
    assert read.to_json() == {"limit": 0, "search": "x", "after_seq": 4}
    assert read.matches(Event(IDS[0], KEYS[0], 3, 9, (), "", "0" * 128))


def test_a_template_matches_by_its_recomputed_id() -> None:
    template = Event(IDS[0], KEYS[0], 3, 9, (), "", "0" * 128).template
    assert Filter(ids=frozenset({template.id})).matches(template)
    assert not Filter(ids=frozenset({IDS[0]})).matches(template)


@pytest.mark.parametrize(
    "given_json",
    [
        None,
        [],
        {"ids": ["ab"]},
        {"ids": ["A" * 64]},
        {"ids": None},
        {"authors": "x"},
        {"kinds": [True]},
        {"kinds": [65_536]},
        {"kinds": ["1"]},
        {"since": -1},
        {"since": 1.5},
        {"until": True},
        {"limit": 2**63},
        {"search": 1},
        {"#e": [1]},
        {"#e": "x"},
        {"#ee": []},
        {"#é": []},
        {"#1": []},
        {"#": []},
        {"authors_not": []},
        {"": []},
        {"kinds": [1] * (MAX_VALUES + 1)},
    ],
)
def test_what_is_no_filter(given_json: object) -> None:
    """An unknown field is a restriction we would pass over: it would serve more than asked."""
    with pytest.raises(Malformed):
        Filter.from_json(given_json)
