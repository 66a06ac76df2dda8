"""Each fault of the proxy, seen by a plain WebSocket client, with a real relay behind it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from secrets import token_bytes
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from nips.event import Event, Template
from nips.key import SecretKey
from nips.refusal import Malformed
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.fault_proxy.faults import FAULTS
from tests.relay_process import relay_process

KEY = SecretKey.generate(token_bytes)
SHORT_S = 0.5  # long enough for what would come over loopback


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultProxy]:
    """A proxy before an open relay."""
    folder = tmp_path_factory.mktemp("behind")
    async with relay_process(folder, "--open") as relay, fault_proxy(relay.url, seed=7) as made:
        yield made


@pytest.fixture
async def proxy(running: FaultProxy) -> FaultProxy:
    """The same, without a fault at the beginning."""
    await running.fault("pass")
    return running


@asynccontextmanager
async def client(proxy: FaultProxy) -> AsyncIterator[ClientConnection]:
    async with connect(
        proxy.url, open_timeout=5, close_timeout=0.1, ping_interval=None, max_size=1 << 24
    ) as made:
        yield made


def note(content: str) -> Event:
    template = Template(KEY.public, int(time.time()), 1, (("t", content),), content)
    return template.sign(KEY, token_bytes(32))


async def say(connection: ClientConnection, *frame: object) -> None:
    await connection.send(json.dumps(frame))


async def heard(
    connection: ClientConnection, *verbs: str, timeout_s: float = 10
) -> list[Any]:  # fmt: skip
    """The next frame of one of these verbs."""
    async with asyncio.timeout(timeout_s):
        async for data in connection:
            try:
                frame = json.loads(data)
            except (ValueError, RecursionError):
                continue
            if isinstance(frame, list) and frame and frame[0] in verbs:
                return list(frame)
    raise AssertionError("closed")


async def published(connection: ClientConnection, *contents: str) -> list[Event]:
    """Publish notes that all have the first one's tag, and wait until they are stored."""
    events = []
    for content in contents:
        template = Template(KEY.public, int(time.time()), 1, (("t", contents[0]),), content)
        events.append(template.sign(KEY, token_bytes(32)))
        await say(connection, "EVENT", events[-1].to_json())
        assert (await heard(connection, "OK"))[2] is True
    return events


async def stored(connection: ClientConnection, tag: str) -> list[dict[str, Any]]:
    """What is shown of a tag before the EOSE."""
    await say(connection, "REQ", tag, {"kinds": [1], "#t": [tag]})
    found = []
    while (frame := await heard(connection, "EVENT", "EOSE"))[0] == "EVENT":
        if len(frame) > 2 and isinstance(frame[2], dict) and "content" in frame[2]:
            found.append(frame[2])
    assert frame[1] == tag
    return found


async def alive(connection: ClientConnection) -> None:
    """It answers a ping."""
    async with asyncio.timeout(5):
        await (await connection.ping())


async def ended(connection: ClientConnection) -> None:
    """It is closed, by whatever was said before."""
    async with asyncio.timeout(10):
        await connection.wait_closed()
    assert connection.close_code == 1006  # without a goodbye


async def silent(connection: ClientConnection, *verbs: str) -> None:
    """It says nothing of this kind for a while."""
    with pytest.raises(TimeoutError):
        await heard(connection, *verbs, timeout_s=SHORT_S)


async def never(waiting: Awaitable[object]) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting, SHORT_S)


def test_every_fault_has_a_name_and_says_what_it_is() -> None:
    assert len(set(FAULTS.values())) == len(FAULTS)
    assert all(fault.__doc__ for fault in FAULTS.values())


async def test_it_passes_all_and_counts(proxy: FaultProxy) -> None:
    before = await proxy.stats()
    async with client(proxy) as one:
        (event,) = await published(one, "passes")
        assert await stored(one, "passes") == [event.to_json()]
        after = await proxy.stats()
    assert after["connections"] == before["connections"] + 1
    assert after["open"] >= 1
    for way, verb in (("up", "EVENT"), ("up", "REQ"), ("down", "EVENT"), ("down", "OK")):
        assert after[way][verb] == before[way].get(verb, 0) + 1


async def test_what_it_does_not_know_is_told(proxy: FaultProxy) -> None:
    with pytest.raises(AssertionError, match="KeyError"):
        await proxy.fault("coffee")
    with pytest.raises(AssertionError, match="TypeError"):
        await proxy.fault("slow", sugar=1)


async def test_refuse(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await proxy.fault("refuse")
        await ended(one)
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy.url)
    await proxy.fault("pass")
    async with client(proxy) as one:
        await published(one, "listens again")


async def test_close(proxy: FaultProxy) -> None:
    async with client(proxy) as one, client(proxy) as two:
        await proxy.fault("close")
        for connection in (one, two):
            await ended(connection)
    async with client(proxy) as one:
        await published(one, "closed once")


async def test_a_black_hole(proxy: FaultProxy) -> None:
    async with client(proxy) as old:
        await alive(old)
        await proxy.fault("black-hole")
        await never(await old.ping())
        await say(old, "REQ", "x", {"limit": 1})
        await silent(old, "EOSE", "EVENT")
        with pytest.raises(TimeoutError):
            await connect(proxy.url, open_timeout=SHORT_S)
        await proxy.fault("pass")
        await never(await old.ping())  # it stays dead


