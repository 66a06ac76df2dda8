"""The wire under NIP-01, RFC 6455: frames whole, in pieces, too large, and not of this world."""

from __future__ import annotations

import asyncio
import json

import pytest

from nips.key import SecretKey
from tests.relay_suite.client import WAIT_S, Client, dial, made, new_key
from tests.relay_suite.conftest import Target
from tests.relay_suite.document import document_of

NOTHING = {"ids": ["0" * 64]}


async def alive(client: Client, name: str = "still here") -> None:
    assert await client.ask("REQ", name, NOTHING) == ["EOSE", name]


async def test_a_binary_frame_is_survived(client: Client) -> None:
    await client.socket.send(b"\x00\xff\xfe")
    assert (await client.hear())[0] == "NOTICE"
    await alive(client)


async def test_a_frame_in_pieces_is_one(client: Client, me: SecretKey) -> None:
    event = made(me, 1, content="é🦩")
    text = json.dumps(["EVENT", event.to_json()], ensure_ascii=False)
    await client.socket.send(text[at : at + 7] for at in range(0, len(text), 7))
    assert (await client.hear())[:3] == ["OK", event.id, True]


async def test_a_ping_is_answered(client: Client) -> None:
    async with asyncio.timeout(WAIT_S):
        await (await client.socket.ping(b"are you there"))


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_compression_may_be_offered(target: Target, compression: str | None) -> None:
    async with dial(target.url, target.member, compression=compression) as client:
        event = made(target.member, 1, content="a" * 5_000)
        await client.keep(event)
        assert await client.find({"ids": [event.id]}) == [event.id]


async def test_the_largest_frame_and_one_byte_more(
    target: Target, client: Client, me: SecretKey
) -> None:
    """What the document promises is taken, what is beyond it refused without harm."""
    most = (await document_of(target.url))["limitation"]["max_message_length"]
    empty = len(json.dumps(["EVENT", made(me, 1).to_json()]))
    largest = made(me, 1, content="x" * (most - empty))
    text = json.dumps(["EVENT", largest.to_json()])
    filler = most - len(text)  # the nonce's number may have grown by a digit
    assert 0 <= filler + 2 < 10
    await client.socket.send(text + " " * filler)
    assert (await client.hear())[:3] == ["OK", largest.id, True]
    above = made(me, 1, content="x" * (most - empty + 10))
    await client.say("EVENT", above.to_json())
    frame = await client.hear()
    assert frame[0] == "NOTICE" or (frame[0] == "OK" and frame[2] is False)
    assert await client.find({"ids": [largest.id, above.id]}) == [largest.id]


async def test_spaces_and_escapes_are_json(client: Client) -> None:
    await client.socket.send(' [ "REQ" ,\n"\\u0061\\"" ,\t{ "ids" : [ "' + "0" * 64 + '" ] } ] ')
    assert await client.hear() == ["EOSE", 'a"']


@pytest.mark.parametrize(
    "content", ["\x00", "a\x00b\x1f\x7f\x80", "\u2028\u2029\ufeff", "\U0010ffff"]
)
async def test_odd_characters_come_back(client: Client, me: SecretKey, content: str) -> None:
    event = made(me, 1, ("t", content), content=content)
    await client.keep(event)
    await client.say("REQ", "a", {"ids": [event.id]})
    assert (await client.hear())[2] == event.to_json()
    assert await client.hear() == ["EOSE", "a"]
    assert await client.find({"#t": [content], "ids": [event.id]}) == [event.id]


@pytest.mark.parametrize("where", ["content", "tag", "subscription", "filter"])
async def test_half_a_character_is_refused(client: Client, me: SecretKey, where: str) -> None:
    """A lone surrogate has no UTF-8, and so no id, no row and no frame."""
    event = made(me, 1, ("t", "HALF" if where == "tag" else "x"), content="HALF")
    text = {
        "subscription": json.dumps(["REQ", "HALF", NOTHING]),
        "filter": json.dumps(["REQ", "a", {"#t": ["HALF"]}]),
    }.get(where, json.dumps(["EVENT", event.to_json()]))
    await client.socket.send(text.replace("HALF", "\\ud800"))
    frame = await client.hear()
    assert frame[0] in ("NOTICE", "CLOSED") or frame[2] is False
    await alive(client)


async def test_a_subscription_is_its_connections_own(
    client: Client, other: Client, me: SecretKey
) -> None:
    mark = new_key().public
    assert await client.ask("REQ", "same", {"#p": [mark]}) == ["EOSE", "same"]
    assert await other.ask("REQ", "same", NOTHING) == ["EOSE", "same"]
    await other.say("CLOSE", "same")
    await other.keep(event := made(me, 1, ("p", mark)))
    assert (await client.hear())[2]["id"] == event.id
    assert await other.is_silent()


async def test_closing_what_is_not_open_is_nothing(client: Client) -> None:
    await client.say("CLOSE", "never opened")
    await alive(client)


async def test_a_hundred_frames_at_once_are_all_answered(client: Client, me: SecretKey) -> None:
    events = [made(me, 1, content=str(n)) for n in range(100)]
    for event in events:
        await client.say("EVENT", event.to_json())
    answered = {(await client.hear())[1] for _ in events}
    assert answered == {event.id for event in events}


async def test_events_that_come_together_are_told_apart(client: Client, me: SecretKey) -> None:
    """One good, one forged, one twice: each OK is about its own."""
    good, bad = made(me, 1), made(me, 1).to_json() | {"sig": "0" * 128}
    for event in (good.to_json(), bad, good.to_json()):
        await client.say("EVENT", event)
    answers = [await client.hear() for _ in range(3)]
    assert sorted((frame[1] == good.id, frame[2]) for frame in answers) == [
        (False, False), (True, True), (True, True),
    ]  # fmt: skip
