"""What the model proxy tells the router: absolute numbers, no text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nips.own import spent as spendings
from nips.own.spent import ModelUse, Refused, Spent, Sum, Use
from nips.refusal import Malformed

GROUP = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4"
SPENT = Spent(
    group=GROUP,
    day="2026-01-01",
    group_day=Sum(130, 630),
    job="ab" * 32,
    models=(
        ModelUse("anthropic", "large", 1, Use(11, 2, 4, 5, 63)),
        ModelUse("local", "small", 3, Use(100, 20)),
    ),
    under_way=1,
    exact=True,
    session=f"{GROUP}/1767225600",
    turn_seq=2,
    conversation=Use(500, 60, 4, 5, 700),
    refused=Refused(False, "this conversation may use 1,000 tokens today"),
)


@pytest.mark.parametrize("one", [SPENT, replace(SPENT, refused=None, models=())])
def test_it_reads_back(one: Spent) -> None:
    assert spendings.parse(one.to_json()) == one


def test_models_add_up_and_the_dearest_gives_its_name() -> None:
    assert SPENT.use == Use(111, 22, 4, 5, 63)
    assert SPENT.main_model == "large"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("group",), "main"),
        (("day",), "20260101"),
        (("day",), 20_454),
        (("job",), None),
        (("models",), [SPENT.to_json()] * 101),
        (("models", 0, "input"), -1),
        (("models", 0, "requests"), "1"),
        (("models", 0, "text"), "what was asked"),
        (("models", 0, "model"), ""),
        (("under_way",), -1),
        (("exact",), "yes"),
        (("session",), f"{GROUP}"),
        (("turn_seq",), 0),
        (("group_day", "tokens"), 1.5),
        (("group_day", "microusd"), 2**53),
        (("refused", "by_ceiling"), None),
        (("refused", "sentence"), "a\nb"),
        (("refused", "sentence"), "x" * 501),
        (("conversation", "output"), None),
        (("said",), "hello"),
    ],
)
def test_what_is_not_its_form_is_refused(path: tuple[Any, ...], value: object) -> None:
    told: Any = json.loads(SPENT.to_json())
    place = told
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(Malformed):
        spendings.parse(json.dumps(told))
