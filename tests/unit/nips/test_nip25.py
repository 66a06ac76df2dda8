"""NIP-25 by its own example code, and what others' reactions say."""

from __future__ import annotations

import pytest

from nips import nip25
from nips.event import Event, Tags
from nips.nip25 import Reaction, is_sign, parse
from nips.reference import Pointer
from nips.refusal import Malformed

BOT, LIKED, AUTHOR = "0b" * 32, "ab" * 32, "cd" * 32
RELAY = "wss://relay.example"


def event(kind: int = 1, *tags: tuple[str, ...], content: str = "") -> Event:
    return Event(LIKED, AUTHOR, 1, kind, tags, content, "")


def test_it_is_as_the_nips_example_makes_it() -> None:
    made = nip25.reaction(event(), "+", BOT, 2, RELAY)
    assert (made.kind, made.pubkey, made.created_at, made.content) == (7, BOT, 2, "+")
    assert made.tags == (("e", LIKED, RELAY, AUTHOR), ("p", AUTHOR, RELAY), ("k", "1"))


def test_what_is_addressable_is_named_by_its_coordinates_too() -> None:
    made = nip25.reaction(event(30_023, ("d", "herons")), "🪶", BOT, 2, "", (("o", "x"),))
    assert made.tags == (
        ("e", LIKED, "", AUTHOR),
        ("a", f"30023:{AUTHOR}:herons", "", AUTHOR),
        ("p", AUTHOR),
        ("k", "30023"),
        ("o", "x"),
    )
    where = f"30023:{AUTHOR}:herons"
    assert parse(made) == Reaction(Pointer(LIKED, "", AUTHOR), "🪶", where, 30_023)


@pytest.mark.parametrize("sign", ["", "two words", " +", "👍" * 17, "+\n"])
def test_words_are_no_reaction(sign: str) -> None:
    assert not is_sign(sign)
    with pytest.raises(Malformed):
        nip25.reaction(event(), sign, BOT, 2)


OTHER = "ef" * 32


@pytest.mark.parametrize(
    ("tags", "to"),
    [
        ((("e", LIKED), ("p", AUTHOR)), Pointer(LIKED, "", AUTHOR)),
        ((("e", LIKED, "", AUTHOR),), Pointer(LIKED, "", AUTHOR)),
        # NIP-25: the target is the last of each.
        ((("e", OTHER), ("e", LIKED), ("p", OTHER), ("p", AUTHOR)), Pointer(LIKED, "", AUTHOR)),
        ((("e", LIKED), ("e", "x"), ("p", "x")), Pointer(LIKED)),
    ],
)
def test_the_last_one_named_is_meant(tags: Tags, to: Pointer) -> None:
    assert parse(event(7, *tags, content="-")) == Reaction(to, "-")


def test_nothing_is_a_plus_and_a_reaction_to_nothing_is_none() -> None:
    assert parse(event(7, ("e", LIKED))).sign == "+"
    for odd in (event(7), event(7, ("e", "x")), event(1, ("e", LIKED))):
        with pytest.raises(Malformed):
            parse(odd)
    assert parse(event(7, ("e", LIKED), ("k", "x"), ("a", "y"))).kind is None
