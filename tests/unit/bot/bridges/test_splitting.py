import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.splitting import json_bytes, split

texts = st.text(st.characters(exclude_categories=["Cs"]))


def words(text: str) -> str:
    return "".join(text.split())


@given(texts, st.integers(min_value=8, max_value=60))
def test_parts_fit_and_lose_only_blanks(text: str, max_bytes: int) -> None:
    parts = split(text, max_bytes, json_bytes)
    assert all(json_bytes(part) <= max_bytes for part in parts)
    assert words("".join(parts)) == words(text)
    assert parts == [text] or all(parts)


def test_a_short_text_is_left_as_it_is() -> None:
    assert split("  two\n\nparagraphs ", 12_000) == ["  two\n\nparagraphs "]
    assert split("", 8) == [""]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("aaaa\n\nbbbb cccc", ["aaaa", "bbbb cccc"]),
        ("aaaa bb\ncccc dddd", ["aaaa bb", "cccc dddd"]),
        ("aaa. bbb. cccc", ["aaa. bbb.", "cccc"]),
        ("aaaa bbbb cccc", ["aaaa bbbb", "cccc"]),
        ("a" * 25, ["a" * 12, "a" * 12, "a"]),
        ("é" * 8, ["é" * 6, "é" * 2]),  # bytes count, not characters
        ('"' * 8, ['"' * 6, '"' * 2]),  # as JSON escapes them
    ],
)
def test_where_it_is_cut(text: str, parts: list[str]) -> None:
    assert split(text, 12, json_bytes) == parts


def test_by_itself_it_counts_characters() -> None:
    assert split("é" * 8, 6) == ["é" * 6, "é" * 2]


def test_what_json_makes_of_a_text_is_counted() -> None:
    assert [json_bytes(text) for text in ("", "a", "é", '"', "\n")] == [0, 1, 2, 2, 2]
