"""Mentions, counted in UTF-16 units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.signal.received.mentions import STAND_IN, Mention, resolved

ACI = "3f0a1c52-1b2c-4d3e-8f90-abcdefabcdef"


def at(start: int, number: str = "+491511234567", length: int = 1) -> Mention:
    return Mention(ACI, number, start, length)


@pytest.mark.parametrize(
    ("text", "mentions", "shown"),
    [
        ("\ufffc, hello", [at(0)], "@Ada, hello"),
        ("😀\ufffc", [at(2)], "😀@Ada"),  # two units, one character
        ("😀\ufffc", [at(1)], "😀\ufffc"),  # the middle of the emoji
        ("\ufffc\ufffc", [at(1), at(0)], "@Ada@Ada"),
        ("\ufffc", [at(0), at(0)], "@Ada"),  # one over the other
        ("hello", [at(0, length=5)], "hello"),  # laid over words
        ("\ufffchello", [at(0, length=6)], "\ufffchello"),
        ("a\ufffc", [at(1, length=0)], "a\ufffc"),
        ("\ufffc", [at(99)], "\ufffc"),
        ("\ufffc", [at(2**31 - 1, length=2**31 - 1)], "\ufffc"),
        ("\ufffc and \ufffc", [at(0)], "@Ada and \ufffc"),
        ("", [at(0)], ""),
    ],
)
def test_a_mention_is_a_name_where_a_stand_in_is(
    text: str, mentions: list[Mention], shown: str
) -> None:
    assert resolved(text, mentions, lambda _: "Ada") == shown


def test_who_names_is_told_who_is_meant() -> None:
    asked: list[Mention] = []

    def name(it: Mention) -> str:
        asked.append(it)
        return "\ufffc"  # a name that looks like a mention is none

    assert resolved("\ufffc\ufffc", [at(0), at(1, "+492")], name) == "@\ufffc@\ufffc"
    assert [it.number for it in asked] == ["+491511234567", "+492"]


@given(st.lists(st.sampled_from(["a", "😀", STAND_IN, "\n", "é"]), max_size=30))
def test_every_stand_in_is_found_wherever_it_is(parts: list[str]) -> None:
    """Against the plain way: replace them all."""
    text, starts, n_units = "".join(parts), [], 0
    for part in parts:
        if part == STAND_IN:
            starts.append(n_units)
        n_units += len(part.encode("utf-16-le")) // 2
    shown = resolved(text, [at(start) for start in reversed(starts)], lambda _: "Ada")
    assert shown == text.replace(STAND_IN, "@Ada")


@given(st.text(max_size=20), st.lists(st.builds(at, st.integers(0, 30)), max_size=5))
def test_no_mention_does_anything_to_what_was_written(text: str, mentions: list[Mention]) -> None:
    shown = resolved(text, mentions, lambda _: "")
    assert shown.replace("@", "").replace(STAND_IN, "") == text.replace("@", "").replace(
        STAND_IN, ""
    )
