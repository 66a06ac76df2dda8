"""bot/operate/publishable.py: the same publication is the same event, and another one is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.operate import publishable
from bot.operate.publishable import Now
from nips import nip23
from nips.event import Event, Template
from nips.key import SecretKey
from nips.nip23 import Article
from nips.refusal import Malformed

KEY, ANN = (SecretKey(bytes([n]) * 32) for n in (1, 2))
NOW = Now(KEY.public, 1_000)
LATER = replace(NOW, at=2_000)
AGAIN = replace(LATER, again="x")
WHY = Article("why", "Why", "Because.", 900, topics=("nostr",))


def signed(template: Template, by: SecretKey = KEY) -> Event:
    return template.sign(by, bytes(32))


NOTE = signed(Template(ANN.public, 500, 1, (), "hi"), ANN)
OUT = signed(publishable.article(NOW, WHY, None))


def once(template: Template) -> str:
    [value] = template.values("o")
    assert len(value) == 64
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda now: publishable.note(now, "hi"),
        lambda now: publishable.reply(now, NOTE, "hi"),
        lambda now: publishable.comment(now, OUT, "hi"),
        lambda now: publishable.reaction(now, NOTE, "+"),
        lambda now: publishable.article(now, WHY, None),
        lambda now: publishable.article(now, WHY, OUT),
        lambda now: publishable.article(now, WHY, None, draft=True),
    ],
)
def test_said_again_it_is_known_unless_it_is_meant_anew(make: Callable[[Now], Template]) -> None:
    assert once(make(NOW)) == once(make(LATER)) != once(make(AGAIN))
    assert make(NOW).pubkey == KEY.public
    assert not make(NOW).values("h")


def test_nobody_else_knows_its_key() -> None:
    # Attack: an agent has published something, and uses up the key of its retraction.
    mine = replace(NOW, salt="known to the command line")
    assert once(publishable.retraction(mine, NOTE)) != once(publishable.retraction(NOW, NOTE))


def test_no_two_things_share_a_once_key() -> None:
    other = replace(NOTE, id="ee" * 32)
    made = [
        publishable.note(NOW, "hi"),
        publishable.note(NOW, "ho"),
        publishable.reply(NOW, NOTE, "hi"),
        publishable.reply(NOW, other, "hi"),
        publishable.comment(NOW, OUT, "hi"),
        publishable.reaction(NOW, NOTE, "+"),
        publishable.reaction(NOW, NOTE, "-"),
        publishable.retraction(NOW, NOTE),
        publishable.retraction(NOW, OUT),
        publishable.article(NOW, WHY, None),
        publishable.article(NOW, WHY, None, draft=True),
        publishable.article(NOW, replace(WHY, slug="why-not"), None),
        publishable.article(NOW, replace(WHY, title="Why?"), None),
        publishable.article(NOW, replace(WHY, text="x"), None),
        publishable.article(NOW, replace(WHY, topics=()), None),
    ]
    assert len({once(template) for template in made}) == len(made)


def test_an_author_may_return_to_old_words() -> None:
    """Else the signer would answer with the first version, which the relay has replaced."""
    second = signed(publishable.article(LATER, replace(WHY, text="x"), OUT))
    third = publishable.article(LATER, WHY, second)
    assert once(third) not in (once(OUT.template), once(second.template))


def test_a_new_version_comes_after_the_old_one() -> None:
    # Two in one second tie, and the lower id wins.
    assert publishable.article(NOW, WHY, OUT).created_at == OUT.created_at + 1
    assert publishable.article(LATER, WHY, OUT).created_at == LATER.at


def test_what_is_the_same_is_seen() -> None:
    assert publishable.is_same(replace(WHY, published_at=None), OUT)
    for change in ({"title": "x"}, {"text": "x"}, {"summary": "x"}, {"topics": ()}):
        assert not publishable.is_same(replace(WHY, **change), OUT)
    assert nip23.parse(OUT) == WHY


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), (" \n", "empty"), ("é" * 30_001, "60,002 bytes; at most 60,000")],
)
def test_empty_and_endless_texts(text: str, words: str) -> None:
    for make in (publishable.note, lambda now, text: publishable.reply(now, NOTE, text)):
        with pytest.raises(Malformed, match=words):
            make(NOW, text)


def test_each_is_answered_in_its_own_way() -> None:
    with pytest.raises(Malformed, match="comment"):
        publishable.reply(NOW, OUT, "hi")
    with pytest.raises(Malformed, match="reply"):
        publishable.comment(NOW, NOTE, "hi")
    with pytest.raises(Malformed, match="one emoji"):
        publishable.reaction(NOW, NOTE, "very nice")