async def test_half_open(proxy: FaultProxy) -> None:
    async with client(proxy) as old:
        await alive(old)
        await proxy.fault("half-open")
        await never(await old.ping())
        async with client(proxy) as new:
            await alive(new)
            (event,) = await published(new, "half-open")
            await say(old, "EVENT", note("never").to_json())
            assert await stored(new, "half-open") == [event.to_json()]
            assert await stored(new, "never") == []
        await silent(old, "OK")


async def test_deaf(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await published(one, "deaf")
        await proxy.fault("deaf")
        assert await stored(one, "deaf") == []
        await published(one, "deaf")
        await alive(one)
        await silent(one, "EVENT")


async def test_mute(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await proxy.fault("mute")
        await say(one, "REQ", "x", {"limit": 1})
        await silent(one, "EOSE", "EVENT", "CLOSED")
        await alive(one)
        await published(one, "mute")


async def test_garbage(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await proxy.fault("garbage")
        (event,) = await published(one, "garbage")
        assert await stored(one, "garbage") == [event.to_json()]
        frames = []
        for _ in range(20):
            await say(one, "REQ", "x", {"limit": 0})
            frames += [await one.recv() for _ in range(3)]
        assert any(isinstance(frame, bytes) for frame in frames)


async def test_slow(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await proxy.fault("slow", after_ms=150)
        began = time.monotonic()
        for _ in range(20):  # late, and not one after the other
            await say(one, "EVENT", note("slow").to_json())
        for _ in range(20):
            await heard(one, "OK")
        assert 0.3 <= time.monotonic() - began < 2
        await proxy.fault("slow", after_ms=0, bytes_per_s=10_000)
        began = time.monotonic()
        await published(one, "x" * 5_000)
        assert time.monotonic() - began > 0.5


async def test_drop(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await published(one, "drop", *map(str, range(99)))
        await proxy.fault("drop", p=0.3)
        first = await stored(one, "drop")
        assert 40 < len(first) < 95
        await proxy.fault("drop", p=0.3)  # the same dice
        assert await stored(one, "drop") == first


async def test_reject_auth(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await say(one, "REQ", "open", {"limit": 0})
        await heard(one, "EOSE")
        await proxy.fault("reject-auth")
        assert (await heard(one, "AUTH", "CLOSED"))[0] == "AUTH"
        closed = await heard(one, "CLOSED")
        assert closed[1] == "open"
        assert closed[2].startswith("auth-required: ")
        await say(one, "AUTH", note("login").to_json())
        assert (await heard(one, "OK"))[2] is False
        await say(one, "REQ", "new", {"limit": 0})
        assert (await heard(one, "CLOSED", "EOSE"))[:2] == ["CLOSED", "new"]
        await say(one, "EVENT", note("reject-auth").to_json())
        assert (await heard(one, "OK"))[3].startswith("auth-required: ")
    async with client(proxy) as one:
        await heard(one, "AUTH")


async def test_rate_limit(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await proxy.fault("rate-limit")
        await say(one, "REQ", "x", {"limit": 0})
        assert (await heard(one, "CLOSED"))[2].startswith("rate-limited: ")
        event = note("rate-limit")
        await say(one, "EVENT", event.to_json())
        assert (await heard(one, "OK"))[1:3] == [event.id, False]
        await proxy.fault("pass")
        assert await stored(one, "rate-limit") == []


async def test_forge(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        (event,) = await published(one, "forge")
        await proxy.fault("forge")
        (shown,) = await stored(one, "forge")
        forged = Event.from_json(shown)
        assert (forged.id, forged.content) == (event.id, event.content)
        with pytest.raises(Malformed):
            forged.verify()


async def test_duplicate(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        (event,) = await published(one, "duplicate")
        await proxy.fault("duplicate")
        assert await stored(one, "duplicate") == [event.to_json()] * 2


async def test_reorder(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await published(one, "reorder", *map(str, range(29)))
        in_order = await stored(one, "reorder")
        await proxy.fault("reorder")
        shown = await stored(one, "reorder")  # all of them before the EOSE
        assert shown != in_order
        assert sorted(event["id"] for event in shown) == sorted(event["id"] for event in in_order)


async def test_huge(proxy: FaultProxy) -> None:
    async with client(proxy) as one:
        await say(one, "REQ", "mail", {"kinds": [7], "#p": [KEY.public], "since": 1_000})
        await heard(one, "EOSE")
        await proxy.fault("huge")
        for _ in range(2):
            name, sent = (await heard(one, "EVENT"))[1:]
            event = Event.from_json(sent)
            event.verify()
            assert (name, event.kind, event.values("p")) == ("mail", 7, [KEY.public])
            assert len(event.content) == 5_000_000
            assert event.created_at >= 1_000
            await say(one, "REQ", "mail", {"kinds": [7], "#p": [KEY.public], "since": 1_000})


async def test_insert(proxy: FaultProxy) -> None:
    stranger = note("nobody asked").to_json()
    async with client(proxy) as one:
        await say(one, "REQ", "mail", {"kinds": [7]})
        await heard(one, "EOSE")
        await proxy.fault("insert", events=[stranger])
        assert await heard(one, "EVENT") == ["EVENT", "mail", stranger]
        await say(one, "REQ", "more", {"limit": 0})
        assert await heard(one, "EVENT") == ["EVENT", "more", stranger]
