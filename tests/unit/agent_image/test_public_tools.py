"""agent_image/agent/public_tools.py: the program against a real relay, a real signer and the
router's own `find_published`; what public relays hold is given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_bytes
from typing import Any

import pytest

from bot.author import Author
from bot.jobs import Job
from bot.requests.callers import Session
from bot.requests.methods import Asked, Method, table
from bot.requests.published_requests import PublishedRequests
from bot.requests.reception import Reception
from nips import nip19
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.nip19 import encode_naddr
from nips.own import public_query
from nips.refusal import Malformed, Prefix, refused
from tests.unit.agent_image.stage import Stage, a_stage

ANN = SecretKey.generate(token_bytes)
RELAY = "wss://relay.example"
ROOT = "12" * 32


def by_ann(kind: int, *tags: tuple[str, ...], content: str = "") -> Event:
    return Template(ANN.public, 1_700_000_000, kind, tags, content).sign(ANN, token_bytes(32))


NOTE = by_ann(1, ("e", ROOT, RELAY, "root"), ("p", "34" * 32), content="They wait.")
ARTICLE = by_ann(30_023, ("d", "herons"), ("title", "Herons"), content="x" * 20_000)
IN_A_GROUP = by_ann(9, *((("t", "x"),) * 20), ("h", "a-group"), content="among us")
CROWDED = by_ann(1, *((("p", "34" * 32),) * 50), content="all of you")


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made:
        yield made


@asynccontextmanager
async def a_router(stage: Stage, *, is_main: bool = True) -> AsyncIterator[list[dict[str, Any]]]:
    """A router that knows what the bot has published, and hands on Ann's events as the bridge
    does; yields what it was asked for."""
    asked_for: list[dict[str, Any]] = []

    async def nostr_query(asked: Asked) -> str:
        wanted = json.loads(asked.params[0])
        asked_for.append(wanted)
        try:
            judged = public_query.checked(Filter.from_json(wanted))
        except Malformed as error:
            raise refused(Prefix.INVALID, str(error)) from error
        found = [
            one for one in (NOTE, ARTICLE, IN_A_GROUP, CROWDED) if public_query.answers(judged, one)
        ]
        events, left_out = public_query.shown(found)
        return json.dumps({"events": events, "left_out": left_out, "relays": 1, "silent": 0})

    published = PublishedRequests(Author(stage.link, stage.router), stage.roles).find_published
    ours = (nostr_query, published)
    methods = table([Method(one.__name__, (Session,), one) for one in ours])
    job = Job("a" * 64, stage.group, ("b" * 64,), 0)
    reception = Reception(stage.link, stage.router, lambda key: Session(key, job, is_main), methods)
    serving = asyncio.create_task(reception.serve())
    await asyncio.wait_for(reception.ready.wait(), 20)
    try:
        yield asked_for
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def named(event: Event, relay: str = "") -> str:
    data = b"\x00\x20" + bytes.fromhex(event.id)
    data += b"\x01" + bytes([len(relay)]) + relay.encode() if relay else b""
    return "nostr:" + nip19.encode_bech32("nevent", data)


def marks(event: Event) -> tuple[tuple[str, ...], ...]:
    """The last four tags, which say of which job it came and that a program wrote it."""
    once, job, *labels = event.tags[-4:]
    assert (once[0], job[0]) == ("o", "job")
    assert labels == [("L", "agent"), ("l", "ai", "agent")]
    return event.tags[:-4]


async def test_a_note_is_answered_in_its_thread(stage: Stage) -> None:
    async with a_router(stage) as asked:
        said, reply = await stage.answers(f"/reply {named(NOTE, RELAY)} So they do.", kinds=None)
    assert asked == [{"ids": [NOTE.id], "limit": 1}]
    assert (said.kind, said.content) == (1, "So they do.")
    assert marks(said) == (
        ("e", ROOT, RELAY, "root"),
        ("e", NOTE.id, RELAY, "reply", ANN.public),
        ("p", ANN.public),
        ("p", "34" * 32),
    )
    assert reply.content == f"Signed and published, kind 1, id {said.id}"


async def test_an_article_is_commented_on_by_its_name(stage: Stage) -> None:
    naddr = encode_naddr("herons", ANN.public, 30_023, [RELAY])
    async with a_router(stage) as asked:
        said, _ = await stage.answers(f"/comment {naddr} A fine text", kinds=None)
    assert asked == [{"kinds": [30_023], "authors": [ANN.public], "#d": ["herons"], "limit": 1}]
    where = f"30023:{ANN.public}:herons"
    assert (said.kind, said.content) == (1_111, "A fine text")
    assert marks(said) == (
        ("A", where, RELAY), ("K", "30023"), ("P", ANN.public, RELAY), ("a", where, RELAY),
        ("e", ARTICLE.id, RELAY), ("k", "30023"), ("p", ANN.public, RELAY),
    )  # fmt: skip


async def test_a_reaction_is_public_or_in_its_group_and_never_both(stage: Stage) -> None:
    async with a_router(stage):
        said, _ = await stage.answers(f"/like {ARTICLE.id} 🪶", kinds=None)
        plus, _ = await stage.answers(f"/like {named(NOTE)}", kinds=None)
        here, _ = await stage.answers("/react 👍", kinds=None)
    where = f"30023:{ANN.public}:herons"
    assert (said.kind, said.content) == (7, "🪶")
    assert marks(said) == (
        ("e", ARTICLE.id, "", ANN.public), ("a", where, "", ANN.public), ("p", ANN.public),
        ("k", "30023"),
    )  # fmt: skip
    assert plus.content == "+"
    assert here.values("h") == [stage.group]
    for event in (said, plus):
        assert event.values("h") == []


async def test_the_bots_own_is_found_without_asking_public_relays(stage: Stage) -> None:
    async with a_router(stage) as asked:
        note, _ = await stage.answers("/note Look, a heron", kinds=None)
        said, _ = await stage.answers(f"/reply {note.id} And another", kinds=None)
        assert asked == []
    assert marks(said) == (("e", note.id, "", "root", note.pubkey), ("p", note.pubkey))


async def test_what_is_retracted_goes_after_the_owners_yes(stage: Stage) -> None:
    async with a_router(stage):
        note, _ = await stage.answers("/note A slip of the pen", kinds=None)
        (reply,) = await stage.answers(f"/retract {named(note)}", kinds=None)
        assert reply.content.startswith("I asked the owner: ")
        assert await stage.link.fetch([Filter(ids=frozenset({note.id}))]) == [note]
        await stage.approve("A slip of the pen")
        gone = await stage.first(Filter(kinds=frozenset({5})))
        assert marks(gone) == (("e", note.id), ("k", "1"))
        assert await stage.link.fetch([Filter(ids=frozenset({note.id}))]) == []
        await stage.answers("/draft Not yet\nx", kinds=None)
        naddr = encode_naddr("not-yet", stage.roles.bot, 30_024, ())
        (reply,) = await stage.answers(f"/comment {naddr} Fine", kinds=None)
        assert reply.content == "That did not work: a draft is for nobody else yet."
        await stage.answers(f"/retract {naddr}", kinds=None)
        await stage.approve("kind 30024, a draft of an article, named not-yet")
        where = f"30024:{stage.roles.bot}:not-yet"
        wanted = Filter(kinds=frozenset({5}), tags={"a": frozenset({where})})
        assert marks(await stage.first(wanted))[0] == ("a", where)
        assert await stage.link.fetch([Filter(kinds=frozenset({30_024}))]) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"/retract {NOTE.id}", "it is somebody else's"),
        (f"/reply {ARTICLE.id} x", "and this is kind 30023: comment"),
        (f"/comment {NOTE.id} x", "answered by a note, not by a comment: reply"),
        (f"/like {NOTE.id} two words", "a reaction is one emoji"),
        (f"/like {IN_A_GROUP.id}", "it belongs to a group"),
        (f"/reply {CROWDED.id} x", "more tags than are passed on"),
        (f"/like {'ab' * 32}", "no relay that was asked has this event"),
        (f"/like {encode_naddr('', ANN.public, 1_059, ())}", "kind 1059 is private"),
        ("/reply somebody x", "no event is named by this"),
    ],
    ids=str.split("others group-kind note words in-group crowded unknown private unnamed"),
)
async def test_what_cannot_be_answered_so_is_said(stage: Stage, text: str, sentence: str) -> None:
    async with a_router(stage):
        (reply,) = await stage.answers(text, kinds=None)
    assert reply.content.startswith("That did not work: ")
    assert sentence in reply.content


async def test_what_was_said_in_a_conversation_is_not_found(stage: Stage) -> None:
    """Attack: the bot's word in a group, or its question, answered or taken back in public."""
    async with a_router(stage):
        (said,) = await stage.answers("/say between us", kinds=None)
        for text in (f"/like {said.id}", f"/retract {said.id}", f"/comment {said.id} x"):
            (reply,) = await stage.answers(text, kinds=None)
            assert "no relay that was asked has this event" in reply.content


async def test_another_groups_agent_is_refused_by_router_and_signer(stage: Stage) -> None:
    async with a_router(stage, is_main=False) as asked:
        for text in (f"/like {NOTE.id}", f"/comment {ARTICLE.id} x", f"/retract {NOTE.id}"):
            (reply,) = await stage.answers(text, kinds=(7, 9))
            assert "the owner's own conversation" in reply.content
        assert asked == []
    async with a_router(stage):
        for text in (f"/like {NOTE.id}", f"/comment {ARTICLE.id} x", "/draft One\nx"):
            (reply,) = await stage.answers(text, kinds=(7, 9))
            assert reply.content.startswith("The signer refused: restricted: ")
