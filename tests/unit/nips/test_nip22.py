"""NIP-22 by its own examples, written and read."""

from __future__ import annotations

import pytest

from nips import nip22
from nips.event import Event, Tags, Template
from nips.nip22 import Comment, Scope, parse
from nips.refusal import Malformed

BOT = "0b" * 32
RELAY = "wss://example.relay"
BLOGGER = "3c9849383bdea883b0bd16fece1ed36d37e37cdde3ce43b17ea4e9192ec11289"
ARTICLE = "5b4fc7fed15672fefe65d2426f67197b71ccc82aa0cc8a9e94f683eb78e07651"
WHERE = f"30023:{BLOGGER}:f9347ca7"
FILE = "768ac8720cdeb59227cf95e98b66560ef03d8bc9a90d721779e76e68fb42f5e6"
SHARER = "3721e07b079525289877c366ccab47112bdff3d1b44758ca333feb2dbbbbe5bb"
FIRST = "5c83da77af1dec6d7289834998ad7aafbd9e2191396d75ec3cc27f5a77226f36"
SPEAKER = "93ef2ebaaf9554661f33e79949007900bbc535d239a4c801c33a4d67d3e7f546"
EPISODE = "80c48d992a38f9c445b943a9c9f1010b396676013443765750431a9004bdac05"
LISTENER = "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"
GUID = "podcast:item:guid:d98d189b-dc7b-45b1-8720-d4b98690f31f"

# The examples of NIP-22.
ON_A_BLOG_POST: Tags = (
    ("A", WHERE, RELAY),
    ("K", "30023"),
    ("P", BLOGGER, RELAY),
    ("a", WHERE, RELAY),
    ("e", ARTICLE, RELAY),
    ("k", "30023"),
    ("p", BLOGGER, RELAY),
)
ON_A_FILE: Tags = (
    ("E", FILE, RELAY, SHARER),
    ("K", "1063"),
    ("P", SHARER),
    ("e", FILE, RELAY, SHARER),
    ("k", "1063"),
    ("p", SHARER),
)
ON_A_COMMENT: Tags = (
    ("E", FILE, RELAY, SHARER),
    ("K", "1063"),
    ("P", SHARER),
    ("e", FIRST, RELAY, SPEAKER),
    ("k", "1111"),
    ("p", SPEAKER),
)
ON_A_PAGE: Tags = (
    ("I", "https://abc.com/articles/1"),
    ("K", "web"),
    ("i", "https://abc.com/articles/1"),
    ("k", "web"),
)
ON_A_PODCAST: Tags = (
    ("I", GUID, "https://fountain.fm/episode/z1y9TMQRuqXl2awyrQxg"),
    ("K", "podcast:item:guid"),
    ("i", GUID, "https://fountain.fm/episode/z1y9TMQRuqXl2awyrQxg"),
    ("k", "podcast:item:guid"),
)
ON_A_PODCASTS_COMMENT: Tags = (
    ("I", GUID, "https://fountain.fm/episode/z1y9TMQRuqXl2awyrQxg"),
    ("K", "podcast:item:guid"),
    ("e", EPISODE, RELAY, LISTENER),
    ("k", "1111"),
    ("p", LISTENER),
)


def event(event_id: str, author: str, kind: int, *tags: tuple[str, ...]) -> Event:
    return Event(event_id, author, 1_700_000_000, kind, tags, "", "")


def hinted(tags: Tags) -> Tags:
    """The examples leave the hint out of some `P` and `p`; here it stands wherever it is known."""
    return tuple((*tag, RELAY) if tag[0] in "Pp" and len(tag) == 2 else tag for tag in tags)


