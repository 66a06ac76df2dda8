"""The websocket, against a real one, honest or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bot.bridges.signal.service import streaming
from bot.bridges.signal.service.shapes import Unreachable
from bot.bridges.signal.service.streaming import stream
from tests.unit.bot.bridges.signal.raw_server import a_raw_server, whole
from tests.unit.bot.bridges.signal.service.test_transport import PROXIES, a_closed_port

PATH = "/v1/receive/%2B4915100000001"


@asynccontextmanager
async def a_websocket(handle: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}{PATH}"


async def texts(url: str, opened: Callable[[], None] = lambda: None) -> list[str]:
    return [text async for text in stream(url, None, opened)]


async def test_each_text_until_the_service_ends_it() -> None:
    seen: list[str] = []

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.path)
        for frame in ("one", b"no text", "two", "", "three"):
            await connection.send(frame)

    async with a_websocket(handle) as url:
        assert await texts(url, lambda: seen.append("open")) == ["one", "two", "", "three"]
    assert sorted(seen) == sorted([PATH, "open"])


async def test_a_connection_that_breaks_is_an_end_too() -> None:
    async def handle(connection: ServerConnection) -> None:
        await connection.send("one")
        connection.transport.abort()

    async with a_websocket(handle) as url:
        assert await texts(url) in ([], ["one"])


async def test_a_frame_without_end_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: one message fills our memory."""
    monkeypatch.setattr(streaming, "MAX_MESSAGE_BYTES", 1_000)

    async def handle(connection: ServerConnection) -> None:
        await connection.send("one")
        await connection.send("x" * 1_001)
        await connection.wait_closed()

    async with a_websocket(handle) as url:
        assert await texts(url) == ["one"]


async def test_nothing_comes_packed() -> None:
    """Attack: a frame of some kB that is some GB."""
    asked: list[str | None] = []

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(connection.request.headers.get("Sec-WebSocket-Extensions"))

    async with serve(handle, "127.0.0.1", 0, compression="deflate") as server:
        port = next(iter(server.sockets)).getsockname()[1]
        assert await texts(f"ws://127.0.0.1:{port}{PATH}") == []
    assert asked == [None]


async def test_who_stops_reading_hangs_up() -> None:
    closed = asyncio.Event()

    async def handle(connection: ServerConnection) -> None:
        await connection.send("one")
        await connection.wait_closed()
        closed.set()

    async with a_websocket(handle) as url:
        async with aclosing(stream(url, None, lambda: None)) as found:
            assert await anext(found) == "one"
        await closed.wait()


@pytest.mark.parametrize(
    "reply",
    [
        whole(b"Bad Request", "400 Bad Request"),
        whole(b"", "503 Service Unavailable"),
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_what_opens_no_websocket_did_nothing(reply: bytes) -> None:
    opened: list[bool] = []
    async with a_raw_server(lambda _: reply) as server:
        with pytest.raises(Unreachable):
            await texts(server.url.replace("http", "ws"), lambda: opened.append(True))
    assert not opened


async def test_without_a_connection_nothing_was_done() -> None:
    with pytest.raises(Unreachable):
        await texts(f"ws://127.0.0.1:{a_closed_port()}{PATH}")


async def test_an_array_in_the_place_of_a_websocket_is_not_lost() -> None:
    """The service was started anew in another mode: it took the request for a poll."""
    async with a_raw_server(lambda _: whole(b'[{"a":1}]')) as server:
        assert await texts(server.url.replace("http", "ws")) == ['[{"a":1}]']


async def test_a_redirect_is_not_followed() -> None:
    """Attack: it takes our number somewhere else."""
    async with a_raw_server(lambda _: whole(b"")) as other:
        moved = whole(b"", "302 Found", f"Location: {other.url.replace('http', 'ws')}/x")
        async with a_raw_server(lambda _: moved) as server:
            with pytest.raises(Unreachable):
                await texts(server.url.replace("http", "ws"))
        assert other.asked == []


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle(connection: ServerConnection) -> None:
        await connection.send("one")

    async with a_raw_server(lambda _: whole(b"")) as proxy, a_websocket(handle) as url:
        for name in PROXIES:
            monkeypatch.setenv(name, proxy.url)
        assert await texts(url) == ["one"]
        assert proxy.asked == []
