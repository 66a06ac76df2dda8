"""What comes in, over a real socket: every message once, whole, in order, however it is cut."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from websockets.asyncio.server import ServerConnection, serve

from relay_local import inlet
from relay_local.inlet import MAX_MESSAGE_BYTES, MAX_WAITING_BYTES, Inlet

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
MASK = b"\x01\x80\x7f\xfe"


def frame(
    payload: bytes, opcode: int = TEXT, *, last: bool = True, mask: bytes | None = MASK
) -> bytes:
    """One frame of RFC 6455 5.2, by the book."""
    head = bytes([(0x80 if last else 0) | opcode])
    masked = 0x80 if mask is not None else 0
    size = len(payload)
    if size < 126:
        head += bytes([masked | size])
    elif size < 1 << 16:
        head += bytes([masked | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([masked | 127]) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Heard:
    """What a server has taken; `take` lets it."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.inlets: list[Inlet] = []
        self.take = asyncio.Event()
        self.over = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        own = cast("Inlet", socket)
        self.inlets.append(own)
        await self.take.wait()
        while messages := await own.messages():
            self.messages += messages
        self.over.set()


@asynccontextmanager
async def dialled(
    *, take: bool = True, first: bytes = REQUEST
) -> AsyncIterator[tuple[Heard, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client's bare socket, its request sent, and what the server hears."""
    heard = Heard()
    if take:
        heard.take.set()
    serving = serve(
        heard.serve,
        "127.0.0.1",
        0,
        create_connection=Inlet,
        max_size=MAX_MESSAGE_BYTES,
        compression=None,
        close_timeout=1,
    )
    async with asyncio.timeout(10), serving as server:
        host, port = server.sockets[0].getsockname()[:2]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(first)
        if first == REQUEST:
            await reader.readuntil(b"\r\n\r\n")
        try:
            yield heard, reader, writer
        finally:
            heard.take.set()
            writer.close()


async def close_code(reader: asyncio.StreamReader) -> int:
    """The code of the frame by which the server ends the connection."""
    assert (await reader.readexactly(1))[0] == 0x80 | CLOSE
    body = await reader.readexactly((await reader.readexactly(1))[0])
    return int.from_bytes(body[:2], "big")


@pytest.mark.parametrize("seed", range(6))
async def test_messages_are_whole_and_in_order_however_they_are_cut(seed: int) -> None:
    """A length read from half a head would make a message's text the next one's head."""
    source = random.Random(seed)
    wanted: list[str | bytes] = []
    stream = b""
    for size in source.sample([0, 1, 2, 124, 125, 126, 127, 300, 65_535, 65_536, 70_000], k=11):
        text = "é" * (size // 2) + "x" * (size % 2)
        wanted.append(text)
        stream += frame(text.encode(), mask=source.randbytes(4))
        match source.randrange(4):
            case 0:
                stream += frame(b"are you there", PING)
            case 1:
                wanted.append(b"\xff\xfe")
                stream += frame(b"\xff\xfe", BINARY)
            case 2:  # a message in parts, with a ping between them
                wanted.append("één")
                stream += frame(b"\xc3\xa9\xc3", last=False) + frame(b"", PING)
                stream += frame(b"\xa9n", 0)
    early = source.randrange(3_000)  # comes with the request, or before its answer
    async with dialled(first=REQUEST + stream[: early + 1]) as (heard, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        longest = source.choice([40, 1_000, 100_000])
        stream = stream[early + 1 :]
        while stream:
            some = source.randint(1, longest)
            writer.write(stream[:some])
            stream = stream[some:]
            await writer.drain()
        writer.write_eof()
        await heard.over.wait()
        assert heard.messages == wanted


async def test_what_came_before_the_end_is_taken() -> None:
    async with dialled(take=False) as (heard, _, writer):
        writer.write(b"".join(frame(b"%d" % number) for number in range(100)))
        writer.close()
        await heard.inlets[0].wait_closed()
        heard.take.set()
        await heard.over.wait()
        assert heard.messages == [str(number) for number in range(100)]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (frame(b"\xff not utf-8"), 1007),
        (frame(b"\xff", last=False) + frame(b"", 0), 1007),
        (frame(b"x", mask=None), 1002),
        (frame(b"x" * 200, mask=None), 1002),
        (frame(b"first", last=False) + frame(b"second, not a part"), 1002),
        (frame(b"x", 3), 1002),
        (b"\x81\xff" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big") + MASK, 1009),
        (b"\x81\xff" + b"\xff" * 8 + MASK, 1009),
    ],
)
async def test_what_is_not_allowed_ends_the_connection(wrong: bytes, code: int) -> None:
    """RFC 6455: 5.1 without a mask 1002, 8.1 no UTF-8 1007; 7.4.1 too large 1009. What came
    before it counts, what follows does not."""
    async with dialled() as (heard, reader, writer):
        writer.write(frame(b"before") + wrong + frame(b"after"))
        assert await close_code(reader) == code
        writer.write(frame(code.to_bytes(2, "big"), CLOSE))
        writer.write_eof()
        await heard.over.wait()
        assert heard.messages == ["before"]


async def test_the_largest_message_is_taken() -> None:
    async with dialled() as (heard, _, writer):
        writer.write(frame(b"x" * MAX_MESSAGE_BYTES, mask=bytes(4)))
        writer.write_eof()
        await heard.over.wait()
        assert heard.messages == ["x" * MAX_MESSAGE_BYTES]


async def test_who_is_not_listened_to_is_not_read() -> None:
    """Attack: a client that sends on while the relay is busy would fill its memory."""
    one = frame(b"x" * 10_000, mask=bytes(4))
    n = 3_000
    async with dialled(take=False) as (heard, _, writer):
        sending = asyncio.create_task(_send(writer, one * n))
        await asyncio.sleep(0.5)
        assert not sending.done()
        (own,) = heard.inlets
        held = sum(map(len, own._messages)) + len(own._bytes)
        assert held <= MAX_WAITING_BYTES + (512 << 10)
        heard.take.set()
        await sending
        writer.write_eof()
        await heard.over.wait()
        assert [len(message) for message in heard.messages] == n * [10_000]


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
    while writer.transport.get_write_buffer_size():
        await asyncio.sleep(0.01)


async def test_a_message_has_a_bounded_number_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: parts without content count nothing against the size of a message."""
    monkeypatch.setattr(inlet, "MAX_FRAGMENTS", 50)
    async with dialled() as (heard, reader, writer):
        writer.write(frame(b"", last=False) + frame(b"", 0, last=False) * 100)
        await heard.over.wait()
        assert await _is_cut_off(reader)
        assert heard.messages == []


async def test_what_comes_before_the_handshakes_answer_is_bounded() -> None:
    """Attack: nobody has said yet that this client may send anything."""
    async with dialled(first=REQUEST + frame(b"x" * 60_000) * 10) as (heard, reader, _):
        assert await _is_cut_off(reader)
        assert heard.messages == []


async def _is_cut_off(reader: asyncio.StreamReader) -> bool:
    """Say whether the connection ends without a word of the protocol."""
    try:
        answer = await reader.read()
    except ConnectionError:
        return True
    return answer.endswith(b"\r\n\r\n") or not answer
