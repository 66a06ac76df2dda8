"""bot/requests/widening.py: what gives somebody more is asked, the rest is not."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_bytes
from typing import Any

import pytest

from bot.requests.widening import Usual, asks, steps
from nips.key import SecretKey
from nips.own.binding import Binding, Budget, Quiet

BASE = Binding("00000000-0000-4000-8000-000000000002", "family")
KEY, OTHER = (SecretKey.generate(token_bytes).public for _ in range(2))
NOBODY = "f" * 64  # on no curve
NIGHT, DAY = Quiet("22:00", "07:00", "UTC"), Quiet("12:00", "13:00", "UTC")
USUAL = Usual(("small", "large"), Budget(runs=50), ("claude:small",))

NARROWS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"trigger": None}, {"trigger": ""}),
    ({"trigger": None}, {"trigger": "claw"}),
    ({"senders": "members"}, {"senders": "trusted"}),
    ({"muted": ()}, {"muted": (KEY,)}),
    ({"muted": (KEY,)}, {"muted": (KEY, OTHER, NOBODY)}),
    ({"agents": True}, {"agents": False}),
    ({"owner_speaks": True}, {"owner_speaks": False}),
    ({"paused": False}, {"paused": True}),
    ({"quiet": None}, {"quiet": NIGHT}),
    ({"models": None}, {"models": ("small",)}),
    ({"models": ("small", "large")}, {"models": ()}),
    ({"budget": Budget()}, {"budget": Budget(runs=10)}),
    ({"budget": Budget()}, {"budget": Budget(tokens=1, microusd=0)}),
    ({"budget": Budget(runs=60)}, {"budget": Budget()}),  # 50 is the usual
    ({"backends": None}, {"backends": ("builtin",)}),
    ({"backends": ("openai", "claude:small")}, {"backends": ("openai",)}),
]
WIDENS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *((after, before) for before, after in NARROWS),
    ({"trigger": ""}, {"trigger": "the"}),
    ({"trigger": "claw"}, {"trigger": ""}),
    ({"muted": (KEY,)}, {"muted": (OTHER,)}),
    ({"quiet": NIGHT}, {"quiet": DAY}),
    ({"models": None}, {"models": ("small", "other")}),
    ({"models": ("small",)}, {"models": ("large",)}),
    ({"backends": None}, {"backends": ("claude:large",)}),
    ({"backends": ("builtin",)}, {"backends": ("claude:small", "builtin")}),
    ({"budget": Budget()}, {"budget": Budget(runs=51)}),
    ({"budget": Budget(runs=5)}, {"budget": Budget(tokens=5)}),
    ({"budget": Budget(runs=5, tokens=5)}, {"budget": Budget(runs=4, tokens=6)}),
]


@pytest.mark.parametrize(("before", "after"), NARROWS)
def test_what_takes_away_is_done_at_once(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = steps(replace(BASE, **before), replace(BASE, **after), USUAL)
    assert found
    assert not asks(found)


@pytest.mark.parametrize(("before", "after"), WIDENS)
def test_what_gives_more_is_asked(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert asks(steps(replace(BASE, **before), replace(BASE, **after), USUAL))


def test_no_change_is_no_step() -> None:
    full = replace(BASE, quiet=NIGHT, models=("small",), muted=(KEY,), budget=Budget(1, 2, 3))
    assert steps(full, full, USUAL) == ()


def test_steps_are_said_in_words() -> None:
    after = replace(
        BASE, trigger="claw", senders="members", agents=True, owner_speaks=True, paused=True,
        quiet=NIGHT, models=("small",), budget=Budget(10, 1000, 2_500_000), muted=(KEY,),
        backends=("openai:qwen", "builtin"),
    )  # fmt: skip
    said = [step.words for step in steps(BASE, after, USUAL)]
    assert said[0] == "only messages with “claw” wake it"
    assert said[1] == "every member may have work done"
    assert said[2].startswith("npub1")
    assert said[3:] == [
        "other agents may wake it",
        "what you write in it goes out to its people on Signal",
        "it is paused",
        "it is quiet from 22:00 to 07:00 (UTC)",
        "it may use “small”",
        "it works with “openai:qwen”, then “builtin”",
        "at most 10 runs a day",
        "at most 1,000 tokens a day",
        "at most $2.50 a day",
    ]