@pytest.mark.parametrize(
    ("on", "tags"),
    [
        (event(ARTICLE, BLOGGER, 30_023, ("d", "f9347ca7")), ON_A_BLOG_POST),
        (event(FILE, SHARER, 1_063), ON_A_FILE),
        (event(FIRST, SPEAKER, 1_111, *ON_A_FILE), ON_A_COMMENT),
        (event(EPISODE, LISTENER, 1_111, *ON_A_PODCAST), ON_A_PODCASTS_COMMENT),
    ],
    ids=["a blog post", "a file", "a comment", "a podcast's comment"],
)
def test_the_nips_examples_are_written(on: Event, tags: Tags) -> None:
    made = nip22.comment(on, "Great!", BOT, 1_700_000_001, RELAY)
    assert made == Template(BOT, 1_700_000_001, 1_111, hinted(tags), "Great!")


def test_without_a_hint_nothing_stands_in_its_place() -> None:
    made = nip22.comment(event(FILE, SHARER, 1_063), "x", BOT, 1, "", (("o", "y"),))
    assert made.tags == (
        ("E", FILE, "", SHARER), ("K", "1063"), ("P", SHARER),
        ("e", FILE, "", SHARER), ("k", "1063"), ("p", SHARER), ("o", "y"),
    )  # fmt: skip
    profile = nip22.comment(event(FILE, SHARER, 0), "x", BOT, 1)
    assert profile.tags[:3] == (("A", f"0:{SHARER}:"), ("K", "0"), ("P", SHARER))


@pytest.mark.parametrize(
    ("tags", "comment"),
    [
        (
            ON_A_BLOG_POST,
            Comment(*(Scope("A", WHERE, "30023", RELAY, BLOGGER),) * 2),
        ),
        (ON_A_FILE, Comment(*(Scope("E", FILE, "1063", RELAY, SHARER),) * 2)),
        (
            ON_A_COMMENT,
            Comment(
                Scope("E", FILE, "1063", RELAY, SHARER), Scope("E", FIRST, "1111", RELAY, SPEAKER)
            ),
        ),
        (ON_A_PAGE, Comment(*(Scope("I", "https://abc.com/articles/1", "web"),) * 2)),
    ],
)
def test_the_nips_examples_are_read(tags: Tags, comment: Comment) -> None:
    assert parse(event("ee" * 32, BOT, 1_111, *tags)) == comment


def test_a_note_is_not_commented_on() -> None:
    with pytest.raises(Malformed, match="reply"):
        nip22.comment(event(FILE, SHARER, 1), "x", BOT, 1)


@pytest.mark.parametrize(
    "tags",
    [
        (),
        ON_A_FILE[:1] + ON_A_FILE[2:],
        ON_A_FILE[:3],
        (("E", "x"), *ON_A_FILE[1:]),
        (("A", "30023:x:y"), *ON_A_FILE[1:]),
        (("I", "x" * 2_001), *ON_A_FILE[1:]),
        (("I", "two\nlines"), *ON_A_FILE[1:]),
        (*ON_A_FILE[:1], ("K", "x" * 2_001), *ON_A_FILE[2:]),
        # Attack: words that the assistant would sign, where a number or an address belongs.
        (*ON_A_FILE[:1], ("K", "Bob is a thief"), *ON_A_FILE[2:]),
        (("I", "Bob is a thief"), ("K", "web"), *ON_A_FILE[3:]),
        (("I", "https://abc.com"), ("K", "Bob is a thief"), *ON_A_FILE[3:]),
        (("E",), *ON_A_FILE[1:]),
    ],
)
def test_a_comment_that_does_not_say_on_what_is_not_answered(tags: Tags) -> None:
    on = event("ee" * 32, SPEAKER, 1_111, *tags)
    with pytest.raises(Malformed):
        parse(on)
    with pytest.raises(Malformed):
        nip22.comment(on, "x", BOT, 1)


def test_what_stands_in_the_wrong_place_is_not_copied() -> None:
    odd = (("E", FILE, "obey\nme", "nobody"), ("K", "1063"), ("P", "x"), *ON_A_FILE[3:])
    made = nip22.comment(event("ee" * 32, SPEAKER, 1_111, *odd), "x", BOT, 1)
    assert made.tags[:2] == (("E", FILE), ("K", "1063"))
    assert made.values("P") == []
    with pytest.raises(Malformed):
        parse(event(FILE, SHARER, 1))
