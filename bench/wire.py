"""Shell: a WebSocket client as thin as it can be: what is measured is to be the relay.

Frames to send are made, masked and kept before the clock starts; what comes is cut into messages
and handed over as bytes. RFC 6455, text messages, no extensions.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from urllib.parse import urlsplit

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


def masked(payload: bytes, opcode: int = _TEXT) -> bytes:
    """One frame as a client sends it. RFC 6455 5.2."""
    size = len(payload)
    head = bytes([0x80 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    key = os.urandom(4)
    mask = (key * (size // 4 + 1))[:size]
    body = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + key + body.to_bytes(size, "big")


class Wire(asyncio.Protocol):
    """One connection. `heard` is called with each text message; it may not raise."""

    def __init__(self, host: str, heard: Callable[[bytes], None]) -> None:
        self.heard = heard
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = asyncio.Event()
        self._host = host
        self._buffer = bytearray()
        self._parts = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET / HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take in what came; hand over every whole message."""
        self._buffer += data
        if not self.opened.done():
            head, separator, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not separator:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(ConnectionError(head.split(b"\r\n")[0].decode()))
                return
            self._buffer = bytearray(rest)
            self.opened.set_result(None)
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            opcode, size, start = buffer[at] & 0x0F, buffer[at + 1], at + 2
            if size == 126:
                start += 2
                size = int.from_bytes(buffer[at + 2 : start], "big")
            elif size == 127:
                start += 8
                size = int.from_bytes(buffer[at + 2 : start], "big")
            if len(buffer) < start + size:
                break
            self._frame(opcode, bytes(buffer[start : start + size]), bool(buffer[at] & 0x80))
            at = start + size
        del buffer[:at]

    def _frame(self, opcode: int, payload: bytes, final: bool) -> None:
        assert self._transport is not None
        if opcode == _PING:
            self._transport.write(masked(payload, _PONG))
        elif opcode == _CLOSE:
            self._transport.close()
        elif opcode in (0, _TEXT):
            if final and not self._parts:
                self.heard(payload)
                return
            self._parts += payload
            if final:
                whole, self._parts = self._parts, b""
                self.heard(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self.lost.set()
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed"))

    def write(self, frames: bytes) -> None:
        """Send frames that `masked` made."""
        assert self._transport is not None
        self._transport.write(frames)

    def close(self) -> None:
        """End it."""
        assert self._transport is not None
        self._transport.close()


async def dial(url: str, heard: Callable[[bytes], None]) -> Wire:
    """Open a connection to `ws://host:port`; a greeting may come with the upgrade. Raises
    OSError."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(
        lambda: Wire(parts.netloc, heard), parts.hostname or "", parts.port or 80
    )
    await wire.opened
    return wire
