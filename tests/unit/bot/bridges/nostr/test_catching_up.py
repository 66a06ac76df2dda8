"""What a relay stores is read to its end, where it has one."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bot.bridges.nostr import catching_up as module
from bot.bridges.nostr.catching_up import CatchingUp
from bot.bridges.nostr.notes import Ended, Heard
from bot.bridges.nostr.pool import Pool
from bot.bridges.nostr.relay_state import Fault
from tests.unit.bot.bridges.nostr.foreign_relay import wrap


async def no_login(_url: str, _challenge: str) -> None:
    return None


async def test_a_relay_that_has_always_one_page_more_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Attack: news on every page; nothing else is asked of it meanwhile, and memory fills."""
    monkeypatch.setattr(module, "MAX_STORED", 50)

    async def answer(connection: ServerConnection) -> None:
        async for data in connection:
            match json.loads(data):
                case ["REQ", str(name), _]:
                    for _ in range(10):
                        await connection.send(json.dumps(["EVENT", name, wrap().to_json()]))
                    await connection.send(json.dumps(["EOSE", name]))

    async def hear(pool: Pool, catching_up: CatchingUp) -> None:
        async for note in pool.notes():
            match note:
                case Heard(_, name, event):
                    catching_up.hear(name, event)
                case Ended(_, name, reason):
                    catching_up.end(name, reason)

    room = asyncio.Event()
    room.set()
    async with serve(answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Pool([url], no_login) as pool, asyncio.timeout(20):
            assert await pool.connect(url) is None
            catching_up = CatchingUp(pool, url, list, room, 5.0)
            hearing = asyncio.create_task(hear(pool, catching_up))
            fault = await catching_up.run({"kinds": [1059]})
            hearing.cancel()
    assert isinstance(fault, Fault)
    assert fault.reason == "what it stores has no end"
