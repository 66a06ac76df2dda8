"""What waits to be sent, over a real socket: whole, in order, and nothing after the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from relay_local.outbox import Outbox

Say = Callable[[Outbox, ServerConnection], Awaitable[None]]


@asynccontextmanager
async def hearing(say: Say) -> AsyncIterator[ClientConnection]:
    async def handler(socket: ServerConnection) -> None:
        await say(Outbox(socket), socket)

    async with serve(handler, "127.0.0.1", 0, compression=None, close_timeout=1) as server:
        host, port = server.sockets[0].getsockname()[:2]
        async with connect(f"ws://{host}:{port}", compression=None, max_size=None) as client:
            yield client


async def test_frames_of_every_size_arrive_whole_and_in_order() -> None:
    """A wrong length would make the reader take one frame's text for the next one's head."""
    sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 700_000, 2]

    async def say(outbox: Outbox, socket: ServerConnection) -> None:
        for size in sizes:
            outbox.put(b"x" * size)
        await socket.ping()  # between them the library's own frames
        await outbox.sent()
        outbox.put(b"last")
        await socket.wait_closed()

    async with hearing(say) as client, asyncio.timeout(10):
        assert [len(await client.recv()) for _ in sizes] == sizes
        assert await client.recv() == "last"


async def test_what_was_sent_comes_before_the_end() -> None:
    async def say(outbox: Outbox, socket: ServerConnection) -> None:
        for number in range(2_000):
            outbox.put(b"%d" % number + b"x" * 1_000)
        await outbox.sent()
        await socket.close()
        outbox.put(b"too late")

    async with hearing(say) as client, asyncio.timeout(10):
        heard = [str(message) async for message in client]
    assert [int(message.rstrip("x")) for message in heard] == list(range(2_000))


async def test_nothing_is_sent_after_a_cut() -> None:
    ended = asyncio.Event()

    async def say(outbox: Outbox, socket: ServerConnection) -> None:
        outbox.put(b"one")
        outbox.cut()
        outbox.put(b"two")
        await outbox.low()
        await socket.wait_closed()
        ended.set()

    async with hearing(say) as client, asyncio.timeout(10):
        with pytest.raises(ConnectionClosed):
            await client.recv()
        await ended.wait()
