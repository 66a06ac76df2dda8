"""What a search means, whatever was typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.nip50 import MAX_TERMS, parse, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Hello, World!", ["hello", "world"]),
        ("Café cafe\u0301", ["cafe", "cafe"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("snake_case foo-bar", ["snake", "case", "foo", "bar"]),
        ("a\x00b\n\tc", ["a", "b", "c"]),
        ("日本語", ["日", "本", "語"]),
        ("hi😀there", ["hi", "😀", "there"]),
        ("'\"()*^:%", []),
        ("Привет мир", ["привет", "мир"]),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("search", "content", "is_match"),
    [
        ("orange", "An ORANGE a day", True),
        ("orange", "oranges", False),
        ("orange juice", "juice of an orange", True),
        ("orange juice", "orange", False),
        ("foo-bar", "a foo bar", True),
        ("foo-bar", "bar foo", False),
        ("word include:spam", "a word", True),
        ("word include:spam", "include spam", False),
        ("include:spam language:en", "anything", True),
        ("", "anything", True),
        ('"', 'a " b', False),
        ("NOT", "not", True),
        ("a OR b", "a b", False),
        ("a OR b", "b or a", True),
        ("https://example.com", "see https://example.com/x", True),
        ("語", "日本語", True),
        ("本日", "日本語", False),
        ("x" * 10_000, "x" * 9_999, False),
    ],
)
def test_what_a_search_finds(search: str, content: str, is_match: bool) -> None:
    assert parse(search).matches(content) is is_match


@given(content=st.text())
def test_a_text_is_found_by_its_own_words(content: str) -> None:
    words = [" ".join([one]) for one in content.split() if ":" not in one and terms(one)]
    if words:
        assert parse(" ".join(words[:5])).matches(content)


def test_a_long_search_is_cut() -> None:
    """10 kB of words must not become 2,000 look-ups."""
    query = parse(" ".join(f"w{number}" for number in range(2_000)))
    assert sum(map(len, query.phrases)) == MAX_TERMS
