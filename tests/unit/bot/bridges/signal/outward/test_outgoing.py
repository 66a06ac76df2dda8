"""What leaves a group for Signal, and how a delivery's state is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.bridges.signal.outward.outgoing import (
    MAX_UNITS,
    HandedOver,
    answered,
    begun,
    conversation_of,
    emoji,
    handed_over,
    letters,
    not_begun,
    pending,
    quoted_text,
    says_something,
    settled,
)
from bot.operate.stand_ins.signal_text import styled as as_the_service_reads
from bot.operate.stand_ins.signal_text import utf16_units
from nips.event import Event, Tag
from nips.own import delivery as deliveries
from nips.own.delivery import RelayState, Sent, Status

ROUTER, BOT, BRIDGE, EVENT, DIGEST = (f"{n:02x}" * 32 for n in range(1, 6))
FILE: Tag = ("imeta", "m image/png", f"x {DIGEST}", "size 12", "name a chart.png")


def said(text: str, author: str = BOT, *tags: Tag) -> Event:
    return Event(EVENT, author, 1_700_000_000, 9, tags, text, "00" * 64)


def texts(message: Event, speaker: str = "") -> list[str]:
    return [letter.text for letter in letters(message, ROUTER, speaker)]


def test_a_message_is_one_of_styled_text() -> None:
    assert texts(said("# Plan\n- **go**")) == ["**Plan**\n• **go**"]


@pytest.mark.parametrize("text", ["", " \n\t", "\0", "```\n```"])
def test_what_says_nothing_is_no_message(text: str) -> None:
    assert letters(said(text), ROUTER) == ()


def test_a_person_who_speaks_through_our_account_is_named() -> None:
    assert texts(said("hello"), "Ada") == ["**Ada:** hello"]
    # Attack: a name that ends the style, or hides what follows.
    (text,) = texts(said("hello"), "A**da||\\")
    assert as_the_service_reads(text).text == "A**da||\\: hello"


@pytest.mark.parametrize("piece", ["word ", "a_*b* ", "🎉", "`c` ", "para\n\n", "- **x**\n", "x"])
def test_a_long_message_is_several(piece: str) -> None:
    text = piece * (12_000 // len(piece))
    found = texts(said(text))
    assert len(found) > 2
    assert all(utf16_units(one) <= MAX_UNITS for one in found)
    seen = "".join(as_the_service_reads(one).text for one in found)
    assert alnum(seen) == alnum(text)
    # No style stays open: its sign would be lost, and the rest of it plain.
    assert not any(set("*`~") & set(as_the_service_reads(one).text) for one in found)


def alnum(text: str) -> str:
    return "".join(char for char in text if char.isalnum() or char == "🎉")


def test_a_file_goes_with_the_last_message_and_no_path_of_ours() -> None:
    announced = said("📎 a chart.png (12 B)\nIt is kept on my machine: /data/files", ROUTER, FILE)
    (letter,) = letters(announced, ROUTER)
    assert letter.text == "📎 a chart.png (12 B)"
    assert letter.files == (HandedOver(DIGEST, "a chart.png", "image/png"),)


def test_a_file_without_words_is_a_message() -> None:
    announced = said("\nkept at /data", ROUTER, FILE)
    (letter,) = letters(announced, ROUTER)
    assert (letter.text, len(letter.files)) == ("", 1)


@pytest.mark.parametrize(
    "tag",
    [
        ("imeta", "x " + "z" * 64, "name a"),
        ("imeta", f"x {DIGEST}"),
        ("imeta", f"x {DIGEST}", "name "),
        ("imeta", f"x {DIGEST}", "name a", "path received/a.png"),
        ("imeta",),
        ("e", DIGEST),
    ],
)
def test_what_names_no_file_that_was_handed_over(tag: Tag) -> None:
    """Attack: what people sent into the group goes out again in the assistant's name."""
    assert handed_over(said("x", ROUTER, tag), ROUTER) == ()


def test_only_the_router_says_that_a_file_was_handed_over() -> None:
    """Attack: an agent names the hash of another group's file."""
    assert handed_over(said("x", BOT, FILE), ROUTER) == ()
    assert says_something(said("", ROUTER, FILE), ROUTER)
    assert not says_something(said("", BOT, FILE), ROUTER)


def test_a_type_that_is_none() -> None:
    tag = ("imeta", f"x {DIGEST}", "m image/png; a=b", "name a")
    (file,) = handed_over(said("x", ROUTER, tag), ROUTER)
    assert file.media_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        ("+", "👍"), ("", "👍"), ("-", "👎"), ("❤️", "❤️"), ("🤙🏽", "🤙🏽"),
        (":soapbox:", None), ("ok", None), ("1", None), ("🎉 party", None), ("👍" * 30, None),
        ("--version", None),
    ],
)  # fmt: skip
def test_signs(sign: str, expected: str | None) -> None:
    assert emoji(sign) == expected


def test_what_is_shown_of_a_quoted_message() -> None:
    assert quoted_text(said("**a** " + "b" * 500), ROUTER) == ("a " + "b" * 500)[:200]
    # Attack: an agent quotes the announcement of its file: folders of this machine are shown.
    announced = said("📎 a chart.png (12 B)\nIt is kept on my machine: /home/a", ROUTER, FILE)
    assert quoted_text(announced, ROUTER) == "📎 a chart.png (12 B)"


def test_a_delivery_s_way() -> None:
    waiting = pending(EVENT, ["one", "two"], 5)
    assert waiting.relays == (RelayState("signal", Status.PENDING, "", 5),)
    assert [conversation_of(waiting, part) for part in (1, 2, 3)] == ["one", "two", "one"]
    first = begun(waiting, 1)
    assert first.sending == (1,)
    assert begun(first, 1).sending == (1,)
    again = not_begun(first, 1, "not there")
    assert (again.sending, again.relays) == (
        (), (RelayState("signal", Status.PENDING, "not there", 5),)
    )  # fmt: skip
    gone = answered(begun(again, 1), 1, 1_700_000_000_123, DIGEST)
    assert (gone.sent, gone.sending, gone.known_as) == (
        (Sent(1, 1_700_000_000_123),), (), (DIGEST,)
    )  # fmt: skip
    second = answered(begun(gone, 2), 2, 0, None)
    assert second.known_as == (DIGEST,)
    done = settled(second, Status.OK, "", 9)
    assert done.delivered
    assert not done.is_pending
    for each in (waiting, first, again, gone, second, done):
        assert deliveries.parse(deliveries.template(each, BRIDGE, 7)) == each


def test_a_part_in_doubt_stays_so_while_others_go() -> None:
    doubt = begun(answered(begun(pending(EVENT, ["a"], 5), 1), 1, 7, None), 2)
    third = answered(begun(doubt, 3), 3, 8, None)
    assert (third.sending, [one.part for one in third.sent]) == ((2,), [1, 3])
    assert replace(third, sending=()).sent == third.sent
