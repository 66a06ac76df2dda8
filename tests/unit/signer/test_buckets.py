"""signer/buckets.py: rates and caps."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.refusal import Prefix, Refusal
from signer.buckets import DAY_S, Counted, Rated, Spent, charge, describe

DAY = 20_000 * DAY_S


def spend(cost: Rated | Counted, times: Sequence[float]) -> list[bool]:
    """Which of the attempts at these seconds succeed."""
    spent: Spent | None = None
    allowed = []
    for at_s in times:
        outcome = charge(cost, spent, at_s)
        allowed.append(isinstance(outcome, Spent))
        if isinstance(outcome, Spent):
            spent = outcome
    return allowed


def test_a_bucket_holds_its_capacity_and_refills() -> None:
    cost = Rated("kind/g/9", 2, 0.5)
    assert spend(cost, [0, 0, 0, 1, 2, 2, 4]) == [True, True, False, False, True, False, True]


def test_a_bucket_without_refill_is_for_good() -> None:
    cost = Rated("kind/g/9", 1, 0)
    assert spend(cost, [0, 1e9]) == [True, False]
    refusal = charge(cost, Spent(1, 0), 5)
    assert refusal == Refusal(Prefix.RATE_LIMITED, "too fast for kind 9; the next one never")


def test_a_refusal_says_when() -> None:
    refusal = charge(Rated("all", 1, 0.1), Spent(1, 100), 101)
    assert isinstance(refusal, Refusal)
    assert refusal.prefix is Prefix.RATE_LIMITED
    assert refusal.sentence.endswith("in 9 s")


@pytest.mark.parametrize("per_s", [5e-324, 1e-300, 1e-9])
def test_however_slowly_it_refills_a_refusal_is_said(per_s: float) -> None:
    # Attack: a rate whose waiting time is infinite, which no whole number is: the signer dies.
    refusal = charge(Rated("all", 1, per_s), Spent(1e6, 100), 101)
    assert isinstance(refusal, Refusal)
    assert refusal.sentence.endswith("never")


def test_another_capacity_resets_nothing() -> None:
    # Attack: have the grant renewed with other numbers, to begin with a full bucket.
    used_up = Spent(20, 100)
    assert isinstance(charge(Rated("kind/g/9", 20, 0.5), used_up, 100), Refusal)
    assert isinstance(charge(Rated("kind/g/9", 10, 0.5), used_up, 100), Refusal)
    assert charge(Rated("kind/g/9", 21, 0.5), used_up, 100) == Spent(21, 100)


def test_a_time_from_the_future_fills_nothing() -> None:
    assert isinstance(charge(Rated("all", 1, 10), Spent(1, 2e9), 1e9), Refusal)


def test_a_daily_cap_ends_with_the_utc_day() -> None:
    cost = Counted("group/g/day", 2, daily=True)
    times = [DAY, DAY + 1, DAY + DAY_S - 1, DAY + DAY_S, DAY + DAY_S, DAY + DAY_S]
    assert spend(cost, times) == [True, True, False, True, True, False]


def test_uses_are_for_good() -> None:
    assert spend(Counted("key/c", 1, daily=False), [DAY, DAY + 5 * DAY_S]) == [True, False]


def test_nothing_is_had_of_nothing() -> None:
    assert isinstance(charge(Counted("key/c", 0, daily=False), None, DAY), Refusal)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("all", "all conversations together"),
        ("all/day", "all conversations together"),
        ("group/x", "this conversation"),
        ("frames", "all live views together"),
        ("bunker", "all logins together"),
        ("bunker/decrypts", "all logins together"),
        ("grant/x", "this key"),
        ("kind/x/9/day", "kind 9"),
        ("key/x", "this key"),
    ],
)
def test_a_person_is_told_which_limit(name: str, words: str) -> None:
    assert describe(name) == words


@given(
    st.integers(1, 20),
    st.floats(0, 5, allow_subnormal=False),
    st.lists(st.floats(0, 100), max_size=60),
)
def test_never_more_than_capacity_and_refill(
    capacity: int, per_s: float, gaps: list[float]
) -> None:
    times, at_s = [], 0.0
    for gap in gaps:
        at_s += gap
        times.append(at_s)
    allowed = [
        t for t, ok in zip(times, spend(Rated("all", capacity, per_s), times), strict=True) if ok
    ]
    for first in range(len(allowed)):
        for last in range(first, len(allowed)):
            window_s = allowed[last] - allowed[first]
            assert last - first + 1 <= capacity + window_s * per_s + 1e-6
