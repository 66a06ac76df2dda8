"""nips/own/question.py and nips/own/deed.py: round trips, and what is none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nips.own import deed as deeds
from nips.own.binding import Binding, Budget, Quiet
from nips.own.deed import Bind, Change, Deed, Hear, Register, Rename, Unbind
from nips.own.question import OPEN_S, Question, State, parse, template
from nips.refusal import Malformed

ROUTER = "0a" * 32
GROUP = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4"
PERSON = "nostr:" + "0b" * 32
DEEDS: tuple[Deed, ...] = (
    Register("Family", (PERSON,), None),
    Register("Friends"),
    Change(GROUP, {"trigger": None, "agents": True, "budget": {"runs": 5}}),
    Rename(GROUP, "Friends"),
    Bind(GROUP, PERSON),
    Unbind(GROUP, PERSON),
    Hear(GROUP, "Shall I book it?"),
)
ASKED = Question("ghijkl", GROUP, "0c" * 32, "one", 1_700_000_000, DEEDS)


@pytest.mark.parametrize("deed", DEEDS)
def test_a_deed_is_read_back(deed: Deed) -> None:
    assert deeds.from_json(json.loads(json.dumps(deeds.to_json(deed)))) == deed


@pytest.mark.parametrize(
    "asked",
    [ASKED, ASKED.settled(State.DENIED, "x"), ASKED.settled(State.APPROVED, "x").done("So.")],
)
def test_a_question_is_read_back(asked: Question) -> None:
    event = template(asked, ROUTER, 7, "")
    assert parse(event, ROUTER) == asked
    assert event.tag("d") == "question/ghijkl"
    assert (event.tag("t") == "question") == (asked.state in (State.OPEN, State.APPROVED))


def test_it_waits_for_an_hour_and_only_while_it_is_open() -> None:
    assert ASKED.waits_at(ASKED.asked_at + OPEN_S - 1)
    assert not ASKED.waits_at(ASKED.asked_at + OPEN_S)
    assert not ASKED.settled(State.DENIED, "x").waits_at(ASKED.asked_at)


def test_a_change_is_of_the_binding_as_it_is_then() -> None:
    before = Binding(GROUP, "family", (PERSON,), "claw", agents=False, budget=Budget(runs=1))
    night = {"start": "22:00", "end": "07:00", "zone": "UTC"}
    after = Change(GROUP, {"trigger": None, "agents": True, "quiet": night}).of(before)
    assert after == replace(before, trigger=None, agents=True, quiet=Quiet(**night))
    assert Change(GROUP, {"quiet": None, "models": None}).of(after) == replace(after, quiet=None)


@pytest.mark.parametrize(
    "fields", [{"trigger": 7}, {"senders": "all"}, {"quiet": {}}, {"muted": "x"}, {"agents": 1}]
)
def test_a_change_that_fits_no_binding(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        Change(GROUP, fields).of(Binding(GROUP, "family"))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"do": "wipe", "group": GROUP},
        {"do": "register"},
        {"do": "register", "name": ""},
        {"do": "register", "name": "x", "folder": "main"},
        {"do": "register", "name": "x", "counterparts": "y"},
        {"do": "register", "name": "x", "trigger": 7},
        {"do": "rename", "group": "main", "name": "x"},
        {"do": "bind", "group": GROUP},
        {"do": "bind", "group": GROUP, "counterpart": PERSON, "once": "x"},
        {"do": "change", "group": GROUP, "fields": {}},
        {"do": "change", "group": GROUP, "fields": []},
        {"do": "change", "group": GROUP, "fields": {"folder": "main"}},
        {"do": "change", "group": GROUP, "fields": {"counterparts": []}},
        {"do": "change", "group": GROUP, "fields": {"archived": False}},
    ],
)
def test_what_is_no_deed(value: object) -> None:
    with pytest.raises(Malformed):
        deeds.from_json(value)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "maybe"},
        {"state": None},
        {"deeds": []},
        {"deeds": [deeds.to_json(Rename(GROUP, "x"))] * 9},
        {"group": "main"},
        {"job": "x"},
        {"asked_at": "now"},
        {"by": "me"},
    ],
)
def test_what_is_no_question(change: dict[str, object]) -> None:
    event = template(ASKED, ROUTER, 7, None)
    content = json.dumps(json.loads(event.content) | change)
    with pytest.raises(Malformed):
        parse(replace(event, content=content), ROUTER)


def test_another_key_asks_nothing() -> None:
    with pytest.raises(Malformed, match="not by the router"):
        parse(template(ASKED, "0b" * 32, 7, None), ROUTER)
