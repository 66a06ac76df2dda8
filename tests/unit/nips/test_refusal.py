"""Refusals: rendered once, read back, never guessed from words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.refusal import Malformed, Prefix, ProtocolError, Refusal, Refused, refused

SENTENCE = st.text().map(str.strip)


@given(prefix=st.sampled_from(Prefix), sentence=SENTENCE)
def test_round_trip(prefix: Prefix, sentence: str) -> None:
    refusal = Refusal(prefix, sentence)
    assert str(refusal).startswith(f"{prefix.value}: ")
    assert Refusal.parse(str(refusal)) == refusal


@pytest.mark.parametrize(
    "text", ["", "no", "Blocked: no", "teapot: short and stout", "https://example.org/", ": x"]
)
def test_a_text_without_a_known_prefix_is_an_error_in_its_own_words(text: str) -> None:
    assert Refusal.parse(text) == Refusal(Prefix.ERROR, text)


def test_wire_form() -> None:
    assert str(Refusal(Prefix.AUTH_REQUIRED, "who are you?")) == "auth-required: who are you?"


def test_the_exception_carries_the_value() -> None:
    error = refused(Prefix.RATE_LIMITED, "slow down")
    assert isinstance(error, Refused)
    assert error.refusal == Refusal(Prefix.RATE_LIMITED, "slow down")
    assert str(error) == "rate-limited: slow down"


def test_the_tree() -> None:
    assert issubclass(Malformed, ProtocolError)
    assert issubclass(Refused, ProtocolError)
    assert not issubclass(Malformed, Refused)
