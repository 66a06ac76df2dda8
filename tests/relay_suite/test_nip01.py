"""NIP-01 from outside: events, filters, replacement, subscriptions."""

from __future__ import annotations

import asyncio
import json
import secrets

import pytest

from nips.key import SecretKey
from tests.relay_suite.client import Client, Json, made, new_key, now


async def test_what_is_stored_is_found_by_every_condition(client: Client, me: SecretKey) -> None:
    other = new_key().public
    event = made(me, 1, ("t", "Salt"), ("p", other, "", "x"), content='"\\ \n\t é 🦩 \u2028 \x7f')
    await client.keep(event)
    for one in (
        {"ids": [event.id]},
        {"ids": [event.id], "authors": [me.public], "kinds": [1, 7]},
        {"#p": [other]},
        {"#p": ["0" * 64, other], "#t": ["Salt"]},
        {"ids": [event.id], "since": event.created_at, "until": event.created_at},
    ):
        assert await client.find(one) == [event.id], one
    for one in (
        {"ids": [event.id], "kinds": [2]},
        {"ids": [event.id], "#t": ["salt"]},
        {"ids": [event.id], "#p": ["x"]},
        {"ids": [event.id], "since": event.created_at + 1},
        {"ids": [event.id], "until": event.created_at - 1},
        {"#p": [other], "#t": ["pepper"]},
    ):
        assert await client.find(one) == [], one


async def test_the_second_time_is_a_duplicate_and_accepted(client: Client, me: SecretKey) -> None:
    event = made(me, 1)
    await client.keep(event)
    accepted, message = await client.ok(event)
    assert accepted
    assert message.startswith("duplicate:")


async def test_newest_first_ties_by_lowest_id_and_limits(client: Client, me: SecretKey) -> None:
    mark, at = new_key().public, now()
    events = [made(me, 1, ("p", mark), at=at - n // 3) for n in range(9)]
    await client.keep(*events)
    ordered = [e.id for e in sorted(events, key=lambda e: (-e.created_at, e.id))]
    assert await client.find({"#p": [mark]}) == ordered
    assert await client.find({"#p": [mark], "limit": 4}) == ordered[:4]
    assert await client.find({"#p": [mark], "limit": 0}) == []
    assert await client.find({"#p": [mark], "until": at - 1, "limit": 2}) == ordered[3:5]


async def test_several_filters_give_each_event_once(client: Client, me: SecretKey) -> None:
    mark = new_key().public
    events = [made(me, kind, ("p", mark)) for kind in (1, 1, 7)]
    await client.keep(*events)
    found = await client.find({"#p": [mark], "kinds": [1]}, {"#p": [mark]}, {"ids": [events[0].id]})
    assert sorted(found) == sorted(e.id for e in events)


@pytest.mark.parametrize("field", ["id", "sig", "content", "pubkey", "created_at"])
async def test_a_forgery_is_refused(client: Client, me: SecretKey, field: str) -> None:
    forged: Json = made(me, 1).to_json()
    another = made(new_key(), 1, content="x", at=now() - 1).to_json()
    forged[field] = another[field]
    accepted, message = await client.ok(forged)
    assert not accepted
    assert ":" in message
    assert await client.find({"ids": [forged["id"]]}) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": -1}, {"kind": 65_536}, {"kind": 1.5}, {"kind": "1"}, {"created_at": "now"},
        {"created_at": -1}, {"tags": {}}, {"tags": [["t", 1]]}, {"content": None}, {"sig": "00"},
    ],
)  # fmt: skip
async def test_what_is_no_event_is_refused_and_the_connection_lives(
    client: Client, me: SecretKey, changes: Json
) -> None:
    event = made(me, 1)
    await client.say("EVENT", event.to_json() | changes)
    frame = await client.hear()
    assert frame[0] in ("OK", "NOTICE")
    assert frame[0] == "NOTICE" or frame[2] is False
    await client.keep(event)


@pytest.mark.parametrize("kind", [0, 3, 10_002])
async def test_replaceable_events_keep_the_newest(client: Client, me: SecretKey, kind: int) -> None:
    start = now() - 100 + kind % 7
    old, new = made(me, kind, at=start), made(me, kind, at=start + 10)
    mine: Json = {"authors": [me.public], "kinds": [kind]}
    await client.keep(old, new)
    assert await client.find(mine) == [new.id]
    await client.ok(made(me, kind, at=start + 5))
    assert await client.find(mine) == [new.id]
    pair = sorted((made(me, kind, at=start + 20) for _ in range(2)), key=lambda e: e.id)
    for event in reversed(pair):
        await client.ok(event)
    await client.ok(pair[1])
    # NIP-01: "the event with the lowest id (first in lexical order) should be retained"
    assert await client.find(mine) == [pair[0].id]


