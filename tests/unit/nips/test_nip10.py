"""NIP-10 by its own words: markers, the deprecated places, and the thread's people."""

from __future__ import annotations

import pytest

from nips import nip10
from nips.event import Event, Tags
from nips.nip10 import MAX_PEOPLE, Thread, parse
from nips.reference import Pointer
from nips.refusal import Malformed

BOT, A1, P1, P2, P3 = ("0b" * 32, "a1" * 32, "d1" * 32, "d2" * 32, "d3" * 32)
ROOT, MIDDLE, MENTIONED = "01" * 32, "02" * 32, "03" * 32
RELAY = "wss://relay.example"


def note(*tags: tuple[str, ...], kind: int = 1) -> Event:
    return Event("ee" * 32, A1, 1_700_000_000, kind, tags, "hello", "")


def answered(*tags: tuple[str, ...], relay: str = "") -> Tags:
    made = nip10.reply(note(*tags), "hi", BOT, 1_700_000_001, relay)
    assert (made.kind, made.pubkey, made.content) == (1, BOT, "hi")
    return made.tags


def test_a_direct_reply_has_a_single_marked_tag() -> None:
    assert answered() == (("e", "ee" * 32, "", "root", A1), ("p", A1))
    assert answered(relay=RELAY)[0] == ("e", "ee" * 32, RELAY, "root", A1)


def test_a_reply_to_a_reply_names_the_root_and_then_what_it_answers() -> None:
    tags = answered(("e", ROOT, RELAY, "root", P1), ("e", MIDDLE, "", "reply", P2))
    assert tags == (
        ("e", ROOT, RELAY, "root", P1),
        ("e", "ee" * 32, "", "reply", A1),
        ("p", A1),
    )
    # Where the root's author is not known nothing stands in that place.
    assert answered(("e", ROOT, "", "root"))[0] == ("e", ROOT, "", "root")


def test_the_people_are_those_of_the_nips_example() -> None:
    """NIP-10: authored by `a1` with [`p1`, `p2`, `p3`], the reply's are [`a1`, `p1`, `p2`, `p3`]"""
    tags = answered(("p", P1), ("p", P2, RELAY), ("p", P3), ("p", P1), ("p", "nobody"), ("p",))
    assert [tag for tag in tags if tag[0] == "p"] == [("p", key) for key in (A1, P1, P2, P3)]


def test_a_note_that_names_thousands_calls_few_of_them() -> None:
    crowd = [("p", f"{number:064x}") for number in range(5_000)]
    people = [tag for tag in answered(*crowd) if tag[0] == "p"]
    assert people[0] == ("p", A1)
    assert len(people) == MAX_PEOPLE


def test_another_kind_is_not_answered_by_a_note() -> None:
    for kind in (0, 7, 1_111, 30_023):
        with pytest.raises(Malformed, match="comment"):
            nip10.reply(note(kind=kind), "hi", BOT, 1)


@pytest.mark.parametrize(
    ("tags", "root", "parent"),
    [
        ((), None, None),
        ((("e", ROOT, "", "root"),), ROOT, ROOT),
        ((("e", MIDDLE, "", "reply"), ("e", ROOT, "", "root")), ROOT, MIDDLE),
        ((("e", MIDDLE, "", "reply"),), MIDDLE, MIDDLE),
        ((("e", MENTIONED, "", "mention"),), None, None),
        ((("e", MENTIONED, "", "mention"), ("e", ROOT, "", "root")), ROOT, ROOT),
        ((("e", MENTIONED), ("e", ROOT, "", "root")), ROOT, ROOT),
        ((("e", ROOT),), ROOT, ROOT),
        ((("e", ROOT), ("e", MIDDLE, RELAY)), ROOT, MIDDLE),
        ((("e", ROOT, "", P1), ("e", MENTIONED), ("e", MIDDLE)), ROOT, MIDDLE),
        ((("e", "x"), ("e",), ("q", ROOT)), None, None),
        ((("e", "x", "", "root"), ("e", MIDDLE, "", "reply")), MIDDLE, MIDDLE),
    ],
)
def test_what_a_note_answers_is_read(tags: Tags, root: str | None, parent: str | None) -> None:
    found = parse(note(*tags))
    assert (found.root and found.root.id, found.parent and found.parent.id) == (root, parent)


def test_what_is_written_is_read_back() -> None:
    made = nip10.reply(note(("e", ROOT, RELAY, "root", P1)), "hi", BOT, 1, RELAY, (("o", "x"),))
    assert parse(made) == Thread(Pointer(ROOT, RELAY, P1), Pointer("ee" * 32, RELAY, A1))
    assert made.tags[-1] == ("o", "x")
