"""A client that knows the wire and nothing of the relay behind it."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from nips import nip42
from nips.event import Event, Template
from nips.key import SecretKey

WAIT_S = 15.0
GREETING_S = 0.5
_numbers = itertools.count()

Json = dict[str, Any]


def new_key() -> SecretKey:
    return SecretKey(secrets.token_bytes(32))


def now() -> int:
    return int(time.time())


def made(
    author: SecretKey, kind: int, *tags: tuple[str, ...], content: str = "", at: int | None = None
) -> Event:
    """A signed event of its own id."""
    unique = ("nonce", f"{next(_numbers)}-{secrets.token_hex(8)}")
    created_at = now() if at is None else at
    return Template(author.public, created_at, kind, (*tags, unique), content).sign(
        author, secrets.token_bytes(32)
    )


class Client:
    """One connection that has authenticated where it was asked to. `challenge`: what it was
    asked with, or nothing."""

    def __init__(self, socket: ClientConnection, url: str, challenge: str) -> None:
        self.socket = socket
        self.url = url
        self.challenge = challenge
        self.ended: set[str] = set()

    async def hear(self) -> list[Any]:
        async with asyncio.timeout(WAIT_S):
            while True:
                frame = list(json.loads(await self.socket.recv()))
                if frame[0] == "AUTH":  # NIP-42: "At any moment the relay may send" one
                    self.challenge = frame[1]
                elif frame[0] == "CLOSED" and frame[1] in self.ended:
                    continue  # a relay may end a subscription whose every id it has served
                else:
                    if frame[0] == "EOSE":
                        self.ended.add(frame[1])
                    return frame

    async def say(self, *frame: object) -> None:
        if frame[0] == "REQ":
            self.ended.discard(str(frame[1]))
        await self.socket.send(json.dumps(frame))

    async def authenticate(self, key: SecretKey, **changes: Any) -> tuple[bool, str]:
        """Answer the challenge in a key's name; `changes`: what is said otherwise than right."""
        if not self.challenge:  # some relays ask only when they need to know
            assert not (await self.ok(made(key, 1, ("-",))))[0]
        given: Json = {"challenge": self.challenge, "url": self.url, "at": now()} | changes
        template = nip42.auth_template(key.public, given["challenge"], given["url"], given["at"])
        event = template.sign(key, secrets.token_bytes(32)).to_json() | given.get("fields", {})
        await self.say("AUTH", event)
        frame = await self.hear()
        assert frame[:2] == ["OK", event["id"]], frame
        return frame[2], frame[3]

    async def ask(self, *frame: object) -> list[Any]:
        """Send one frame and take the next answer to it."""
        await self.say(*frame)
        return await self.hear()

    async def ok(self, event: Event | Json) -> tuple[bool, str]:
        """Publish; the OK's verdict and message."""
        value = event.to_json() if isinstance(event, Event) else event
        await self.say("EVENT", value)
        while True:
            frame = await self.hear()
            if frame[0] == "OK" and frame[1] == value["id"]:
                return frame[2], frame[3]
            assert frame[0] in ("EVENT", "EOSE"), frame

    async def keep(self, *events: Event) -> None:
        for event in events:
            accepted, message = await self.ok(event)
            assert accepted, message

    async def find(self, *filters: Json, name: str | None = None) -> list[str]:
        """The ids of what is stored, in the relay's order; the subscription is closed."""
        sub = name or f"find {next(_numbers)}"
        await self.say("REQ", sub, *filters)
        found: list[str] = []
        while True:
            frame = await self.hear()
            if frame[:2] == ["EVENT", sub]:
                found.append(frame[2]["id"])
            elif frame[:2] == ["EOSE", sub]:
                await self.say("CLOSE", sub)
                return found
            else:
                assert frame[0] == "EVENT", frame

    async def is_silent(self, wait_s: float = 0.4) -> bool:
        """Say whether nothing comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.socket.recv()
                return False
        return True


@asynccontextmanager
async def dial(url: str, *keys: SecretKey, **options: Any) -> AsyncIterator[Client]:
    """Connect and authenticate the keys, if the relay asks who it is. options: of the socket."""
    async with connect(url, max_size=16 << 20, **options) as socket:
        client = Client(socket, url, "")
        with suppress(TimeoutError):
            async with asyncio.timeout(GREETING_S):
                frame = json.loads(await socket.recv())
                assert frame[0] == "AUTH", frame
                client.challenge = frame[1]
        if client.challenge:
            for key in keys:
                assert (await client.authenticate(key))[0]
        yield client
