"""bot/budgets.py: whether a limit is reached, and what is said of it."""

from __future__ import annotations

import re

import pytest

from bot import budgets
from bot.budgets import UNLIMITED, Spent
from bot.commands import grammar
from bot.commands.asked import RaiseBudget
from nips.own.binding import Budget
from nips.own.model_scope import ModelScope
from nips.own.spent import Refused

MODELS = ModelScope(("a", "b"), 10, 20, 30)


@pytest.mark.parametrize(
    ("budget", "spent", "why"),
    [
        (UNLIMITED, Spent(10**9, 10**9, 10**9), None),
        (Budget(runs=20), Spent(runs=19, tokens=10**9), None),
        (Budget(runs=20), Spent(runs=20), "20 of 20 runs"),
        (Budget(runs=0), Spent(), "0 of 0 runs"),
        (Budget(tokens=1_000), Spent(tokens=1_234), "1,234 of 1,000 tokens"),
        (Budget(tokens=1_000), Spent(tokens=999), None),
        (Budget(microusd=1_500_000), Spent(microusd=1_500_000), "$1.50 of $1.50"),
        (Budget(microusd=100), Spent(microusd=120), "$0.00012 of $0.0001"),
        (Budget(5, 5, 5), Spent(4, 4, 4), None),
    ],
)
def test_a_limit_is_reached_when_nothing_is_left(
    budget: Budget, spent: Spent, why: str | None
) -> None:
    assert budgets.reached(budget, spent) == why


def test_each_limit_of_its_own_stands_before_the_default() -> None:
    assert budgets.own_or(Budget(runs=1, tokens=0), Budget(5, 6, 7)) == Budget(1, 0, 7)


def test_a_session_gets_the_days_own_limits_and_its_conversations_models() -> None:
    found = budgets.scope(MODELS, ("b", "c"), Budget(9, 100, 200), Budget(None, None, 300))
    assert found == ModelScope(("b",), 10, 20, 30, 100, 200, None, 300)
    assert budgets.scope(MODELS, None, UNLIMITED, UNLIMITED) == MODELS
    assert budgets.scope(MODELS, (), UNLIMITED, UNLIMITED) is None
    assert budgets.scope(None, None, UNLIMITED, UNLIMITED) is None


def test_what_the_owner_is_told_to_write_is_a_command() -> None:
    words = budgets.asked_of_owner("Ann Smith", "3 of 3 runs", everything=False, is_main=False)
    (raising, _) = re.findall(r"/budget [^.,]*?(?= allows)", words)
    assert grammar.parse(raising) == RaiseBudget("Ann Smith", {"runs": 10})
    assert grammar.parse("/budget all usd +1") == RaiseBudget("all", {"microusd": 1_000_000})


@pytest.mark.parametrize(
    ("why", "command"),
    [
        ("20 of 20 runs", "/budget Ann runs +10 "),
        ("1,234 of 1,000 tokens", "/budget Ann tokens +100000 "),
        ("$1.50 of $1.50", "/budget Ann usd +1 "),
    ],
)
def test_the_owner_is_told_what_to_write(why: str, command: str) -> None:
    words = budgets.asked_of_owner("Ann", why, everything=False, is_main=False)
    assert why in words
    assert command in words
    assert words.startswith("In Ann: ")
    assert "must be sent again" in words
    assert "every day" in words
    all_of_it = budgets.asked_of_owner("Ann", why, everything=True, is_main=False)
    assert "/budget all " in all_of_it
    assert "nostrclaw.toml" in all_of_it  # there is no command for all of them for good
    assert not budgets.asked_of_owner("Main", why, everything=False, is_main=True).startswith("In")


def test_who_wrote_is_told_to_send_it_again() -> None:
    words = budgets.told_there("20 of 20 runs", everything=False)
    assert "20 of 20 runs" in words
    assert "send your message again" in words
    assert "/budget" not in words  # it is nobody's there


def test_a_run_that_was_refused_a_model_names_the_remedy() -> None:
    tokens = Refused(False, "this conversation may use 10 tokens today; 9 are used")
    assert "/budget Ann tokens +N" in budgets.refused_in_a_run("Ann", tokens, is_main=False)
    money = Refused(
        False, "all conversations together may use 1.00 US dollars today; 1.00 are used"
    )
    assert "/budget all usd +N" in budgets.refused_in_a_run("Ann", money, is_main=False)
    words = budgets.refused_in_a_run("Ann", Refused(True, tokens.sentence), is_main=False)
    assert "ceiling.toml" in words
    assert "/budget" not in words
