"""signer/typed_terms.py: what a person types for an invitation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.own.grant import Rate
from nips.refusal import Malformed
from signer import typed_terms
from signer.ceiling import Ceiling


@pytest.mark.parametrize(
    ("typed", "kinds"),
    [
        ("1", (1,)),
        ("1,30023", (1, 30_023)),
        ("30023, 1 ,1", (1, 30_023)),
        ("30-33,1", (1, 30, 31, 32, 33)),
        ("0-0,65535", (0, 65_535)),
    ],
)
def test_kinds(typed: str, kinds: tuple[int, ...]) -> None:
    assert typed_terms.kinds(typed) == kinds


@pytest.mark.parametrize(
    "typed",
    ["", ",", "1,", "x", "-1", "1-", "5-3", "65536", "1.0", "１", "0-65535", "1 2", "0x1", "1;2"],
)
def test_what_is_no_kind_is_one_sentence(typed: str) -> None:
    with pytest.raises(Malformed, match=r"^--kinds: ") as caught:
        typed_terms.kinds(typed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "seconds"), [("90s", 90), ("30m", 1_800), ("8h", 28_800), ("2d", 172_800)]
)
def test_times(typed: str, seconds: int) -> None:
    assert typed_terms.seconds(typed) == seconds


@pytest.mark.parametrize("typed", ["", "8", "0h", "-1h", "8 hours", "1.5h", "h", "8w", "٣h"])
def test_what_is_no_time(typed: str) -> None:
    with pytest.raises(Malformed, match=r"^--ttl: "):
        typed_terms.seconds(typed)


@pytest.mark.parametrize(
    ("typed", "rate"),
    [("10/h", Rate(10, 10 / 3_600)), ("1/m", Rate(1, 1 / 60)), ("200/d", Rate(200, 200 / 86_400))],
)
def test_rates(typed: str, rate: Rate) -> None:
    assert typed_terms.rate(typed) == rate


@pytest.mark.parametrize("typed", ["", "10", "0/h", "10/y", "ten/h", "-1/h", "1e9/h", "100001/h"])
def test_what_is_no_rate(typed: str) -> None:
    with pytest.raises(Malformed, match=r"^--rate: "):
        typed_terms.rate(typed)


@given(st.integers(1, 10**8))
def test_a_shown_time_reads_back(seconds: int) -> None:
    assert typed_terms.seconds(typed_terms.shown(seconds)) == seconds


@given(st.integers(1, typed_terms.MAX_CAPACITY), st.sampled_from("smhd"))
def test_a_shown_rate_reads_back(capacity: int, unit: str) -> None:
    rate = typed_terms.rate(f"{capacity}/{unit}")
    assert typed_terms.rate(typed_terms.shown_rate(rate)) == rate


def test_a_rate_of_another_form_is_shown_too() -> None:
    assert typed_terms.shown_rate(Rate(5, 0.5)) == "5, 0.5/s"


@pytest.mark.parametrize(
    ("kinds", "ttl_s", "words"),
    [
        ((1,), 86_401, "at most 1d"),
        ((1, 1059), 60, "kind 1059 is never signed"),
        ((0,), 60, "your yes each time"),
        ((31_990,), 60, "add it to bunker_kinds"),
    ],
)
def test_what_the_ceiling_forbids_is_said_at_once(
    kinds: tuple[int, ...], ttl_s: int, words: str
) -> None:
    with pytest.raises(Malformed, match=words):
        typed_terms.within(Ceiling(), kinds, ttl_s)


def test_a_retraction_is_for_who_publishes() -> None:
    typed_terms.within(Ceiling(), (5,), 60, publishes=True)
    with pytest.raises(Malformed, match="your yes each time"):
        typed_terms.within(Ceiling(), (5,), 60)
    with pytest.raises(Malformed, match="your yes each time"):
        typed_terms.within(Ceiling(ask_kinds=frozenset({0})), (5,), 60, publishes=True)
    with pytest.raises(Malformed, match="your yes each time"):
        typed_terms.within(Ceiling(), (0,), 60, publishes=True)


def test_what_the_ceiling_allows() -> None:
    typed_terms.within(Ceiling(), (1, 30_023, 30_024), 86_400)
    wide = Ceiling(bunker_kinds=frozenset({31_990}), bunker_longest_ttl_s=200_000)
    typed_terms.within(wide, (31_990,), 172_800)
