"""nips/own/watch.py: filters that set tasks off, and what never does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.nip19 import encode_npub
from nips.own.watch import MAX_AHEAD_S, People, Watch, may_watch, parse, sets_off
from nips.refusal import Malformed

ANN, BOT, OWNER, ROUTER = (SecretKey(bytes([n]) * 32) for n in range(1, 5))
GROUP = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER = "1f8fad5b-d9cb-469f-a165-70867728950e"
PEOPLE = People(BOT.public, frozenset({OWNER.public}), frozenset({ANN.public}))
NOW = 1_767_225_600
OWN = frozenset({BOT.public, ROUTER.public})


def said(value: object) -> str:
    return json.dumps(value)


@pytest.mark.parametrize(
    ("given", "watch"),
    [
        ({"kinds": [1], "#p": ["bot"]}, Watch(frozenset({1}), None, {"p": frozenset({"bot"})})),
        (
            {"kinds": [30_023, 1], "authors": ["followed", ANN.public]},
            Watch(frozenset({1, 30_023}), frozenset({"followed", ANN.public})),
        ),
        (
            {"kinds": [7], "authors": [encode_npub(ANN.public)]},
            Watch(frozenset({7}), frozenset({ANN.public})),
        ),
        ({"kinds": [9], "#h": ["here"]}, Watch(frozenset({9}), here=True)),
        ({"kinds": [9], "#h": [GROUP]}, Watch(frozenset({9}), here=True)),
        (
            {"kinds": [9], "#h": ["here"], "#t": ["ü"]},
            Watch(frozenset({9}), None, {"t": frozenset({"ü"})}, here=True),
        ),
    ],
)
def test_what_is_watched_for(given: object, watch: Watch) -> None:
    assert parse(said(given), GROUP) == watch
    assert parse(watch.written(), GROUP) == watch, "a task's tag is read as it was written"


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "as a filter in JSON"),
        ("a mention", "as a filter in JSON"),
        ("[1]", "as a filter in JSON"),
        ("{}", "as a filter in JSON"),
        ("[" * 100_000, "as a filter in JSON"),
        (said({"authors": [ANN.public]}), "say which kinds"),
        (said({"kinds": []}), "say which kinds"),
        (said({"kinds": list(range(21)), "#h": ["here"]}), "1 to 20 numbers"),
        (said({"kinds": ["1"], "#h": ["here"]}), "a kind is a number"),
        (said({"kinds": [True], "#h": ["here"]}), "a kind is a number"),
        (said({"kinds": [65_536], "#h": ["here"]}), "a kind is a number"),
        (said({"kinds": [1]}), "more than anybody can read"),
        (said({"kinds": [1], "#d": ["x"]}), "more than anybody can read"),
        (said({"kinds": [1], "since": 5, "#p": ["bot"]}), "has no 'since'"),
        (said({"kinds": [1], "limit": 5, "#p": ["bot"]}), "has no 'limit'"),
        (said({"kinds": [1], "ids": [ANN.public]}), "has no 'ids'"),
        (said({"kinds": [1], "#P": ["bot"]}), "has no '#P'"),
        (said({"kinds": [1], "#p": []}), "#p has 1 to 100 values"),
        (said({"kinds": [1], "#t": ["x"] * 101}), "#t has 1 to 100 values"),
        (said({"kinds": [1], "#t": [5]}), "a value of #t is a text"),
        (said({"kinds": [1], "#t": ["x" * 256]}), "of 1 to 255 characters"),
        (said({"kinds": [1], "#t": [""]}), "of 1 to 255 characters"),
        (said({"kinds": [1], "#p": ["ann"]}), "#p has npubs, keys in hex, or the words"),
        (said({"kinds": [1], "authors": ["npub1xyz"]}), "authors has npubs"),
        (said({"kinds": [1], "#t": [f"{n:0>60}" for n in range(40)]}), "has 2000 characters"),
        (said({"kinds": [1], "#t": ["a\nb\u202e"]}), "characters"),
        # Attack: a task that reads along in another group.
        (said({"kinds": [9], "#h": [OTHER]}), "its own conversation only"),
        (said({"kinds": [9], "#h": ["here", OTHER]}), "its own conversation only"),
        # Attack: mail, logins, the house's own books.
        *((said({"kinds": [kind], "#p": ["bot"]}), f"events of kind {kind} set no task off")
          for kind in (4, 13, 14, 1_059, 9_009, 9_021, 20_002, 22_242, 24_133, 30_078, 39_002,
                       43_001, 43_003, 44_200, 46_010)),
    ],
)  # fmt: skip
def test_what_is_no_filter_for_it(expression: str, why: str) -> None:
    with pytest.raises(Malformed, match=re.escape(why)):
        parse(expression, GROUP)


def test_the_words_mean_people() -> None:
    watch = parse(said({"kinds": [1], "authors": ["followed", "owner"], "#p": ["bot"]}), GROUP)
    assert watch.needs_followed
    assert watch.filter(PEOPLE, GROUP) == Filter(
        kinds=frozenset({1}), authors=frozenset({ANN.public, OWNER.public}),
        tags={"p": frozenset({BOT.public})},
    )  # fmt: skip
    nobody = parse(said({"kinds": [1], "authors": ["followed"]}), GROUP)
    assert nobody.filter(replace(PEOPLE, followed=frozenset()), GROUP) is None
    assert nobody.filter(PEOPLE, GROUP) is not None
    here = parse(said({"kinds": [9], "#h": ["here"]}), GROUP).filter(PEOPLE, GROUP)
    assert here == Filter(kinds=frozenset({9}), tags={"h": frozenset({GROUP})})


def test_public_relays_are_watched_for_main_alone() -> None:
    public, here = Watch(frozenset({1}), frozenset({"owner"})), Watch(frozenset({9}), here=True)
    assert may_watch(public, GROUP, GROUP)
    assert may_watch(here, OTHER, GROUP)
    assert not may_watch(public, OTHER, GROUP)


def note(*tags: Tag, by: SecretKey = ANN, at: int = NOW, kind: int = 1, text: str = "hi") -> Event:
    tags = tags or (("p", BOT.public),)
    return Template(by.public, at, kind, tags, text).sign(by, bytes(32))


MENTION = Filter(kinds=frozenset({1}), tags={"p": frozenset({BOT.public})})


@pytest.mark.parametrize(
    ("event", "does"),
    [
        (note(), True),
        (note(at=NOW - 60), True),
        (note(at=NOW + MAX_AHEAD_S), True),
        (note(("p", OWNER.public)), False),
        (note(kind=7), False),
        # Older than the task; of next year.
        (note(at=NOW - 61), False),
        (note(at=NOW + MAX_AHEAD_S + 1), False),
        # Attack: what a run says sets off the next one.
        (note(by=BOT), False),
        (note(by=ROUTER), False),
        # Attack: two assistants that set off each other.
        (note(("p", BOT.public), ("L", "agent"), ("l", "ai", "agent")), False),
        # Attack: a megabyte for every run.
        (note(text="x" * 65_537), False),
        (note(("p", BOT.public), ("x", *[""] * 130_000)), False),
        (note(text="\x01" * 65_000), False),
        (note(text="\n" * 60_000), True),
    ],
)
def test_what_sets_a_task_off(event: Event, does: bool) -> None:
    assert sets_off(MENTION, event, OWN, NOW - 60, NOW) is does


NAMES = st.sampled_from(["kinds", "authors", "#p", "#h", "#t", "#e", "limit", "", "#"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(NAMES, one, max_size=2),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, VALUES))
def test_whatever_somebody_writes(value: Mapping[str, object]) -> None:
    try:
        watch = parse(said(value), GROUP)
    except Malformed as error:
        assert len(str(error)) < 400  # noqa: PT017 - or it is read
    else:
        assert parse(watch.written(), GROUP) == watch
