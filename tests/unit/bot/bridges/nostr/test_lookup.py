"""bot/bridges/nostr/lookup.py: two real public relays asked by the real bridge, for the router and
for nobody else; and what a relay of bad will sends."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from dataclasses import replace
from secrets import token_bytes
from typing import Any

import pytest

from bot.bridges.nostr.lookup import MAX_FLOOD, _Question
from bot.jobs import Job
from bot.requests import query_requests
from bot.requests.callers import Session
from bot.requests.methods import Asked
from bot.requests.query_requests import MAX_OF_A_JOB, QueryRequests
from config.roles import read_key
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.refusal import Refused
from relay_local.client import Caller, Unanswered, connect
from tests.unit.bot.bridges.nostr.stage import Person, Stage

ANN, BOB = (SecretKey(bytes([n]) * 32) for n in (1, 2))
RELAYS = {"wss://a.example", "wss://b.example"}


def note(by: SecretKey, text: str, *tags: Tag, kind: int = 1, at: int = 0) -> Event:
    template = Template(by.public, at or int(time.time()), kind, tags, text)
    return template.sign(by, token_bytes(32))


@pytest.fixture
async def bridge(stage: Stage) -> Caller:
    """The router's way to the bridge, whose relays are all connected."""
    caller = Caller(stage.link, stage.router, stage.roles.bridges["nostr"])
    async with asyncio.timeout(30):
        while True:
            try:
                answer = json.loads(await caller.call("query", '{"kinds":[30023]}', deadline_s=20))
            except Refused:
                continue  # not connected yet
            if answer["relays"] == len(stage.public):
                return caller


async def found(bridge: Caller, **wanted: Any) -> list[str]:
    answer = json.loads(await bridge.call("query", json.dumps(wanted), deadline_s=20))
    assert (answer["relays"], answer["silent"]) == (2, 0)
    return [event["content"] for event in answer["events"]]


async def test_both_relays_are_asked_and_each_event_comes_once(
    stage: Stage, bridge: Caller, stranger: Person
) -> None:
    now, me = int(time.time()), stranger.secret
    on_a, on_b, on_both = (
        note(me, text, ("t", "birds"), at=now - n) for n, text in enumerate(("a", "b", "both"))
    )
    await stranger.send(on_a, 0)
    await stranger.send(on_b, 1)
    await stranger.send(on_both)
    assert await found(bridge, authors=[me.public], kinds=[1]) == ["a", "b", "both"]
    assert await found(bridge, **{"#t": ["birds"], "limit": 2}) == ["a", "b"]
    assert await found(bridge, ids=[on_b.id]) == ["b"]
    assert await found(bridge, kinds=[1], until=now - 1, since=now - 1) == ["b"]
    assert await found(bridge, kinds=[1], search="BOTH") == ["both"]
    # And from a session, through the router.
    requests = QueryRequests(bridge)
    job = Job("a" * 64, stage.roles.main, ("b" * 64,), 0)
    asked = Asked(Session("c" * 64, job, True), "1", (json.dumps({"ids": [on_a.id]}),))
    (event,) = json.loads(await requests.nostr_query(asked))["events"]
    assert (event["id"], event["pubkey"], event["content"]) == (on_a.id, me.public, "a")


async def test_a_connection_that_is_made_anew_is_no_outage(stage: Stage, bridge: Caller) -> None:
    """Asked while no relay is connected, of which one returns in a moment."""
    names = ("public-0", "public-1")
    for name in names:
        await stage.stop(name, signal.SIGKILL)
    asking = asyncio.create_task(bridge.call("query", '{"kinds":[30023]}', deadline_s=20))
    await asyncio.gather(*map(stage.start, names))
    assert json.loads(await asking)["relays"] >= 1


async def test_mail_is_not_found(stage: Stage, bridge: Caller, stranger: Person) -> None:
    wrap = await stranger.say(stage.roles.bot, "for the bot alone")
    # Attack: an agent asks for wraps to the bot, by kind, by receiver, by id, by author.
    for wanted in (
        {"kinds": [1059]}, {"kinds": [1, 4]}, {"kinds": [22242]}, {"kinds": [24133]},
        {"#p": [stage.roles.bot]}, {"#p": [stage.roles.bot], "kinds": [1]}, {}, {"limit": 5},
    ):  # fmt: skip
        with pytest.raises(Refused, match="invalid: "):
            await bridge.call("query", json.dumps(wanted), deadline_s=20)
    assert await found(bridge, ids=[wrap.id]) == []
    assert await found(bridge, authors=[wrap.pubkey]) == []


async def test_the_bridge_answers_the_router_alone(stage: Stage, bridge: Caller) -> None:
    for name in ("owner", "console"):
        if not stage.place.key(name).exists():
            continue
        key = read_key(stage.place.key(name))
        async with connect(stage.place.relay_address, [key]) as link:
            asks = Caller(link, key, stage.roles.bridges["nostr"])
            with pytest.raises((Unanswered, Refused)):
                await asks.call("query", '{"kinds":[1]}', deadline_s=2)


def asked(**wanted: Any) -> _Question:
    return _Question(Filter.from_json({"limit": 2} | wanted), set(RELAYS))


def test_what_was_not_asked_for_does_not_count() -> None:
    question = asked(authors=[ANN.public])
    true = note(ANN, "true")
    forged = replace(note(ANN, "x"), content="not what was signed")
    borrowed = replace(note(BOB, "x"), pubkey=ANN.public)
    shadow = replace(true, content="not what was signed")
    url = "wss://a.example"
    for event in (forged, borrowed, shadow, note(BOB, "another's"), note(ANN, "mail", kind=1059)):
        question.take(url, event)
    assert question.found == {}
    question.take("wss://c.example", true)  # never asked
    assert question.found == {}
    question.take(url, true)
    question.take("wss://b.example", true)
    assert list(question.found) == [true.id]


def test_a_relay_that_sends_without_end_is_heard_no_more() -> None:
    question = asked(kinds=[1])
    for number in range(MAX_FLOOD * 2):
        question.take("wss://a.example", note(ANN, str(number)))
    assert question.left == RELAYS
    question.take("wss://a.example", note(ANN, "one more"))
    assert question.left == {"wss://b.example"}
    assert not question.done.is_set()
    question.take("wss://a.example", note(ANN, "and more"))
    assert len(question.found) == MAX_FLOOD * 2
    question.end("wss://b.example")
    assert question.done.is_set()


async def test_who_may_ask_and_how_often(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = QueryRequests(None)
    job = Job("a" * 64, "g", ("b" * 64,), 0)

    def asking(text: str, *, is_main: bool = True) -> Asked:
        return Asked(Session("c" * 64, job, is_main), "1", (text,))

    with pytest.raises(Refused, match="the owner's own conversation only"):
        await requests.nostr_query(asking('{"kinds":[1]}', is_main=False))
    for text in ("nonsense", "[]", "{}", '{"kinds":[4]}', '{"kinds":[1],"limit":1000}'):
        with pytest.raises(Refused, match="invalid: "):
            await requests.nostr_query(asking(text))
    with pytest.raises(Refused, match="there is no bridge"):
        await requests.nostr_query(asking('{"kinds":[1]}'))
    monkeypatch.setattr(query_requests, "MAX_OF_A_JOB", 2)
    assert MAX_OF_A_JOB == 30
    for _ in range(2):
        requests._count("a" * 64)
    requests._count("d" * 64)
    with pytest.raises(Refused, match="rate-limited: "):
        requests._count("a" * 64)
