"""signer/model_room.py: what requests may take of the proxy's memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from signer.model_http import Exchange, Listener
from signer.model_refusal import NotServed
from signer.model_request import MAX_BODY_BYTES
from signer.model_room import MAX_BODIES_BYTES, Room


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    """A socket whose requests share one room, and are told how large their bodies were."""
    room = Room()

    async def handle(exchange: Exchange) -> None:
        try:
            async with room.body(exchange) as body:
                await exchange.answer(200, [], str(len(body)).encode())
        except NotServed as refused:
            await exchange.answer(refused.refusal.status, [], refused.refusal.sentence.encode())
            await exchange.discard()

    with TemporaryDirectory(prefix="nc-") as folder:
        listener = Listener(Path(folder) / "s", handle)
        await listener.open()
        yield Path(folder) / "s"
        await listener.close()


async def status_of(reader: asyncio.StreamReader) -> bytes:
    return (await asyncio.wait_for(reader.readline(), 10)).split()[1]


@pytest.mark.parametrize("declared", [b"", b"Content-Length: 1\r\n"])
async def test_a_chunked_body_takes_the_place_of_the_largest(path: Path, declared: bytes) -> None:
    """Attack: a length that a transfer coding overrides says that the body is small."""
    head = b"POST / HTTP/1.1\r\nHost: h\r\n" + declared + b"Transfer-Encoding: chunked\r\n\r\n"
    open_ones = []
    for _ in range(MAX_BODIES_BYTES // MAX_BODY_BYTES):
        reader, writer = await asyncio.open_unix_connection(path)
        # Who is asked to go on has a place.
        writer.write(head.replace(b"Host", b"Expect: 100-continue\r\nHost"))
        assert await status_of(reader) == b"100"
        await reader.readline()
        open_ones.append((reader, writer))
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(head + b"2\r\nhi\r\n0\r\n\r\n")
    assert await status_of(reader) == b"503"
    writer.close()
    for reader, writer in open_ones:
        writer.write(b"2\r\nhi\r\n0\r\n\r\n")
        assert await status_of(reader) == b"200"
        writer.close()
