"""NIP-86 over NIP-98 from outside: a relay managed by its owner, and by nobody else."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from nips import nip98
from nips.key import SecretKey
from tests.relay_suite.client import dial, made, new_key, now
from tests.relay_suite.conftest import Target
from tests.relay_suite.document import document_of, http

RPC = "application/nostr+json+rpc"


async def post(
    url: str, body: bytes, authorization: str | None, media_type: str = RPC
) -> tuple[int, Any]:
    fields = {"Content-Type": media_type}
    if authorization is not None:
        fields["Authorization"] = authorization
    status, headers, answer = await http(url, "POST", fields, body)
    assert headers.get("access-control-allow-origin") == "*"
    return status, json.loads(answer)


def authorised(key: SecretKey, url: str, body: bytes, at: int | None = None) -> str:
    template = nip98.template(key.public, url, "POST", body, now() if at is None else at)
    return nip98.header(template.sign(key, secrets.token_bytes(32)))


async def call(house: Target, method: str, *params: object) -> Any:
    body = json.dumps({"method": method, "params": params}).encode()
    status, answer = await post(house.url, body, authorised(house.member, house.url, body))
    assert status == 200
    assert not answer.get("error"), answer
    return answer["result"]


async def test_what_is_listed_is_there(house: Target) -> None:
    methods = await call(house, "supportedmethods")
    assert {
        "banpubkey", "unbanpubkey", "listbannedpubkeys", "banevent", "unbanevent",
        "listbannedevents", "changerelayname", "changerelaydescription", "changerelayicon",
        "allowkind", "disallowkind", "listdisallowedkinds", "blockip", "unblockip",
        "listblockedips",
    } <= set(methods)  # fmt: skip
    for method in methods:
        if method.startswith("list"):
            assert await call(house, method) == []


BODY = b'{"method":"supportedmethods","params":[]}'


async def test_without_authorisation_it_is_401(house: Target) -> None:
    """NIP-86: "If `Authorization` is not provided or is invalid … a 401 response"."""
    owner, url = house.member, house.url
    no_payload = nip98.template(owner.public, url, "POST", BODY, now())
    tags = tuple(tag for tag in no_payload.tags if tag[0] != "payload")
    wrong = [
        None, "", "Nostr", "Nostr ", "Nostr !", "Basic eDp5", "Nostr e30=",
        authorised(new_key(), url, BODY), authorised(owner, "http://relay.example", BODY),
        authorised(owner, url, BODY + b" "), authorised(owner, url, BODY, now() - 600),
        authorised(owner, url, BODY, now() + 600),
        nip98.header(made(owner, 27_235, *tags)), nip98.header(made(owner, 1, *no_payload.tags)),
    ]  # fmt: skip
    for authorization in wrong:
        status, answer = await post(url, BODY, authorization)
        assert status == 401, authorization
        assert answer["error"]
    good = authorised(owner, url.replace("ws://", "http://"), BODY)
    assert (await post(url, BODY, good))[0] == 200


async def test_a_change_overheard_is_not_made_again(house: Target) -> None:
    """Attack: the same bytes a second time, after the owner has thought better of it."""
    someone = new_key().public
    ban = json.dumps({"method": "banpubkey", "params": [someone]}).encode()
    overheard = authorised(house.member, house.url, ban)
    assert (await post(house.url, ban, overheard))[0] == 200
    await call(house, "unbanpubkey", someone)
    assert (await post(house.url, ban, overheard))[0] == 401
    assert await call(house, "listbannedpubkeys") == []
    # The owner's own second call within the second is another signature, and counts.
    assert await call(house, "banpubkey", someone) is True
    assert await call(house, "unbanpubkey", someone) is True


NO_CALLS = [
    b"", b"x", b"[]", b"{}", b'{"method":1}', b'{"method":"nope"}',
    b'{"method":"banpubkey","params":{}}', b"[" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("body", NO_CALLS)
async def test_what_is_no_call_is_an_error(house: Target, body: bytes) -> None:
    status, answer = await post(house.url, body, authorised(house.member, house.url, body))
    assert status in (200, 400)
    assert answer["error"]


async def test_another_media_type_is_not_a_call(house: Target) -> None:
    status, _ = await post(house.url, BODY, None, "application/json")
    assert status in (401, 415)


async def test_a_ban_and_its_end(house: Target) -> None:
    someone = new_key()
    assert await call(house, "banpubkey", someone.public, "spam") is True
    listed = await call(house, "listbannedpubkeys")
    assert listed == [{"pubkey": someone.public, "reason": "spam"}]
    assert await call(house, "unbanpubkey", someone.public) is True
    assert await call(house, "listbannedpubkeys") == []


async def test_a_banned_event_is_gone(house: Target) -> None:
    note = made(house.member, 1)
    async with dial(house.url, house.member) as client:
        await client.keep(note)
        assert await call(house, "banevent", note.id, "no") is True
        assert await client.find({"ids": [note.id]}) == []
        await call(house, "unbanevent", note.id)
        assert await call(house, "listbannedevents") == []


async def test_kinds_are_kept_out(house: Target) -> None:
    async with dial(house.url, new_key()) as client:
        assert await call(house, "disallowkind", 24_133) is True
        assert await call(house, "listdisallowedkinds") == [24_133]
        assert not (await client.ok(made(new_key(), 24_133)))[0]
        assert await call(house, "allowkind", 24_133) is True
        assert await call(house, "listdisallowedkinds") == []


async def test_the_face_changes(house: Target) -> None:
    for method, field in (
        ("changerelayname", "name"),
        ("changerelaydescription", "description"),
        ("changerelayicon", "icon"),
    ):
        assert await call(house, method, "https://relay.example/é") is True
        assert (await document_of(house.url))[field] == "https://relay.example/é"


async def test_a_blocked_address_is_kept_out(house: Target) -> None:
    assert await call(house, "blockip", "127.0.0.3", "why") is True
    assert await call(house, "listblockedips") == [{"ip": "127.0.0.3", "reason": "why"}]
    with pytest.raises(InvalidStatus):
        async with dial(house.url, local_addr=("127.0.0.3", 0)):
            pass
    assert await call(house, "unblockip", "127.0.0.3") is True
    async with dial(house.url, local_addr=("127.0.0.3", 0)):
        pass
