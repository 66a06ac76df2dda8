"""Shell: the TCP side: a port at which connections are let through, refused or swallowed."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from tests.fault_proxy.faults import Gate

CHUNK_BYTES = 1 << 16


class Entrance:
    """A port on loopback that stays ours while nobody listens at it; what passes goes to
    `inside_port`. port: 0 picks a free one."""

    def __init__(self, inside_port: int, port: int) -> None:
        self._inside_port = inside_port
        # Bound and never listening: a connection is refused, and no other program gets the port.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", port))
        self.port: int = self._place.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._gate = Gate.OPEN
        self._open: set[_Connection] = set()

    async def set(self, gate: Gate) -> None:
        """Behave so from now on. What was swallowed once never speaks again."""
        self._gate = gate
        if gate is Gate.REFUSE:
            if self._server is not None:
                self._server.close()
                self._server = None
        elif self._server is None:
            self._server = await asyncio.start_server(self._enter, "127.0.0.1", self.port)
        for connection in list(self._open):
            match gate:
                case Gate.REFUSE:
                    connection.abort()
                case Gate.CLOSE:
                    connection.close()
                case Gate.SWALLOW | Gate.SWALLOW_OLD:
                    connection.swallows = True
                case Gate.OPEN:
                    pass

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        connection.swallows = self._gate is Gate.SWALLOW
        self._open.add(connection)
        try:
            await connection.carry(self._inside_port)
        finally:
            self._open.discard(connection)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.swallows = False

    async def carry(self, inside_port: int) -> None:
        """Carry both ways until either side ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", inside_port)
        tasks = {
            asyncio.create_task(self._pump(self._reader, writer)),
            asyncio.create_task(self._pump(reader, self._writer)),
        }
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for each in (writer, self._writer):
            each.close()

    def close(self) -> None:
        """Say goodbye as TCP does."""
        self._writer.close()

    def abort(self) -> None:
        """Reset it."""
        self._writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if not self.swallows:
                    writer.write(data)
                    await writer.drain()
