"""Shell: whoever posts to a hook, byte by byte where that is the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

Said = tuple[int, dict[str, Any]]


def request(
    target: str, body: bytes = b"", headers: Mapping[str, str] | None = None, method: str = "POST"
) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
    known = {"Content-Length": str(len(body))} | dict(headers or {})
    lines += [f"{name}: {value}" for name, value in known.items()]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


async def post(port: int, *pieces: bytes, pause_s: float = 0.0) -> Said:
    """Send these bytes, with a pause after each, and read the answer: its status and its object."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        return await answer(reader)
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> Said:
    """Read an answer to its end."""
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        while head.startswith("HTTP/1.1 100"):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = await reader.read()
    return int(head.split()[1]), json.loads(body)
