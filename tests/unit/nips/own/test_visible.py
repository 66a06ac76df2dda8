"""nips/own/visible.py: nothing that an agent writes can play the question it is quoted in."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.own.visible import MARK, MAX_BLANKS, exposed, quoted, visible


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain words, größer, 日本語, ✅ ❤️", "plain words, größer, 日本語, ✅ ❤️"),
        ("", ""),
        ("a\u202eb", "a⟨U+202E⟩b"),  # right-to-left override: the rest reads backwards
        ("a\u2066b\u2069", "a⟨U+2066⟩b⟨U+2069⟩"),
        ("a\u200bb\u200db\ufeff", "a⟨U+200B⟩b⟨U+200D⟩b⟨U+FEFF⟩"),
        ("\x1b[2J\x07\x00\t", "⟨U+001B⟩[2J⟨U+0007⟩⟨U+0000⟩⟨U+0009⟩"),
        ("a\u00a0b\u3000c\u2003d", "a⟨U+00A0⟩b⟨U+3000⟩c⟨U+2003⟩d"),
        ("\u3164\u2800\u115f\uffa0", "⟨U+3164⟩⟨U+2800⟩⟨U+115F⟩⟨U+FFA0⟩"),
        ("\U000e0041\ue000\ufffe", "⟨U+E0041⟩⟨U+E000⟩⟨U+FFFE⟩"),
        ("a" + " " * 3 + "b", "a   b"),
        ("a" + " " * 90 + "b", "a⟨90 blanks⟩b"),
        ("⟨U+202E⟩", "⟨U+27E8⟩U+202E⟨U+27E9⟩"),
        ("see https://a.example/x.png", "see https⟨://⟩a.example/x.png"),
        ("NOSTR:npub1x nostr:x", "NOSTR⟨:⟩npub1x nostr⟨:⟩x"),
        ("javascript:alert(1) data:image/png", "javascript⟨:⟩alert(1) data⟨:⟩image/png"),
        ("xnostr:npub1x", "xnostr⟨:⟩npub1x"),  # clients look for it within words too
        ("![](//a.example/x.png)", "![](⟨//⟩a.example/x.png)"),
        # Bytes written in variation selectors: a text within a text, and nothing of it is seen.
        ("✅\ufe0e\U000e0141\u180b", "✅⟨U+FE0E⟩⟨U+E0141⟩⟨U+180B⟩"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f⟨U+FE0F⟩"),
        ("\ufe0fa \ufe0f", "⟨U+FE0F⟩a ⟨U+FE0F⟩"),
        ("\U0001d159\U00016fe4", "⟨U+1D159⟩⟨U+16FE4⟩"),
        ("e" + "\u20dd" * 6, "e" + "\u20dd" * 4 + "⟨U+20DD⟩" * 2),
        ("e" + "\u0301" * 4, "e" + "\u0301" * 4),
        ("e" + "\u0301" * 6, "e" + "\u0301" * 4 + "⟨U+0301⟩" * 2),
    ],
)
def test_what_is_not_seen_is_shown(given: str, shown: str) -> None:
    assert visible(given) == shown


@pytest.mark.parametrize(
    "end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
)
def test_a_line_of_any_kind_is_marked(end: str) -> None:
    # Attack: a line of the agent's that reads as the signer's own.
    assert quoted(f"one{end}React ✅ to decline") == f"{MARK}one\n{MARK}React ✅ to decline"


ANYTHING = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("\n\r\u2028\u202e\u200f\u3164 \u00a0⟨⟩:/\x1b"),
    max_size=200,
)


@given(ANYTHING)
def test_whatever_is_quoted_every_line_is_marked_and_everything_seen(text: str) -> None:
    shown = quoted(text)
    assert all(line.startswith(MARK) for line in shown.split("\n"))
    assert shown.splitlines() == shown.split("\n")  # for every reader the same lines
    body = shown.replace(MARK, "").replace("\n", "")
    hidden = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
    assert not [char for char in body if unicodedata.category(char) in hidden]
    assert not [char for char in body if unicodedata.category(char) == "Zs" and char != " "]
    assert " " * (MAX_BLANKS + 1) not in body
    assert "//" not in body.replace("⟨://⟩", "·").replace("⟨//⟩", "·")


@given(ANYTHING, ANYTHING)
def test_two_texts_are_shown_as_two(one: str, other: str) -> None:
    # Attack: two events of which the owner is shown the same words.
    if quoted(one) == quoted(other):
        ends = dict.fromkeys("\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", "\n")
        same = str.maketrans(ends)
        assert one.replace("\r\n", "\n").translate(same) == other.replace("\r\n", "\n").translate(
            same
        )


def test_a_program_is_shown_as_it_stands_but_for_what_is_not_seen() -> None:
    """Attack: code that reads otherwise than it runs (Trojan Source)."""
    text = "    if x:  # https://a.example\n+\u202e x\u2028+y\u200b" + " " * 60 + "z\t"
    assert exposed(text) == (
        f"{MARK}    if x:  # https://a.example\n"
        f"{MARK}+⟨U+202E⟩ x⟨U+2028⟩+y⟨U+200B⟩⟨60 blanks⟩z⟨U+0009⟩"
    )
