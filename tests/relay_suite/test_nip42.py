"""NIP-42 and NIP-70 from outside: who is believed, and what that opens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nips.key import SecretKey
from tests.relay_suite.client import Client, dial, made, new_key, now
from tests.relay_suite.conftest import Target


async def test_every_connection_has_a_challenge_of_its_own(target: Target) -> None:
    async with dial(target.url) as one, dial(target.url) as two:
        for client in (one, two):
            assert (await client.authenticate(target.member))[0]
        assert one.challenge != two.challenge


@pytest.mark.parametrize(
    "changes",
    [
        {"challenge": "another connection's"}, {"challenge": ""}, {"url": "wss://relay.example"},
        {"url": ""}, {"url": "ws://127.0.0.1.relay.example:1"}, {"at": now() - 3_600},
        {"at": now() + 3_600}, {"at": 0}, {"fields": {"kind": 1}}, {"fields": {"sig": "0" * 128}},
        {"fields": {"tags": []}}, {"fields": {"pubkey": new_key().public}},
    ],
)  # fmt: skip
async def test_a_wrong_answer_proves_nothing(target: Target, changes: dict[str, Any]) -> None:
    async with dial(target.url) as client:
        accepted, message = await client.authenticate(target.member, **changes)
        assert not accepted
        assert ": " in message
        protected = made(target.member, 1, ("-",))
        accepted, message = await client.ok(protected)
        assert not accepted
        assert message.startswith("auth-required: ")
        assert (await client.authenticate(target.member))[0]
        await client.keep(protected)


async def test_an_answer_of_another_connection_is_refused(target: Target) -> None:
    """Attack: an answer seen on its way, sent again elsewhere."""
    async with dial(target.url) as one, dial(target.url) as two:
        assert (await one.authenticate(target.member))[0]
        assert not (await two.authenticate(target.member, challenge=one.challenge))[0]


async def test_addresses_have_more_than_one_spelling(target: Target) -> None:
    for url in (target.url + "/", target.url.replace("ws://", "WS://")):
        async with dial(target.url) as client:
            assert (await client.authenticate(target.member, url=url))[0], url


async def test_the_same_answer_twice_is_no_harm(target: Target) -> None:
    async with dial(target.url) as client:
        assert (await client.authenticate(target.member))[0]
        assert (await client.authenticate(target.member))[0]


async def test_several_keys_on_one_connection(target: Target) -> None:
    second = new_key()
    async with dial(target.url) as client:
        for key in (target.member, second):
            assert (await client.authenticate(key))[0]
        await client.keep(made(target.member, 1, ("-",)))
        accepted, message = await client.ok(made(second, 1, ("-",)))
        # On a private relay the second is nobody, but known to be who they say.
        assert accepted or message.startswith("restricted: ")
        accepted, message = await client.ok(made(new_key(), 1, ("-",)))
        assert not accepted
        assert message.startswith("restricted: ")


async def test_a_protected_event_needs_its_author(target: Target, client: Client) -> None:
    """NIP-70: the default "MUST be to reject"; then "auth-required", and only for its author."""
    event = made(target.member, 1, ("-",))
    async with dial(target.url) as nobody:
        accepted, message = await nobody.ok(event)
        assert not accepted
        assert message.startswith("auth-required: ")
    async with dial(target.url) as other:
        assert (await other.authenticate(new_key()))[0]
        accepted, message = await other.ok(event)
        assert not accepted
        assert message.split(":")[0] in ("restricted", "blocked")
    assert await client.find({"ids": [event.id]}) == []
    if not client.challenge:
        assert (await client.authenticate(target.member))[0]
    await client.keep(event)
    assert await client.find({"ids": [event.id]}) == [event.id]


async def test_a_repost_carries_no_protected_event(client: Client, me: SecretKey) -> None:
    inside = json.dumps(made(me, 1, ("-",)).to_json())
    for kind in (6, 16):
        assert not (await client.ok(made(me, kind, ("e", "0" * 64), content=inside)))[0]
    await client.keep(made(me, 6, ("e", "0" * 64), content=json.dumps(made(me, 1).to_json())))


async def test_before_auth_a_private_relay_says_so(house: Target) -> None:
    async with dial(house.url) as nobody:
        for name in ("REQ", "COUNT"):
            answer = await nobody.ask(name, "a", {})
            assert answer[:2] == ["CLOSED", "a"]
            assert answer[2].startswith("auth-required: ")
        answer = await nobody.ask("NEG-OPEN", "a", {}, "6100000200")
        assert answer[:2] == ["NEG-ERR", "a"]
        assert answer[2].startswith("auth-required: ")
        assert (await nobody.ok(made(house.member, 1)))[1].startswith("auth-required: ")
        assert (await nobody.authenticate(house.member))[0]
        assert await nobody.find({"ids": ["0" * 64]}) == []


async def test_whoever_is_nobody_there_is_told_so(house: Target) -> None:
    stranger = new_key()
    async with dial(house.url, stranger) as client:
        for name in ("REQ", "COUNT"):
            answer = await client.ask(name, "a", {})
            assert answer[:2] == ["CLOSED", "a"]
            assert answer[2].startswith("restricted: ")
        assert (await client.ok(made(stranger, 1)))[1].startswith("restricted: ")
