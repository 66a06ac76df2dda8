"""The door to public relays: what comes in by it, and where it leads out."""

import asyncio
import json
import time
from secrets import token_bytes

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bot.bridges.nostr import pool as module
from bot.bridges.nostr.notes import Dropped, Heard
from bot.bridges.nostr.pool import MAX_EVENT_BYTES, Pool
from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.refusal import Malformed
from relay_local.client import connect
from tests.unit.bot.bridges.nostr.foreign_relay import ForeignRelay, running, wrap
from tests.unit.bot.bridges.nostr.stage import Stage


async def no_login(_url: str, _challenge: str) -> None:
    return None


async def test_a_private_relay_is_visited_where_the_owner_allows_its_host(stage: Stage) -> None:
    url, key = stage.public[0], SecretKey.generate(token_bytes)
    event = Template(key.public, int(time.time()), 1, (), "a visit").sign(key, token_bytes(32))
    for allowed, taken in (((), False), ((url.removeprefix("ws://"),), True)):
        async with Pool([], no_login, allowed) as pool:
            accepted, reason = (await pool.send(event, [url]))[url]
        assert accepted is taken, reason
        assert reason.startswith("blocked:") is not taken
        async with connect(url, [key]) as link:
            found = await link.fetch([Filter(ids=frozenset({event.id}))])
        assert bool(found) is taken


@pytest.mark.parametrize("ending", ["/", "/.", "/%2e", "/a/.."])
async def test_another_spelling_of_a_relay_that_is_listened_to_is_that_relay(ending: str) -> None:
    """Attack: whoever is answered names it so in their list: visited and left, it was gone."""
    key = SecretKey.generate(token_bytes)
    event = Template(key.public, int(time.time()), 1, (), "x").sign(key, token_bytes(32))
    async with running(ForeignRelay(takes=True)) as relay:
        allowed = (relay.url.removeprefix("ws://"),)
        async with Pool([relay.url], no_login, allowed) as pool:
            assert await pool.connect(relay.url) is None
            assert await pool.send(event, [relay.url + ending]) == {relay.url + ending: (True, "")}
            assert await pool.is_up(relay.url)
            assert len(relay.connections) == 1
            with pytest.raises(Malformed):
                await pool.add(relay.url + ending)


async def test_what_is_visited_is_the_host_that_was_checked() -> None:
    """Attack: an address that is read in two ways, as a name by who checks and as one inside our
    network by who connects."""
    key = SecretKey.generate(token_bytes)
    event = Template(key.public, int(time.time()), 1, (), "x").sign(key, token_bytes(32))
    connected: list[object] = []

    async def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        writer.close()

    async with (
        await asyncio.start_server(take, "127.0.0.1", 0) as server,
        Pool([], no_login) as pool,
    ):
        port = server.sockets[0].getsockname()[1]
        for url in (f"wss://127.0.0.1:{port}\\x.example", f"wss://127.0.0.%31:{port}"):
            accepted, reason = (await pool.send(event, [url]))[url]
            assert not accepted
            assert reason.startswith("blocked:")
    assert not connected


async def test_an_event_is_as_long_as_its_bytes() -> None:
    """Attack: a wrap that passes by its characters, and fits no frame of the private relay's."""
    fits, long = wrap(content="x"), wrap(60, content="\N{GRINNING FACE}" * (MAX_EVENT_BYTES // 4))
    heard = []
    async with (
        running(ForeignRelay(events=[fits, long])) as relay,
        Pool([relay.url], no_login) as pool,
    ):
        await pool.connect(relay.url)
        await pool.subscribe(relay.url, "any", {"kinds": [1059]})
        async for note in pool.notes():
            if not isinstance(note, Heard):
                break
            heard.append(note.event.id)
    assert heard == [fits.id]


async def test_a_relay_that_talks_without_end_is_cut_off() -> None:
    """Attack: what it says has the room in which others say that they have ended."""
    words = json.dumps(["NOTICE", "x" * 2_000])

    async def talk(connection: ServerConnection) -> None:
        while True:
            await connection.send(words)
            await asyncio.sleep(0)  # it shares this process

    async with serve(talk, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Pool([url], no_login) as pool, asyncio.timeout(20):
            assert await pool.connect(url) is None
            assert await anext(pool.notes()) == Dropped(url, "it says too much")


async def test_a_comparison_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: each answer names more ids, and asks for one answer more."""
    monkeypatch.setattr(module, "COMPARE_DEADLINE_S", 1.0)
    asked = 0

    async def answer(connection: ServerConnection) -> None:
        nonlocal asked
        async for data in connection:
            match json.loads(data):
                case ["NEG-OPEN" | "NEG-MSG", str(name), *_]:
                    asked += 1
                    # Up to some second one id, and of the rest a fingerprint that is none.
                    ids = b"\x87\x68\x00\x02\x01" + token_bytes(32)
                    rest = b"\x00\x00\x01" + token_bytes(16)
                    message = (b"\x61" + ids + rest).hex()
                    await connection.send(json.dumps(["NEG-MSG", name, message]))

    held = [(token_bytes(32).hex(), int(time.time()) - number) for number in range(200)]
    async with serve(answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Pool([url], no_login) as pool, asyncio.timeout(20):
            assert await pool.connect(url) is None
            assert await pool.missing(url, {"kinds": [1059]}, held) is None
            assert asked > 2
            asked = 0
            await asyncio.sleep(0.5)
            assert asked <= 1
