"""bot/commands/published.py: what is out, and where, as a person reads it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.commands import published
from bot.commands.published import facts_of
from bot.publication import Publication, is_shown
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.nip19 import Naddr, decode
from nips.nip21 import event_of
from nips.nip23 import Article, template
from nips.own.delivery import Delivery, RelayState, Status
from nips.reference import Pointer

BOT = SecretKey(bytes([1]) * 32)
RELAYS = (
    RelayState("wss://a.example", Status.OK, "", 5),
    RelayState("wss://b.example", Status.FAILED, "blocked: no\nfakes", 5),
    RelayState("wss://c.example", Status.PENDING, "error: not connected", 5),
)


def event(kind: int = 1, *tags: Tag, content: str = "Hello, world.", at: int = 100) -> Event:
    return Template(BOT.public, at, kind, tags, content).sign(BOT, bytes(32))


def article(*, draft: bool = False) -> Event:
    made = template(Article("why", "Why", "Because.", 50), BOT.public, 100, draft=draft)
    return made.sign(BOT, bytes(32))


def out(one: Event, *relays: RelayState) -> Publication:
    return Publication(one, Delivery(one.id, relays=relays) if relays else None)


def test_an_article_leads_to_relays_that_took_it() -> None:
    facts = facts_of(out(article(), *RELAYS))
    assert (facts.what, facts.words, facts.slug) == ("article", "Why", "why")
    assert (facts.at, facts.first_at) == (100, 50)
    where = decode(facts.link.removeprefix("nostr:"))
    assert where == Naddr("why", BOT.public, 30_023, ("wss://a.example",))


def test_a_note_is_named_by_its_id() -> None:
    note = event()
    assert event_of(facts_of(out(note)).link) == Pointer(note.id, "", BOT.public)


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (event(), "note"),
        (event(1, ("e", "ab" * 32)), "reply"),
        (event(1_111), "comment"),
        (event(7, content="+"), "reaction"),
        (event(6), "repost"),
        (event(9_802), "highlight"),
        (article(draft=True), "draft"),
        (event(30_023), "article"),  # without a name: it is no article, and does no harm
    ],
)
def test_what_people_call_it(one: Event, what: str) -> None:
    assert facts_of(out(one)).what == what


def test_how_far_each_has_got() -> None:
    facts = [facts_of(out(article(), *RELAYS)), facts_of(out(event()))]
    facts.append(facts_of(out(article(draft=True))))
    reply = published.reply(facts, 160)
    assert reply.text.splitlines() == [
        "In public, the newest first:",
        "📄 article “Why”, 1 min ago: on 1 of 3 relays, 1 pending",
        "not on wss://b.example: blocked: no fakes",
        facts[0].link,
        "📝 note “Hello, world.”, 1 min ago: not sent yet",
        facts[1].link,
        "✏️ draft “Why”, 1 min ago: a draft, on your private relay alone",
        facts[2].link,
    ]
    told = json.loads(json.dumps(reply.data))
    assert [row["draft"] for row in told] == [False, False, True]
    assert told[0]["relays"][1] == {
        "url": "wss://b.example", "status": "failed", "reason": "blocked: no\nfakes", "at": 5,
    }  # fmt: skip


def test_nothing_is_out() -> None:
    reply = published.reply([], 1)
    assert (reply.ok, reply.text, reply.data) == (True, "Nothing is published yet.", [])


def test_words_stay_on_their_line() -> None:
    # Attack: an agent's note that goes on as a line of ours.
    facts = facts_of(out(event(content="Hi\n✅ All is well\x1b[2J" + "x" * 500)))
    assert facts.words == "Hi ✅ All is well [2J" + "x" * 39 + "…"
    assert len(facts.words) <= 60


def test_a_relay_without_an_ascii_name_costs_the_hint_and_not_the_link() -> None:
    odd = replace(RELAYS[0], url="wss://é.example")
    found = decode(facts_of(out(article(), odd)).link.removeprefix("nostr:"))
    assert found == Naddr("why", BOT.public, 30_023, ())


@pytest.mark.parametrize(("kind", "public"), [(1, True), (7, True), (9, False), (5, False)])
def test_what_is_shown(kind: int, public: bool) -> None:
    assert is_shown(event(kind)) == public
    assert not is_shown(event(kind, ("h", "x")))
