"""Objects of others, read field by field."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.signal.fields import CUT, Fields
from nips.refusal import Malformed

SECRET = "what somebody wrote"


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(Malformed, match="item is no object"):
        Fields(value, "item")


@pytest.mark.parametrize("name", ["missing", "null"])
def test_what_is_not_there_is_nothing(name: str) -> None:
    fields = Fields({"null": None}, "item")
    assert not fields.has(name)
    assert fields.part(name) is None
    assert fields.text(name, 9) is None
    assert fields.whole(name, 0, 9) is None
    assert fields.flag(name) is False
    assert fields.parts(name, 9) == []
    assert fields.texts(name, 9, 9) == []


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (lambda it: it.text("a", 9), 5, "item.a is no text"),
        (lambda it: it.text("a", 9), [SECRET], "item.a is no text"),
        (lambda it: it.whole("a", 0, 9), SECRET, "item.a is no whole number"),
        (lambda it: it.whole("a", 0, 9), True, "item.a is no whole number"),
        (lambda it: it.whole("a", 0, 9), 1.0, "item.a is no whole number"),
        (lambda it: it.whole("a", 0, 9), -1, "item.a is out of bounds"),
        (lambda it: it.whole("a", 0, 9), 10, "item.a is out of bounds"),
        (lambda it: it.flag("a"), 1, "item.a is neither true nor false"),
        (lambda it: it.part("a"), SECRET, "item.a is no object"),
        (lambda it: it.parts("a", 9), {"b": SECRET}, "item.a is no list"),
        (lambda it: it.parts("a", 9), [SECRET], "item.a is no object"),
        (lambda it: it.part("a").part("b"), {"b": 1}, "item.a.b is no object"),
    ],
)
def test_what_is_of_another_type_is_named_and_not_shown(read: Any, value: Any, words: str) -> None:
    with pytest.raises(Malformed) as error:
        read(Fields({"a": value}, "item"))
    assert str(error.value) == words


@pytest.mark.parametrize(
    ("given_text", "read"),
    [
        ("plain", "plain"),
        ("two\nlines\tand", "two\nlines\tand"),
        ("a\0b\x1b[2Jc\x85d", "a b [2Jc d"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("\ud83d\ude00", "😀"),  # as some parsers leave it
        ("x" * 21, "x" * 20 + CUT),
        ("😀" * 21, "😀" * 20 + CUT),
    ],
)
def test_text_is_text_that_can_be_written_down(given_text: str, read: str) -> None:
    found = Fields({"a": given_text}, "item").text("a", 20)
    assert found == read
    orjson.dumps(found)


def test_of_lists_so_much_is_read_as_is_wanted() -> None:
    fields = Fields({"a": [{"n": i} for i in range(9)], "b": ["x", 1, None, "yy"]}, "item")
    assert [it.whole("n", 0, 9) for it in fields.parts("a", 3)] == [0, 1, 2]
    assert fields.texts("b", 4, 1) == ["x", "y" + CUT]
    assert Fields({"a": 1, "b": 2}, "item").names(1) == ["a"]


@given(st.text(st.characters(), max_size=40))
def test_counting_stays_what_it_was(text: str) -> None:
    """Mentions are found by counting UTF-16 units."""
    found = Fields({"a": text}, "item").text("a", 100)
    assert found is not None
    assert len(found.encode("utf-16-le")) == len(text.encode("utf-16-le", "surrogatepass"))
