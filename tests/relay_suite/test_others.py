"""NIP-09, 11, 40, 42 and 70 from outside."""

from __future__ import annotations

import asyncio
import json

from websockets.asyncio.client import connect

from nips.key import SecretKey
from tests.relay_suite.client import WAIT_S, Client, made, new_key, now
from tests.relay_suite.conftest import Target


async def test_deletion_by_id(client: Client, me: SecretKey) -> None:
    gone, kept = made(me, 1), made(me, 1)
    deletion = made(me, 5, ("e", gone.id), ("k", "1"))
    await client.keep(gone, kept, deletion)
    wanted = {"ids": [gone.id, kept.id, deletion.id]}
    assert set(await client.find(wanted)) == {kept.id, deletion.id}
    accepted, _ = await client.ok(gone)
    assert not accepted
    # NIP-09: "a deletion request event against a deletion request has no effect"
    await client.keep(made(me, 5, ("e", deletion.id), ("k", "5")))
    assert set(await client.find(wanted)) == {kept.id, deletion.id}
    assert not (await client.ok(gone))[0]


async def test_deletion_by_address_up_to_its_own_time(client: Client, me: SecretKey) -> None:
    at, d = now() - 50, new_key().public
    place = ("a", f"31923:{me.public}:{d}")
    first = made(me, 31_923, ("d", d), at=at)
    await client.keep(first, made(me, 5, place, at=at + 10))
    assert await client.find({"#d": [d]}) == []
    assert not (await client.ok(made(me, 31_923, ("d", d), at=at + 5)))[0]
    later = made(me, 31_923, ("d", d), at=at + 20)
    await client.keep(later, made(me, 5, place, at=at + 15))
    assert await client.find({"#d": [d]}) == [later.id]


async def test_expiration(client: Client, me: SecretKey) -> None:
    assert not (await client.ok(made(me, 1, ("expiration", str(now() - 1)))))[0]
    assert not (await client.ok(made(me, 20_002, ("expiration", str(now() - 1)))))[0]
    soon = made(me, 1, ("expiration", str(now() + 2)))
    await client.keep(soon)
    assert await client.find({"ids": [soon.id]}) == [soon.id]
    await asyncio.sleep(2.1)  # the time of which the event itself speaks
    assert await client.find({"ids": [soon.id]}) == []


async def test_a_protected_event_is_taken_from_its_author_only(
    target: Target, client: Client
) -> None:
    stranger = new_key()
    accepted, message = await client.ok(made(stranger, 1, ("-",)))
    assert not accepted
    assert message.split(":")[0] in ("restricted", "auth-required", "blocked")
    assert await client.find({"authors": [stranger.public]}) == []


async def test_an_auth_answer_is_no_event(client: Client, me: SecretKey) -> None:
    answer = made(me, 22_242, ("challenge", "x"), ("relay", "ws://127.0.0.1"))
    assert not (await client.ok(answer))[0]


async def test_a_wrong_auth_answer_is_refused(target: Target) -> None:
    async with connect(target.url) as socket:
        for bad in (made(target.member, 22_242, ("challenge", "x"), ("relay", target.url)),
                    made(target.member, 1)):  # fmt: skip
            await socket.send(json.dumps(["AUTH", bad.to_json()]))
            async with asyncio.timeout(WAIT_S):
                while (frame := json.loads(await socket.recv()))[0] == "AUTH":
                    pass
            assert frame[:3] == ["OK", bad.id, False]


async def test_the_relay_says_what_it_is(target: Target) -> None:
    host, _, port = target.url.split("//")[1].strip("/").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port or 80))
    head = f"GET / HTTP/1.1\r\nHost: {host}\r\nAccept: application/nostr+json\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    async with asyncio.timeout(WAIT_S):
        answer = await reader.read()
    writer.close()
    fields, _, body = answer.partition(b"\r\n\r\n")
    assert b"access-control-allow-origin" in fields.lower()
    document = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    assert 1 in document["supported_nips"]