@pytest.mark.parametrize("limit", [{"limit": 1}, {}], ids=["the newest", "all"])
async def test_an_address_is_never_empty_while_it_is_replaced(
    client: Client, other: Client, me: SecretKey, limit: Json
) -> None:
    mark = secrets.token_hex(8)
    versions = [made(me, 30_078, ("d", mark), at=now() - 1_000 + n) for n in range(400)]
    await client.keep(versions[0])

    async def replace_all() -> None:
        for some in (versions[n : n + 20] for n in range(1, len(versions), 20)):
            for event in some:
                await client.say("EVENT", event.to_json())
            for _ in some:
                assert (await client.hear())[2] is True

    writing = asyncio.create_task(replace_all())
    ids = [event.id for event in versions]
    reached = 0
    while not writing.done():
        found = await other.find({"authors": [me.public], "kinds": [30_078], "#d": [mark]} | limit)
        assert found, f"nothing at the address after version {reached}"
        newest = max(map(ids.index, found))
        assert newest >= reached
        reached = newest
    await writing
    assert await other.find({"authors": [me.public], "#d": [mark]}) == [ids[-1]]


async def test_addresses_are_apart(client: Client, me: SecretKey) -> None:
    at = now()
    events = [made(me, 31_923, ("d", d), at=at) for d in ("suite a", "suite b")]
    newer = made(me, 31_923, ("d", "suite a"), at=at + 1)
    await client.keep(*events, newer)
    found = await client.find({"authors": [me.public], "#d": ["suite a", "suite b"]})
    assert found == [newer.id, events[1].id]


async def test_ephemeral_events_are_heard_and_not_stored(
    client: Client, other: Client, me: SecretKey
) -> None:
    mark = new_key().public
    assert await other.find({"#p": [mark], "limit": 0}) == []
    await other.say("REQ", "live", {"#p": [mark]})
    assert await other.hear() == ["EOSE", "live"]
    event = made(me, 20_002, ("p", mark))
    await client.keep(event)
    assert (await other.hear())[2]["id"] == event.id
    assert await client.find({"ids": [event.id]}) == []


async def test_live_events_come_until_the_subscription_ends(
    client: Client, other: Client, me: SecretKey
) -> None:
    first, second = new_key().public, new_key().public
    await other.say("REQ", "live", {"#p": [first]})
    assert await other.hear() == ["EOSE", "live"]
    event = made(me, 1, ("p", first))
    await client.keep(event)
    assert (await other.hear())[:2] == ["EVENT", "live"]
    await other.say("REQ", "live", {"#p": [second]})  # takes the place of the one before
    assert await other.hear() == ["EOSE", "live"]
    await client.keep(made(me, 1, ("p", first)), replaced := made(me, 1, ("p", second)))
    assert (await other.hear())[2]["id"] == replaced.id
    await other.say("CLOSE", "live")
    assert await other.find({"#p": [first], "limit": 0}) == []
    await client.keep(made(me, 1, ("p", second)))
    assert await other.is_silent()


@pytest.mark.parametrize("name", ["a", "x" * 64, "\"quoted\\'", "é 🦩", "[]{}:,", "\n\t\x01"])
async def test_subscription_names_are_echoed(client: Client, name: str) -> None:
    await client.say("REQ", name, {"ids": ["0" * 64]})
    assert await client.hear() == ["EOSE", name]


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "null", '["REQ"]', '["REQ","a"]', '["NOPE"]', '["EVENT"]', '["EVENT",1]',
        '["REQ","a",{"kinds":"1"}]', '["REQ","' + "x" * 65 + '",{}]', "[" * 20_000,
        "[" * 20_000 + "]" * 20_000, '["EVENT",' + '{"a":' * 20_000 + "1" + "}" * 20_000 + "]",
        '["REQ","a",{"ids":["' + "AB" * 32 + '"]}]', '["REQ","a",{"kinds":[-1,65536]}]',
    ],
)  # fmt: skip
async def test_nonsense_is_answered_and_survived(client: Client, me: SecretKey, text: str) -> None:
    await client.socket.send(text)
    frame = await client.hear()
    assert frame[0] in ("NOTICE", "CLOSED", "EOSE")
    await client.keep(made(me, 1))


async def test_an_event_comes_back_as_it_went(client: Client, me: SecretKey) -> None:
    event = made(me, 1, ("x", "", "é"), ("long", "y" * 500), content="".join(map(chr, range(300))))
    await client.keep(event)
    await client.say("REQ", "a", {"ids": [event.id]})
    frame = await client.hear()
    assert json.loads(json.dumps(frame[2])) == event.to_json()
