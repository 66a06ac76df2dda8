"""nips/own/model_scope.py: the models of a grant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nips.own.grant import Grant
from nips.own.model_scope import MAX_NAME_CHARS, MAX_NAMES, ModelScope
from nips.refusal import Malformed

SCOPE = ModelScope(("claude", "gpt"), 200, 2_000_000, 2_000_000)
GRANT = Grant("ab" * 32, "bridge", (), (), 1, 2, 3, 4)


def test_it_survives_its_json() -> None:
    assert ModelScope.from_json(SCOPE.to_json()) == SCOPE
    granted = replace(GRANT, models=SCOPE)
    assert Grant.from_json(granted.to_json()) == granted


def test_limits_of_the_day_stand_there_only_where_there_are_some() -> None:
    assert not [name for name in SCOPE.to_json() if name.endswith("per_day")]
    bounded = replace(SCOPE, group_tokens_per_day=0, microusd_per_day=7)
    assert ModelScope.from_json(bounded.to_json()) == bounded


def test_a_grant_without_models_says_nothing_of_them() -> None:
    assert "models" not in GRANT.to_json()
    assert Grant.from_json(GRANT.to_json()).models is None


@pytest.mark.parametrize(
    "change",
    [
        {"names": "claude"},
        {"names": [""]},
        {"names": [1]},
        {"names": ["n" * (MAX_NAME_CHARS + 1)]},
        {"names": ["n"] * (MAX_NAMES + 1)},
        {"requests": -1},
        {"tokens": 1.5},
        {"tokens": None},
        {"money_microusd": True},
        {"free": True},
        {"group_tokens_per_day": -1},
        {"tokens_per_day": "many"},
    ],
)
def test_a_mistake_is_no_freedom(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        ModelScope.from_json(SCOPE.to_json() | change)


@pytest.mark.parametrize("value", [[], "all", True, 0])
def test_what_is_no_scope(value: object) -> None:
    with pytest.raises(Malformed):
        Grant.from_json(GRANT.to_json() | {"models": value})
