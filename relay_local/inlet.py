"""Shell: what comes in on one connection: all messages that have come at a time.

The library reads a frame by a coroutine of its own. Here what nearly every message is, one masked
text frame, is cut out of the bytes directly; everything else (the handshake, other frames, what
is not allowed) goes to the library, a whole frame at a time. Source: RFC 6455, 5.2.
"""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined]
from websockets.protocol import Event, State

# Above the limit of a frame, so that one somewhat too large is answered and not cut off.
MAX_MESSAGE_BYTES = 4 << 20
MAX_WAITING_BYTES = 256 << 10  # in messages not taken yet; beyond, nothing more is read
MAX_EARLY_BYTES = 64 << 10  # sent before the handshake is answered, which is not allowed
MAX_FRAGMENTS = 4_096  # of one message: empty ones would cost memory without end
_HEAD_END = b"\r\n\r\n"
_TEXT = 0x81  # the last, and first, frame of a text
_MASKED = 0x80
_INVALID_DATA = 1007


class Inlet(ServerConnection):
    """A server's connection that is read by `messages`, not by `recv`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last_of_head: bytes | None = b""  # None: the request has been read to its end
        self._bytes = bytearray()  # from the beginning of a frame on
        self._needed = 0  # how many of them make another step possible
        self._is_over_to_library = False
        self._parts: list[Frame] = []
        self._messages: list[str | bytes] = []
        self._waiting_bytes = 0
        self._is_no_text = False
        self._taker: asyncio.Future[None] | None = None

    async def messages(self) -> list[str | bytes]:
        """All messages that have come and were not taken yet, at least one; text as str, binary
        as bytes. None at all: the connection is over."""
        if self.protocol.state is State.OPEN:
            self._cut()  # what came before the answer to its handshake
        while not self._messages:
            if self._is_no_text:
                await self.close(_INVALID_DATA, "a text message must be UTF-8")
            if self.protocol.state is State.CLOSED:
                return []
            self._taker = self.loop.create_future()
            await self._taker
        taken, self._messages = self._messages, []
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self.transport.resume_reading()
        self._waiting_bytes = 0
        return taken

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        if self._last_of_head is not None:
            data = self._handshake(data, self._last_of_head)
        self._bytes += data
        if len(self._bytes) >= self._needed:
            self._cut()

    def process_event(self, event: Event) -> None:
        """Take a frame that the library has read."""
        if not isinstance(event, Frame) or event.opcode not in (
            Opcode.TEXT,
            Opcode.BINARY,
            Opcode.CONT,
        ):
            return super().process_event(event)
        self._parts.append(event)
        if len(self._parts) > MAX_FRAGMENTS:
            return self.transport.abort()
        if event.fin:
            parts, self._parts = self._parts, []
            whole = b"".join(part.data for part in parts)
            self._put(whole, is_text=parts[0].opcode is Opcode.TEXT)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """The end; what came before it can still be taken."""
        super().connection_lost(exc)
        self._wake()

    def _handshake(self, data: bytes, last: bytes) -> bytes:
        """Give the library what belongs to the request; returns what comes after it."""
        end = (last + data).find(_HEAD_END)
        if end < 0:
            self._last_of_head = (last + data)[1 - len(_HEAD_END) :]
            super().data_received(data)
            return b""
        self._last_of_head = None
        in_data = end + len(_HEAD_END) - len(last)
        super().data_received(data[:in_data])
        return data[in_data:]

    def _cut(self) -> None:
        """Cut whole frames out of what has come."""
        if self.protocol.state is State.CONNECTING:
            # RFC 6455 4.1: the client "MUST wait for a response from the server before sending
            # any further data".
            if len(self._bytes) > MAX_EARLY_BYTES:
                self.transport.abort()
            return
        buffer, at, size = self._bytes, 0, len(self._bytes)
        self._needed = 0
        while size - at >= 2:
            length = buffer[at + 1] & 0x7F
            body = at + 6  # after the mask
            if length >= 126:
                body += 2 if length == 126 else 8
                if size < body:
                    self._needed = body - at
                    break
                length = int.from_bytes(buffer[at + 2 : body - 4], "big")
            if not self._is_fit(buffer[at + 1], length):
                break
            end = body + length
            if size < end:
                self._needed = end - at
                break
            if buffer[at] == _TEXT and not self._parts:
                self._put(apply_mask(buffer[body:end], buffer[body - 4 : body]), is_text=True)
            else:
                super().data_received(bytes(buffer[at:end]))
            at = end
        del buffer[:at]
        if self._is_over_to_library and buffer:
            super().data_received(bytes(buffer))
            buffer.clear()

    def _is_fit(self, second: int, length: int) -> bool:
        """Say whether the frame is to be cut out. A closing connection's, one without a mask and
        one too large are the library's business, and so is all that follows: it answers by
        ending the connection."""
        is_open = self.protocol.state is State.OPEN
        is_fit = is_open and bool(second & _MASKED) and length <= MAX_MESSAGE_BYTES
        self._is_over_to_library = not is_fit
        return is_fit

    def _put(self, message: bytes, *, is_text: bool) -> None:
        if self._is_no_text:
            return
        try:
            self._messages.append(message.decode() if is_text else message)
        except UnicodeDecodeError:
            self._is_no_text = True
        before = self._waiting_bytes
        self._waiting_bytes += len(message)
        if before <= MAX_WAITING_BYTES < self._waiting_bytes:
            self.transport.pause_reading()
        self._wake()

    def _wake(self) -> None:
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)
