"""NIP-40 expiration tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Tags
from nips.nip40 import expiration, expiration_tag


@given(st.integers(0, 10**18 - 1))
def test_round_trip(at_s: int) -> None:
    assert expiration((("p", "x"), expiration_tag(at_s))) == at_s


def test_the_earliest_of_all_events_counts() -> None:
    wrap: Tags = (("expiration", "30"), ("expiration", "20"))
    rumor: Tags = (("expiration", "25"),)
    assert expiration(wrap, rumor) == expiration(rumor, wrap) == 20
    assert expiration() is None
    assert expiration((), (("p", "7"),)) is None


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e9", "soon", " 7", "٣", "9" * 19])
def test_what_is_no_number_is_no_expiration(text: str) -> None:
    assert expiration((("expiration", text),)) is None
    assert expiration((("expiration", text), ("expiration", "7"))) == 7
    assert expiration((("expiration",),)) is None
