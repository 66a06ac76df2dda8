"""What was used of a day's budget, as a record of the router's."""

from __future__ import annotations

import json
from secrets import token_bytes

import pytest

from nips.event import Event
from nips.key import SecretKey
from nips.own import day_budget
from nips.own.binding import Budget
from nips.own.day_budget import ALL, MAX_RAISES, DayBudget, Raise
from nips.refusal import Malformed

ROUTER = SecretKey(b"\x07" * 32)
GROUP = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4"
DAY = DayBudget(GROUP, "2026-01-01", 13, 63, (Raise("ab" * 32, runs=10), Raise("x", 0, 5, 7)))


def event(one: DayBudget, content: str | None = None, key: SecretKey = ROUTER) -> Event:
    made = day_budget.template(one, key.public, 1_767_225_600)
    if content is not None:
        made = type(made)(made.pubkey, made.created_at, made.kind, made.tags, content)
    return made.sign(key, token_bytes(32))


@pytest.mark.parametrize("one", [DAY, DayBudget(ALL, "2026-01-01")])
def test_it_reads_back(one: DayBudget) -> None:
    made = event(one)
    assert day_budget.is_one(made)
    assert day_budget.parse(made, ROUTER.public) == one


def test_raises_add_to_what_is_limited_only() -> None:
    assert DAY.limit(Budget(runs=1, microusd=0)) == Budget(runs=11, tokens=None, microusd=7)


def test_one_raise_counts_once() -> None:
    again = DAY.raised_by(Raise("x", runs=1_000))
    assert again == DAY
    assert DAY.raised_by(Raise("y", runs=1)).limit(Budget(runs=0)) == Budget(runs=11)


def test_a_day_is_not_raised_without_end() -> None:
    day = DayBudget(GROUP, "2026-01-01", raised=tuple(Raise(f"{n}") for n in range(MAX_RAISES)))
    with pytest.raises(Malformed):
        day.raised_by(Raise("more"))


def test_only_the_routers_count() -> None:
    with pytest.raises(Malformed):
        day_budget.parse(event(DAY, key=SecretKey(b"\x08" * 32)), ROUTER.public)


@pytest.mark.parametrize(
    "change",
    [
        {"day": "today"},
        {"tokens": -1},
        {"microusd": None},
        {"raised": {}},
        {"raised": [{"by": "", "runs": 1, "tokens": 0, "microusd": 0}]},
        {"raised": [{"by": "x", "runs": -1, "tokens": 0, "microusd": 0}]},
        {"raised": [{"by": "x", "runs": 1, "tokens": 0, "microusd": 0, "for": "ever"}]},
        {"raised": ["x"]},
        {"runs": 3},
    ],
)
def test_what_is_not_its_form_is_refused(change: dict[str, object]) -> None:
    content = json.dumps(json.loads(event(DAY).content) | change)
    with pytest.raises(Malformed):
        day_budget.parse(event(DAY, content), ROUTER.public)


@pytest.mark.parametrize("group", ["main", "", "all/1"])
def test_its_address_names_a_group_or_all(group: str) -> None:
    with pytest.raises(Malformed):
        day_budget.parse(event(DayBudget(group, "2026-01-01")), ROUTER.public)
