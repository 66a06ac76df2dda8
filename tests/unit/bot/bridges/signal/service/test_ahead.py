"""A stream read ahead of whoever works on it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator

import pytest

from bot.bridges.signal.service import streaming
from bot.bridges.signal.service.ahead import MAX_BYTES, Ahead


class Source:
    """Texts as they are put; it knows how far it was read, and whether it was closed."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self.n_read, self.is_closed = 0, False

    async def texts(self) -> AsyncGenerator[str, None]:
        try:
            while (text := await self.given.get()) is not None:
                if isinstance(text, Exception):
                    raise text
                self.n_read += 1
                yield text
        finally:
            self.is_closed = True

    def put(self, *texts: str | Exception | None) -> None:
        for text in texts:
            self.given.put_nowait(text)


async def turns(n: int = 20) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def test_all_comes_in_order_and_then_the_end() -> None:
    source = Source()
    source.put("a", "b", "c", None)
    async with Ahead(source.texts()) as ahead:
        assert await ahead.next(2) == ["a", "b"]
        assert await ahead.next(2) == ["c"]
        assert await ahead.next(2) == []
        assert await ahead.next(2) == []


async def test_who_waits_gets_the_first_that_comes() -> None:
    source = Source()
    async with Ahead(source.texts()) as ahead:
        waiting = asyncio.create_task(ahead.next(9))
        await turns()
        assert not waiting.done()
        source.put("a")
        assert await waiting == ["a"]
        again = asyncio.create_task(ahead.next(9))
        await turns()
        assert not again.done()
        source.put(None)
        assert await again == []


async def test_nobody_is_waited_for() -> None:
    source = Source()
    source.put(*(str(i) for i in range(1_000)))
    async with Ahead(source.texts()) as ahead:
        while source.n_read < 1_000:
            await asyncio.sleep(0)
        assert await ahead.next(3) == ["0", "1", "2"]


async def test_there_is_an_end_to_what_is_read_ahead() -> None:
    source = Source()
    source.put(*("x" * 10 for _ in range(100)), None)
    async with Ahead(source.texts(), max_bytes=5 * sys.getsizeof("x" * 10)) as ahead:
        await turns(500)
        assert source.n_read < 10
        n_taken = 0
        while texts := await ahead.next(3):
            n_taken += len(texts)
        assert n_taken == 100


async def test_what_ended_it_is_raised_when_all_is_taken() -> None:
    source = Source()
    source.put("a", RuntimeError("broken"))
    async with Ahead(source.texts()) as ahead:
        await turns()
        assert await ahead.next(9) == ["a"]
        with pytest.raises(RuntimeError, match="broken"):
            await ahead.next(9)


@pytest.mark.parametrize("text", ["", "x"])
async def test_texts_of_nothing_have_an_end_too(text: str) -> None:
    """Attack: a text costs memory, whatever is in it."""
    source = Source()
    source.put(*(text for _ in range(1_000)), None)
    async with Ahead(source.texts(), max_bytes=1_000) as ahead:
        await turns(1_500)
        assert source.n_read < 50
        n_taken = 0
        while texts := await ahead.next(20):
            n_taken += len(texts)
        assert n_taken == 1_000


def test_what_a_service_can_have_us_hold() -> None:
    """Attack: the largest messages, faster than they are written down."""
    waiting = streaming.MAX_FRAMES * streaming.MAX_MESSAGE_BYTES
    assert waiting + MAX_BYTES <= 128 * 2**20


@pytest.mark.parametrize("max_bytes", [0, 1_000])
async def test_at_the_end_the_stream_is_closed(max_bytes: int) -> None:
    source = Source()
    source.put("a", "b", "c")
    async with Ahead(source.texts(), max_bytes=max_bytes):
        await turns()
    assert source.is_closed
