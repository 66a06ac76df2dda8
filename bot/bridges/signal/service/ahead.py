"""Shell: a stream read ahead of whoever works on it, so that its sender never waits for us."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

MAX_BYTES = 64 * 2**20  # of memory, read and not yet taken; then the sender waits after all


class Ahead:
    """An asynchronous context manager around a stream of texts."""

    def __init__(self, texts: AsyncGenerator[str, None], max_bytes: int = MAX_BYTES) -> None:
        self._texts, self._max_bytes = texts, max_bytes
        self._read: deque[str] = deque()
        self._n_bytes = 0
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to read."""
        self._reader = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Read no more."""
        assert self._reader is not None
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def next(self, most: int) -> list[str]:
        """What has come, up to so many texts; waits for the first. None at the end of the stream.

        Raises what ended the stream, once all before it is taken.
        """
        assert self._reader is not None
        await self._news.wait()
        taken = [self._read.popleft() for _ in range(min(most, len(self._read)))]
        self._n_bytes -= sum(map(sys.getsizeof, taken))
        self._room.set()
        if self._reader.done() and not taken:
            self._reader.result()
        elif not self._read and not self._reader.done():
            self._news.clear()
        return taken

    async def _run(self) -> None:
        try:
            async with aclosing(self._texts) as texts:
                async for text in texts:
                    while self._n_bytes > self._max_bytes:
                        self._room.clear()
                        await self._room.wait()
                    self._read.append(text)
                    # Attack: millions of texts of one character, or of none.
                    self._n_bytes += sys.getsizeof(text)
                    self._news.set()
        finally:
            self._news.set()
