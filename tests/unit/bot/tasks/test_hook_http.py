"""bot/tasks/hook_http.py on a real port: requests in any pieces, and callers of bad will."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from bot.tasks import hook_http
from bot.tasks.hook_http import HookServer, Reply, Request
from tests.unit.bot.tasks.hook_client import answer, post, request

MOST = 1_000


@asynccontextmanager
async def serving(seen: list[Request] | None = None) -> AsyncIterator[int]:
    async def handle(asked: Request) -> Reply:
        if seen is not None:
            seen.append(asked)
        return Reply(202, {"n": len(asked.body)})

    server = HookServer(handle, MOST)
    port = await server.open("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.close()


def chunked() -> bytes:
    """The head of a request whose body comes in pieces."""
    head = request("/x", headers={"Transfer-Encoding": "chunked"})
    return head.replace(b"Content-Length: 0\r\n", b"")


async def test_a_request_in_any_pieces() -> None:
    seen: list[Request] = []
    whole = request("/hooks/x?y", b'{"a":1}', {"X-One": "1", "X-TWO": "2", "x-two": "3"})
    async with serving(seen) as port:
        assert await post(port, whole) == (202, {"n": 7})
        assert await post(port, *(bytes([byte]) for byte in whole)) == (202, {"n": 7})
        chunked = request("/x", headers={"Transfer-Encoding": "chunked", "Content-Length": ""})
        chunked = (
            chunked.replace(b"Content-Length: \r\n", b"") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        assert await post(port, chunked) == (202, {"n": 5})
    assert (seen[0].method, seen[0].target, seen[0].body) == ("POST", "/hooks/x?y", b'{"a":1}')
    assert seen[0].headers == {"host": "127.0.0.1", "content-length": "7", "x-one": "1"}
    assert seen[1] == seen[0]


async def test_one_that_asks_before_it_sends() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/x", headers={"Expect": "100-continue", "Content-Length": "2"}))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(b"ab")
        assert await answer(reader) == (202, {"n": 2})
        writer.close()


async def test_ten_megabytes() -> None:
    """Attack: what is too long is never read into memory, and its sender is told."""
    megabytes = b"x" * (10 << 20)
    async with serving() as port:
        assert await post(port, request("/x", b"y" * MOST)) == (202, {"n": MOST})
        for one in (
            request("/x", b"y" * (MOST + 1)),
            request("/x", megabytes),
            request("/x", headers={"Content-Length": "9" * 18}),
            chunked() + b"a00000\r\n" + megabytes,
        ):
            status, said = await post(port, one)
            assert (status, said) == (413, {"error": "what is posted has at most 1,000 bytes"})


@pytest.mark.parametrize(
    "given",
    [
        b"hello\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",  # without a host
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 90_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9,  # TLS
    ],
)
async def test_what_is_no_request(given: bytes) -> None:
    async with serving() as port:
        status, said = await post(port, given)
        assert 400 <= status < 500
        assert said == {"error": "that is no HTTP request"}
        assert await post(port, request("/x")) == (202, {"n": 0})


async def test_one_byte_at_a_time_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: slowloris, by so many connections that there is no room for others."""
    monkeypatch.setattr(hook_http, "REQUEST_S", 0.4)
    async with serving() as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(32)]
        for _, writer in slow:
            writer.write(b"POST / HTTP/1.1\r\n")
            await writer.drain()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await post(port, request("/x"))
        said = [await answer(reader) for reader, _ in slow]
        assert {status for status, _ in said} == {408}
        for _, writer in slow:
            writer.close()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await post(port, request("/x")) == (202, {"n": 0})
                except (ConnectionError, asyncio.IncompleteReadError):
                    await asyncio.sleep(0.02)  # the last of them is just being closed
                else:
                    break


async def test_one_that_hangs_up() -> None:
    async with serving() as port:
        for given in (b"", b"POST /x HTTP/1.1\r\n", request("/x", headers={"Content-Length": "9"})):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(given)
            writer.write_eof()
            await reader.read()
            writer.close()
        assert await post(port, request("/x")) == (202, {"n": 0})


async def test_what_is_under_way_is_cut_at_the_end() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /x HTTP/1.1\r\n")
        await writer.drain()
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
