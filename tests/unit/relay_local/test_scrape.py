"""Metrics over HTTP, for this machine alone."""

from __future__ import annotations

import asyncio

import pytest

from relay_local.scrape import is_loopback, serve_metrics


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def test_it_answers_a_scrape_and_nothing_else() -> None:
    async with await serve_metrics("127.0.0.1", 0, lambda: "up 1\n") as server:
        port = server.sockets[0].getsockname()[1]
        head, _, body = (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"text/plain; version=0.0.4" in head
        assert body == b"up 1\n"
        # A page in a browser may send a request here; it must not read the answer.
        assert b"Access-Control" not in head
        assert (await ask(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")
        assert b" 404 " in await ask(port, b"GET /other HTTP/1.1\r\n\r\n")
        assert b" 405 " in await ask(port, b"POST /metrics HTTP/1.1\r\n\r\n")
        assert await ask(port, b"x" * 100_000) == b""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
async def test_others_are_not_served(host: str) -> None:
    """Who talks with the relay, and when, would be on the network."""
    assert not is_loopback(host)
    with pytest.raises(ValueError, match="loopback"):
        await serve_metrics(host, 0, str)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
