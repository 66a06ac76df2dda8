"""The owner manages the relay over HTTP; nobody else does, and nobody twice with one signature."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nips import nip98
from nips.event import Event
from nips.key import SecretKey
from relay_local.posts import MAX_BODY_BYTES
from relay_local.regulations import METHODS, Book, Regulations, Ruling
from relay_local.relay import RelaySettings, RunningRelay, running
from tests.unit.relay_local.cast import MAIN, MEMBER, OWNER, ROUTER, STRANGER, WORLD, put_user
from tests.unit.relay_local.test_server import http
from tests.unit.relay_local.wire import now, signed, wire

H = ("h", MAIN)


def authorised(key: SecretKey, url: str, body: bytes) -> str:
    event = nip98.template(key.public, url, "POST", body, now())
    return nip98.header(event.sign(key, secrets.token_bytes(32)))


def posted(body: bytes, authorization: str | None) -> str:
    lines = [
        "POST / HTTP/1.1",
        "Host: relay",
        "Content-Type: application/nostr+json+rpc",
        f"Content-Length: {len(body)}",
        *([f"Authorization: {authorization}"] if authorization else []),
    ]
    return "\r\n".join([*lines, "", ""]) + body.decode()


async def call(url: str, method: str, *params: object, key: SecretKey = OWNER) -> Any:
    """The result; raises AssertionError with the answer of a call that failed."""
    body = json.dumps({"method": method, "params": params}).encode()
    status, _, answer = await http(url, posted(body, authorised(key, url, body)))
    told = json.loads(answer)
    assert status == "HTTP/1.1 200 OK", (status, told)
    assert "error" not in told, told
    return told["result"]


async def populate(relay: RunningRelay) -> None:
    async with wire(relay.url, ROUTER) as router:
        await router.keep(signed(ROUTER, 9007, H), put_user(MAIN, MEMBER, "member"))


async def test_it_says_what_it_can(relay: RunningRelay) -> None:
    assert await call(relay.url, "supportedmethods") == list(METHODS)


async def test_a_banned_key_is_out_at_once_and_stays_out(settings: RelaySettings) -> None:
    async with running(settings) as relay:
        await populate(relay)
        async with wire(relay.url, MEMBER) as member:
            await member.keep(signed(MEMBER, 9, H))
            assert await call(relay.url, "banpubkey", MEMBER.public, "rude") is True
            await asyncio.wait_for(member.socket.wait_closed(), 10)
        listed = [{"pubkey": MEMBER.public, "reason": "rude"}]
        assert await call(relay.url, "listbannedpubkeys") == listed
    async with running(settings) as relay:  # kept over a restart
        assert await call(relay.url, "listbannedpubkeys") == listed
        with pytest.raises(ConnectionClosed, match="banned"):
            async with wire(relay.url, MEMBER):
                pass
        assert await call(relay.url, "unbanpubkey", MEMBER.public) is True
        async with wire(relay.url, MEMBER) as member:
            await member.keep(signed(MEMBER, 9, H))


async def test_a_banned_event_goes_and_may_come_again_later(relay: RunningRelay) -> None:
    await populate(relay)
    async with wire(relay.url, MEMBER) as member, wire(relay.url, OWNER) as owner:
        said = signed(MEMBER, 9, H, content="rude")
        await member.keep(said)
        await call(relay.url, "banevent", said.id, "rude")
        assert await owner.req("a", {"ids": [said.id], "limit": 1}) == []
        await owner.say("CLOSE", "a")
        assert (await member.put(said))[1].startswith("blocked: ")
        await call(relay.url, "unbanevent", said.id)
        await member.keep(said)
        (created,) = await owner.req("b", {"kinds": [9007]})
        with pytest.raises(AssertionError, match="record"):
            await call(relay.url, "banevent", created["id"])


async def test_a_kind_is_not_taken_but_from_the_house(relay: RunningRelay) -> None:
    await populate(relay)
    await call(relay.url, "disallowkind", 9)
    assert await call(relay.url, "listdisallowedkinds") == [9]
    async with wire(relay.url, MEMBER) as member, wire(relay.url, ROUTER) as router:
        assert (await member.put(signed(MEMBER, 9, H)))[1].startswith("blocked: ")
        await router.keep(signed(ROUTER, 9, H))
        await call(relay.url, "allowkind", 9)
        await member.keep(signed(MEMBER, 9, H))


async def test_the_face(relay: RunningRelay) -> None:
    await call(relay.url, "changerelayname", "Ours")
    await call(relay.url, "changerelaydescription", "Of the two of us")
    await call(relay.url, "changerelayicon", "https://example.com/icon.png")
    get = "GET / HTTP/1.1\r\nHost: relay\r\nAccept: application/nostr+json\r\n\r\n"
    _, _, body = await http(relay.url, get)
    told = json.loads(body)
    assert (told["name"], told["description"]) == ("Ours", "Of the two of us")
    assert told["icon"] == "https://example.com/icon.png"
    assert 86 in told["supported_nips"]


NEIGHBOUR = ("127.0.0.2", 0)


async def test_a_blocked_address_gets_no_connection(relay: RunningRelay) -> None:
    await call(relay.url, "blockip", "127.0.0.2", "too many")
    assert await call(relay.url, "listblockedips") == [{"ip": "127.0.0.2", "reason": "too many"}]
    with pytest.raises(InvalidStatus, match="403"):
        async with connect(relay.url, local_addr=NEIGHBOUR):
            pass
    async with wire(relay.url):
        pass
    await call(relay.url, "unblockip", "127.0.0.2")
    async with connect(relay.url, local_addr=NEIGHBOUR):
        pass


async def test_posts_of_a_blocked_address_are_not_read(relay: RunningRelay) -> None:
    """Attack: who was shut out still has bodies read and signatures checked, by the thousand."""
    await call(relay.url, "blockip", "127.0.0.2")
    host, port = relay.url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=NEIGHBOUR)
    writer.write(b"POST / HTTP/1.1\r\nContent-Le")  # and nothing more
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 403 Forbidden")


BODY = b'{"method":"banpubkey","params":["' + STRANGER.public.encode() + b'"]}'


async def test_nobody_but_the_owner(relay: RunningRelay) -> None:
    """A member, a part of the house, no signature, one for another body, relay or time."""
    event = nip98.template(OWNER.public, relay.url, "POST", BODY, now() - 120)
    for authorization in (
        None,
        "Nostr e30=",
        authorised(MEMBER, relay.url, BODY),
        authorised(ROUTER, relay.url, BODY),
        authorised(OWNER, "ws://other.example", BODY),
        authorised(OWNER, relay.url, b"{}"),
        nip98.header(event.sign(OWNER, bytes(32))),
    ):
        status, headers, body = await http(relay.url, posted(BODY, authorization))
        assert status == "HTTP/1.1 401 Unauthorized"
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert json.loads(body)["error"]
    assert await call(relay.url, "listbannedpubkeys") == []


async def test_an_overheard_call_cannot_be_repeated(relay: RunningRelay) -> None:
    request = posted(BODY, authorised(OWNER, relay.url, BODY))
    assert (await http(relay.url, request))[0] == "HTTP/1.1 200 OK"
    await call(relay.url, "unbanpubkey", STRANGER.public)
    assert (await http(relay.url, request))[0] == "HTTP/1.1 401 Unauthorized"
    assert await call(relay.url, "listbannedpubkeys") == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("banpubkey", [OWNER.public]),
        ("banpubkey", [ROUTER.public]),
        ("banpubkey", []),
        ("banpubkey", ["npub1"]),
        ("banpubkey", ["A" * 64]),
        ("banpubkey", [STRANGER.public, 7]),
        ("disallowkind", ["9"]),
        ("disallowkind", [True]),
        ("disallowkind", [65_536]),
        ("blockip", ["not an address"]),
        ("blockip", ["127.0.0.1"]),  # whoever did it could not take it back
        ("blockip", ["::1"]),
        ("changerelayname", []),
        ("changerelayname", ["x" * 1_001]),
        ("allowpubkey", [STRANGER.public]),
    ],
)
async def test_what_cannot_be_ruled(relay: RunningRelay, method: str, params: list[Any]) -> None:
    with pytest.raises(AssertionError, match="error"):
        await call(relay.url, method, *params)


async def test_what_is_no_request(relay: RunningRelay) -> None:
    for request, status in (
        (f"POST / HTTP/1.1\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n", "413"),
        ("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "411"),
        ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "415"),
        ("POST / HTTP/1.1\r\nX: " + "x" * 17_000, "431"),
        ("PUT / HTTP/1.1\r\nHost: relay\r\n\r\n", "405"),
    ):
        assert (await http(relay.url, request))[0].split()[1] == status


async def test_a_call_in_pieces(relay: RunningRelay) -> None:
    body = b'{"method":"supportedmethods","params":[]}'
    whole = posted(body, authorised(OWNER, relay.url, body)).encode()
    host, port = relay.url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in (whole[:2], whole[2:30], whole[30:-5], whole[-5:]):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200 OK")
    writer.close()


def test_the_house_is_out_of_reach() -> None:
    """A ruling kept from before a key had its role must not shut the house out."""
    rules = Regulations().after(Ruling(Book.PUBKEYS, ROUTER.public, ""))
    rules = rules.after(Ruling(Book.KINDS, "9", ""))
    by_router = Event("0" * 64, ROUTER.public, 0, 9, (), "", "0" * 128)
    assert rules.objection(WORLD, by_router) is None
    assert rules.after(Ruling(Book.KINDS, "9", None)).of(Book.KINDS) == {}
