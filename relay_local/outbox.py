"""Shell: what waits to be sent on one connection, bounded in bytes.

A client that does not read must cost its own connection and nothing else: nobody waits for it,
and beyond the bound it is cut off.
"""

from __future__ import annotations

import asyncio
from collections import deque

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

MAX_WAITING_BYTES = 16 << 20
REFILL_BELOW_BYTES = 512 << 10


class Outbox:
    """The frames on their way to one client, sent in order by `run`."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._filled = asyncio.Event()
        self._low = asyncio.Event()
        self._low.set()
        self._cut = False

    def put(self, frame: bytes) -> None:
        """Queue a frame; cuts the connection when too many bytes wait."""
        if self._cut:
            return
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)
        self._filled.set()
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self.cut()
        elif self._waiting_bytes > REFILL_BELOW_BYTES:
            self._low.clear()

    def cut(self) -> None:
        """End the connection at once, without the closing handshake that a client which does
        not read would never answer."""
        self._cut = True
        self._waiting.clear()
        self._low.set()
        self._filled.set()
        self._socket.transport.abort()

    async def low(self) -> None:
        """Wait until little is waiting, so that stored events are read at the client's pace."""
        await self._low.wait()

    async def run(self) -> None:
        """Send until the connection ends."""
        try:
            while not self._cut:
                if not self._waiting:
                    self._filled.clear()
                    await self._filled.wait()
                    continue
                frame = self._waiting.popleft()
                await self._socket.send(frame, text=True)
                self._waiting_bytes -= len(frame)
                if self._waiting_bytes <= REFILL_BELOW_BYTES:
                    self._low.set()
        except ConnectionClosed:
            self._cut = True
            self._low.set()
