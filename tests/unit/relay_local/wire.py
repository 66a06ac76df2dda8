"""A plain client of a relay: frames as they go over the wire, nothing hidden."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect, unix_connect

from nips import nip42
from nips.event import Event, Template
from nips.key import SecretKey

WAIT_S = 20.0


def now() -> int:
    return int(time.time())


def signed(author: SecretKey, kind: int, *tags: tuple[str, ...], content: str = "") -> Event:
    """An event of now, different from every other."""
    return Template(author.public, now(), int(kind), tags, content).sign(
        author, secrets.token_bytes(32)
    )


class Wire:
    """One connection. `url`: what its AUTH names."""

    def __init__(self, socket: ClientConnection, url: str) -> None:
        self.socket = socket
        self.url = url
        self.challenge = ""

    async def hear(self) -> list[Any]:
        async with asyncio.timeout(WAIT_S):
            return list(json.loads(await self.socket.recv()))

    async def say(self, *frame: object) -> None:
        await self.socket.send(json.dumps(frame))

    async def auth(self, *keys: SecretKey) -> None:
        for key in keys:
            answer = nip42.auth_template(key.public, self.challenge, self.url, now())
            await self.say("AUTH", answer.sign(key, secrets.token_bytes(32)).to_json())
            frame = await self.hear()
            assert frame[0] == "OK"
            assert frame[2] is True, frame

    async def put(self, new: Event) -> list[Any]:
        """Publish and return the OK; what else arrives meanwhile is passed over."""
        await self.say("EVENT", new.to_json())
        while True:
            frame = await self.hear()
            if frame[:2] == ["OK", new.id]:
                return frame[2:]

    async def keep(self, *events: Event) -> None:
        for new in events:
            accepted, message = await self.put(new)
            assert accepted, message

    async def req(self, name: str, *filters: dict[str, object]) -> list[dict[str, Any]]:
        """Subscribe and return the stored events; raises AssertionError on CLOSED."""
        await self.say("REQ", name, *filters)
        found: list[dict[str, Any]] = []
        while True:
            frame = await self.hear()
            if frame[0] == "EOSE":
                return found
            assert frame[:2] == ["EVENT", name], frame
            found.append(frame[2])


@asynccontextmanager
async def wire(address: str | Path, *keys: SecretKey) -> AsyncIterator[Wire]:
    """Connect over TCP or a Unix socket and authenticate the keys."""
    if isinstance(address, Path):
        opening, url = unix_connect(str(address)), "ws://relay.local"
    else:
        opening, url = connect(address, max_size=8 << 20), address
    async with opening as socket:
        client = Wire(socket, url)
        frame = await client.hear()
        assert frame[0] == "AUTH"
        client.challenge = frame[1]
        await client.auth(*keys)
        yield client
