"""A reader's place: round trip, and what is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.own.place import Place, parse, template
from nips.refusal import Malformed

AUTHOR = "0a" * 32
PLACE = Place("router", "b1946ac9", 42)


PENDING = ("0a" * 32, "0b" * 32)


@pytest.mark.parametrize(
    "place", [PLACE, Place("bridge/nostr", "", 0), replace(PLACE, pending=PENDING)]
)
def test_round_trip(place: Place) -> None:
    event = template(place, AUTHOR, 7)
    assert parse(event, AUTHOR) == place
    assert event.tag("d") == f"place/{place.reader}"


def test_the_documented_form() -> None:
    assert template(PLACE, AUTHOR, 7).content == '{"epoch":"b1946ac9","seq":42}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"epoch":"e"}',
        '{"seq":1}',
        '{"epoch":1,"seq":1}',
        '{"epoch":"e","seq":-1}',
        '{"epoch":"e","seq":true}',
        '{"epoch":"e","seq":1,"more":1}',
        '{"epoch":"e","seq":1,"pending":"0a"}',
        '{"epoch":"e","seq":1,"pending":["0a"]}',
        '{"epoch":"e","seq":1,"pending":[7]}',
    ],
)
def test_a_wrong_content(content: str) -> None:
    with pytest.raises(Malformed):
        parse(replace(template(PLACE, AUTHOR, 7), content=content), AUTHOR)


def test_what_is_no_place() -> None:
    event = template(PLACE, AUTHOR, 7)
    for bad in (
        replace(event, kind=1),
        replace(event, pubkey="0b" * 32),
        replace(event, tags=()),
        replace(event, tags=(("d", "place/"),)),
        replace(event, tags=(("d", "router"),)),
    ):
        with pytest.raises(Malformed):
            parse(bad, AUTHOR)
