"""What a relay says of itself over plain HTTP (NIP-11), asked for byte by byte."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.relay_suite.client import WAIT_S


async def http(
    url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers by lower-case name, and the body."""
    host, _, port = url.split("//")[1].strip("/").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port or 80))
    fields = {"Host": host, "Connection": "close"} | (headers or {})
    if body or method == "POST":
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} / HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    async with asyncio.timeout(WAIT_S):
        answer = await reader.read()
    writer.close()
    assert answer, "the relay does not answer plain HTTP"
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *found = head.decode().split("\r\n")
    pairs = (line.partition(":") for line in found)
    return int(status.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, rest


async def document_of(url: str) -> dict[str, Any]:
    """The relay information document."""
    status, _, body = await http(url, headers={"Accept": "application/nostr+json"})
    assert status == 200
    decoded: dict[str, Any] = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    return decoded
