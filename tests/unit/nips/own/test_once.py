"""The once-key: one value for one thing, and never one for two."""

from __future__ import annotations

import json
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from nips.own.once import once_key

PARTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]))).map(tuple)


def test_the_value_that_a_second_implementation_must_find() -> None:
    assert once_key("job", "é") == sha256('["job","é"]'.encode()).hexdigest()
    assert once_key("job", "00ff").startswith("1784b540")


@given(first=PARTS, second=PARTS)
def test_equal_parts_and_only_they_have_equal_keys(
    first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    assert (once_key(*first) == once_key(*second)) is (first == second)


def test_parts_do_not_run_into_each_other() -> None:
    assert len({once_key("a", "bc"), once_key("ab", "c"), once_key("abc"), once_key('a","bc')}) == 4


@given(parts=PARTS)
def test_json_array(parts: tuple[str, ...]) -> None:
    text = json.dumps(list(parts), separators=(",", ":"), ensure_ascii=False)
    assert once_key(*parts) == sha256(text.encode()).hexdigest()
