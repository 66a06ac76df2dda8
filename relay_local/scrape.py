"""Shell: the metrics over HTTP on a loopback port, for a Prometheus on the same machine."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address

from relay_local.metrics import CONTENT_TYPE

MAX_HEAD_BYTES = 16 << 10
PATIENCE_S = 5.0


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def serve_metrics(host: str, port: int, measure: Callable[[], str]) -> asyncio.Server:
    """Answer `GET /metrics` with what `measure` returns. Raises OSError; ValueError for an
    address that others could reach: who talks with the relay, and when, is nobody else's."""
    if not is_loopback(host):
        raise ValueError(f"{host} is no loopback address")
    return await asyncio.start_server(
        partial(_answer, measure=measure), host, port, limit=MAX_HEAD_BYTES
    )


async def _answer(reader: StreamReader, writer: StreamWriter, measure: Callable[[], str]) -> None:
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_response(head, measure))
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _response(head: bytes, measure: Callable[[], str]) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.split(b" ")[0].split(b"?")[0]
    if method not in (b"GET", b"HEAD"):
        status, body = "405 Method Not Allowed", b""
    elif path not in (b"/metrics", b"/"):
        status, body = "404 Not Found", b""
    else:
        status, body = "200 OK", measure().encode()
    fields = (
        f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return fields.encode() + (b"" if method == b"HEAD" else body)
