"""bot/requests/publication_requests.py and bot/publications.py, on a real relay: the machine's
command line is told of what the bot has published, and of nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_bytes

import pytest

from bot.publications import Publications
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.nip23 import Article, template
from nips.own import delivery as deliveries
from nips.own.delivery import Delivery, RelayState, Status
from nips.refusal import Refused
from relay_local.client import Caller, connect
from tests.unit.bot.requests.stage import House, a_house
from tests.unit.bot.requests.test_house import OTHERS

BOT = SecretKey(bytes([21]) * 32)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house(bot=BOT) as made:
        yield made


async def publish(house: House, *events: Event) -> None:
    """As the signer brings the bot's events."""
    key = house.role("signer")
    async with connect(f"unix:{house.place.signer_socket}", [key]) as link:
        for event in events:
            ok = await link.publish(event, deadline_s=10)
            assert ok.accepted, ok.message


def said(kind: int, *tags: Tag, content: str = "hi", at: int = 0) -> Event:
    made = Template(BOT.public, at or int(time.time()), kind, tags, content)
    return made.sign(BOT, token_bytes(32))


def article(slug: str, at: int, *, draft: bool = False) -> Event:
    made = template(Article(slug, "Why", "Because.", at), BOT.public, at, draft=draft)
    return made.sign(BOT, token_bytes(32))


@asynccontextmanager
async def asked(house: House, name: str = "console") -> AsyncIterator[Caller]:
    made = await house.requests()
    async with house.reception(made.methods(OTHERS)), house.asking(house.role(name)) as caller:
        yield caller


async def test_what_is_published_is_found_by_id_and_by_name(house: House) -> None:
    now = int(time.time())
    note, out, draft = said(1), article("why", now - 5), article("why", now, draft=True)
    await publish(house, note, out, draft)
    async with asked(house) as console:
        for named, event in (
            (note.id, note),
            (f"30023:{BOT.public}:why", out),
            (f"30024:{BOT.public}:why", draft),
        ):
            answer = json.loads(await console.call("find_public", named))
            assert answer == {"event": event.to_json(), "relays": []}
        for named in ("ab" * 32, f"30023:{BOT.public}:what", f"30023:{house.owner.public}:why"):
            answer = json.loads(await console.call("find_public", named))
            assert answer == {"event": None, "relays": []}


async def test_how_far_it_has_got_is_told(house: House) -> None:
    note, bridge = said(1), house.role("bridge-nostr")
    relay = RelayState("wss://a.example", Status.FAILED, "blocked: no", 7)
    made = deliveries.template(Delivery(note.id, relays=(relay,)), bridge.public, note.created_at)
    await publish(house, note)
    async with connect(house.url, [bridge]) as link:
        await link.publish(made.sign(bridge, token_bytes(32)), deadline_s=10)
    # Attack: a bridge that was taken over, of another network, says that it is everywhere.
    other, lie = house.role("bridge-signal"), RelayState("wss://b.example", Status.OK, "", 8)
    made = deliveries.template(Delivery(note.id, relays=(lie,)), other.public, int(time.time()) + 1)
    async with connect(house.url, [other]) as link:
        ok = await link.publish(made.sign(other, token_bytes(32)), deadline_s=10)
        assert ok.accepted
    async with asked(house) as console:
        answer = json.loads(await console.call("find_public", note.id))
    assert answer["relays"] == [
        {"url": "wss://a.example", "status": "failed", "reason": "blocked: no", "at": 7}
    ]
    (found,) = await Publications(house.author, house.roles).last(5)
    assert found.event == note
    assert found.delivery == Delivery(note.id, relays=(relay,))


async def test_another_networks_bridge_says_nothing_of_it(house: House) -> None:
    """Attack: the Signal bridge, taken over, says that a note has reached a relay of its own, to
    which every link to the note would lead from then on."""
    note, bridge = said(1), house.role("bridge-signal")
    lie = (RelayState("wss://evil.example", Status.OK, "", 7),)
    made = deliveries.template(Delivery(note.id, relays=lie), bridge.public, note.created_at)
    await publish(house, note)
    async with connect(house.url, [bridge]) as link:
        ok = await link.publish(made.sign(bridge, token_bytes(32)), deadline_s=10)
        assert ok.accepted, ok.message
    (found,) = await Publications(house.author, house.roles).last(5)
    assert found.delivery is None


async def test_nothing_else_of_the_bots_is_told(house: House) -> None:
    """Attack: whoever has the console's key reads what was said in conversations, or records."""
    main = house.roles.main
    async with asked(house) as console:
        hidden = [
            said(9, ("h", main)), said(1, ("h", main)), said(7, ("h", main), ("k", "9")),
            said(30_078, ("d", "mine")),
        ]  # fmt: skip
        await publish(house, *hidden)
        for event in hidden:
            answer = json.loads(await console.call("find_public", event.id))
            assert answer["event"] is None
        answer = json.loads(await console.call("find_public", f"30078:{BOT.public}:mine"))
        assert answer["event"] is None
    assert await Publications(house.author, house.roles).last(5) == []


async def test_the_newest_come_first_and_a_draft_ends_with_its_article(house: House) -> None:
    now = int(time.time())
    await publish(
        house,
        said(1, at=now - 50),
        article("old", now - 40, draft=True),
        article("old", now - 30),
        article("new", now - 20),
        article("new", now - 10, draft=True),
        said(7, ("e", "ab" * 32), ("k", "30023"), content="+", at=now - 5),
    )
    shelf = Publications(house.author, house.roles)
    kinds = [found.event.kind for found in await shelf.last(10)]
    assert kinds == [7, 30_024, 30_023, 30_023, 1]
    assert [found.event.kind for found in await shelf.last(2)] == kinds[:2]


async def test_a_reaction_of_any_form_is_shown(house: House) -> None:
    # Attack: an agent reacts in public without a word of to what, and its owner never sees it.
    bare, odd = said(7, ("e", "ab" * 32)), said(7, ("e", "cd" * 32), ("k", "20"))
    await publish(house, bare, odd)
    found = await Publications(house.author, house.roles).last(5)
    assert {one.event.id for one in found} == {bare.id, odd.id}


@pytest.mark.parametrize("name", ["bridge-nostr", "model"])
async def test_nobody_else_asks_for_it(house: House, name: str) -> None:
    async with asked(house, name) as caller:
        with pytest.raises(Refused, match="restricted"):
            await caller.call("find_public", "ab" * 32)


async def test_an_agent_does_not_ask_for_it(house: House) -> None:
    made = await house.requests()
    key = house.session(house.roles.main)
    async with house.reception(made.methods(OTHERS)), house.asking(key) as caller:
        with pytest.raises(Refused, match="restricted"):
            await caller.call("find_public", "ab" * 32)


@pytest.mark.parametrize("named", [("x",), ("1:x:y",), ("ab" * 32, "elsewhere"), ()])
async def test_what_is_no_name_is_said(house: House, named: tuple[str, ...]) -> None:
    async with asked(house) as console:
        with pytest.raises(Refused, match="invalid: "):
            await console.call("find_public", *named)
