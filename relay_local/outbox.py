"""Shell: what waits to be sent on one connection, bounded in bytes.

All that one turn of the loop says to a client is one write: under load a commit's OKs, or an
event's copies for fifty readers, cost one system call a connection and no task's waking.

A client that does not read must cost its own connection and nothing else: nobody waits for it,
and beyond the bound it is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

MAX_WAITING_BYTES = 16 << 20
REFILL_BELOW_BYTES = 512 << 10  # the server's `write_limit`: what `low` waits for


class Outbox:
    """The frames on their way to one client, in order."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._cut = False

    def put(self, frame: bytes) -> None:
        """Queue a frame, as `put_all` does."""
        self.put_all((frame,))

    def put_all(self, frames: Sequence[bytes]) -> None:
        """Queue frames, in order; cuts the connection when too many bytes wait."""
        if self._cut or not frames:
            return
        if not self._waiting:
            self._loop.call_soon(self._flush)
        for frame in frames:
            self._waiting += (_head(len(frame)), frame)
            self._waiting_bytes += len(frame)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self.cut()

    def cut(self) -> None:
        """End the connection at once, without the closing handshake that a client which does
        not read would never answer."""
        self._cut = True
        self._forget()
        self._socket.transport.abort()

    async def low(self) -> None:
        """Wait until little is waiting, so that stored events are read at the client's pace;
        not for a connection that is over."""
        if self._waiting_bytes > REFILL_BELOW_BYTES:
            self._flush()  # what is less goes out in one write with what follows, such as an EOSE
        if self._socket.state is State.OPEN:
            with suppress(OSError):
                await self._socket.drain()

    async def sent(self) -> None:
        """Wait until what was put in is on its way: the transport sends it before the frame
        that closes the connection."""
        self._flush()
        await self.low()

    def _flush(self) -> None:
        # Whole frames between those of the library, which writes whole ones too. After its
        # closing frame RFC 6455 5.5.1 allows nothing more.
        transport = self._socket.transport
        if self._waiting and self._socket.state is State.OPEN:
            transport.write(b"".join(self._waiting))
        self._forget()
        if transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            self.cut()

    def _forget(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0


def _head(size: int) -> bytes:
    # RFC 6455 5.2: one final text frame; what a server sends is not masked.
    if size < 126:
        return b"\x81%c" % size
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")
