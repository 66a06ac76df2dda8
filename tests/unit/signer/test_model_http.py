"""signer/model_http.py: HTTP on a Unix socket, in whatever pieces it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from signer.model_http import MAX_HEAD_BYTES, BodyTooLarge, CallerGone, Exchange, Listener

MOST_BYTES = 1_000


class Echo:
    """Answers with what it was asked; `/stream` in pieces, `/wait` never, `/early` unread."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def handle(self, exchange: Exchange) -> None:
        if exchange.target == "/early":
            await exchange.answer(403, [], b"no")
            await exchange.discard()
            return
        try:
            body = await exchange.body(MOST_BYTES)
        except BodyTooLarge:
            await exchange.answer(413, [], b"large")
            await exchange.discard()
            return
        if exchange.target == "/wait":
            await exchange.hung_up()
            self.gone.set()
            raise CallerGone
        if exchange.target == "/stream":
            await exchange.begin(200, [("content-type", "text/plain")])
            for byte in body:
                await exchange.send(bytes([byte]))
            await exchange.end()
            return
        told = f"{exchange.method} {exchange.target} {exchange.header('x-a')} ".encode()
        await exchange.answer(200, [], told + body)


@pytest.fixture
async def served() -> AsyncIterator[tuple[str, Echo, Listener]]:
    with TemporaryDirectory(prefix="nc-") as folder:
        echo = Echo()
        path = Path(folder) / "s"
        listener = Listener(path, echo.handle)
        await listener.open()
        yield str(path), echo, listener
        await listener.close()


async def said(path: str, data: bytes, *, piecewise: bool = False) -> bytes:
    """Everything that comes back until the end."""
    reader, writer = await asyncio.open_unix_connection(path)
    if piecewise:
        for byte in data:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
    else:
        writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def asked(target: str, body: bytes = b"", *headers: bytes, close: bool = True) -> bytes:
    lines = [f"POST {target} HTTP/1.1".encode(), b"Host: h", *headers]
    lines += [b"Connection: close"] if close else []
    lines += [f"Content-Length: {len(body)}".encode(), b"", body]
    return b"\r\n".join(lines)


@pytest.mark.parametrize("piecewise", [False, True])
async def test_a_request_in_one_piece_or_byte_by_byte(
    served: tuple[str, Echo, Listener], piecewise: bool
) -> None:
    answer = await said(served[0], asked("/x", b"body", b"X-A: 1"), piecewise=piecewise)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"POST /x 1 body")


async def test_requests_one_after_the_other_and_sent_ahead(
    served: tuple[str, Echo, Listener],
) -> None:
    sent = asked("/one", b"1", close=False) + asked("/two", b"2", close=False) + asked("/three")
    answer = await said(served[0], sent)
    assert [answer.count(name) for name in (b"/one", b"/two", b"/three")] == [1, 1, 1]


async def test_a_header_that_stands_twice_is_none(served: tuple[str, Echo, Listener]) -> None:
    """Attack: two authorisations, of which two readers choose differently."""
    answer = await said(served[0], asked("/x", b"", b"X-A: 1", b"X-A: 2"))
    assert b"/x None" in answer


async def test_a_stream_goes_in_chunks(served: tuple[str, Echo, Listener]) -> None:
    answer = await said(served[0], asked("/stream", b"abc"))
    assert answer.endswith(b"\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n")


async def test_whoever_asks_first_is_told_to_go_on(served: tuple[str, Echo, Listener]) -> None:
    reader, writer = await asyncio.open_unix_connection(served[0])
    head, _, body = asked("/x", b"late", b"Expect: 100-continue").partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    writer.write(body)
    assert (await reader.read()).endswith(b"late")
    writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\r\n\x00", b"GET\r\n\r\n", b"GET / SMTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # without a Host
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * (2 * MAX_HEAD_BYTES) + b"\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_not_http_is_cut(served: tuple[str, Echo, Listener], sent: bytes) -> None:
    assert not (await said(served[0], sent)).startswith(b"HTTP/1.1 200")
    assert (await said(served[0], asked("/still"))).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("target", ["/x", "/early"])
async def test_a_refusal_arrives_although_the_body_is_still_coming(
    served: tuple[str, Echo, Listener], target: str
) -> None:
    answer = await said(served[0], asked(target, b"x" * (3 << 20)))
    assert answer.startswith(b"HTTP/1.1 403" if target == "/early" else b"HTTP/1.1 413")


async def test_a_caller_that_hangs_up_is_noticed(served: tuple[str, Echo, Listener]) -> None:
    path, echo, _ = served
    _, writer = await asyncio.open_unix_connection(path)
    writer.write(asked("/wait"))
    await writer.drain()
    writer.close()
    await asyncio.wait_for(echo.gone.wait(), 5)


async def test_what_is_closed_cuts_what_is_under_way(served: tuple[str, Echo, Listener]) -> None:
    path, _, listener = served
    waiting = asyncio.create_task(said(path, asked("/wait")))
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(asked("/x", close=False))
    await reader.readuntil(b"\r\n\r\n")
    await listener.close()
    assert await waiting == b""
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        await asyncio.open_unix_connection(path)
    writer.close()
