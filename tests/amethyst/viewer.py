"""The owner's own client, as Amethyst behaves: a plain websocket, NIP-42 after a refusal.

It asks first, is told `auth-required:`, authenticates and asks again. Keys and signatures are
nostr-sdk's, so nothing here is of our own making but the words on the wire.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import Request, urlopen

import nostr_sdk as sdk
from websockets.asyncio.client import ClientConnection, connect

PATIENCE_S = 10.0


class Viewer:
    """One connection of one key."""

    def __init__(self, socket: ClientConnection, url: str, keys: sdk.Keys) -> None:
        self._socket, self._url, self.keys = socket, url, keys
        self._count = 0
        self._challenge: str | None = None

    @property
    def public_key(self) -> str:
        return str(self.keys.public_key().to_hex())

    async def ask(self, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What is stored. Raises Refused with the relay's words."""
        for _ in range(2):
            self._count += 1
            name = f"amethyst-{self._count}"
            await self._say("REQ", name, *filters)
            found: list[dict[str, Any]] = []
            while True:
                match await self._hear():
                    case ["EVENT", str(sub), dict(event)] if sub == name:
                        found.append(checked(event))
                    case ["EOSE", str(sub)] if sub == name:
                        await self._say("CLOSE", name)
                        return found
                    case ["CLOSED", str(sub), str(why)] if sub == name:
                        if not why.startswith("auth-required:"):
                            raise Refused(why)
                        break
            await self._authenticate()
        raise Refused("asked again after NIP-42, it was refused once more")

    async def publish(self, kind: int, tags: list[list[str]], content: str = "") -> str:
        """Sign and send; returns the id. Raises Refused with the relay's words."""
        builder = sdk.EventBuilder(sdk.Kind(kind), content).tags([sdk.Tag.parse(t) for t in tags])
        event = json.loads(builder.finalize(self.keys).as_json())
        why = await self._send("EVENT", event)
        if why is not None and why.startswith("auth-required:"):
            await self._authenticate()
            why = await self._send("EVENT", event)
        if why is not None:
            raise Refused(why)
        return str(event["id"])

    async def _authenticate(self) -> None:
        while self._challenge is None:
            await self._hear()
        tags = [sdk.Tag.parse(["relay", self._url]), sdk.Tag.parse(["challenge", self._challenge])]
        signed = sdk.EventBuilder(sdk.Kind(22_242), "").tags(tags).finalize(self.keys)
        event = json.loads(signed.as_json())
        if (why := await self._send("AUTH", event)) is not None:
            raise Refused(why)

    async def _send(self, verb: str, event: dict[str, Any]) -> str | None:
        """Send an event; returns the words of a refusal, None where it was taken."""
        await self._say(verb, event)
        while True:
            match await self._hear():
                case ["OK", str(event_id), bool(accepted), str(why)] if event_id == event["id"]:
                    return None if accepted else why

    async def _say(self, *frame: object) -> None:
        await self._socket.send(json.dumps(frame))

    async def _hear(self) -> list[Any]:
        async with asyncio.timeout(PATIENCE_S):
            frame: list[Any] = json.loads(await self._socket.recv())
        match frame:
            case ["AUTH", str(challenge)]:
                self._challenge = challenge
        return frame


class Refused(Exception):
    """The relay said no; the words are its own."""


def checked(event: dict[str, Any]) -> dict[str, Any]:
    """The event, whose id and signature hold: that much the client does check."""
    assert sdk.Event.from_json(json.dumps(event)).verify()
    return event


def document(url: str) -> dict[str, Any]:
    """The relay's NIP-11 document."""
    request = Request(url.replace("ws", "http", 1), headers={"Accept": "application/nostr+json"})
    with urlopen(request, timeout=PATIENCE_S) as answer:
        value: dict[str, Any] = json.loads(answer.read())
        return value


@asynccontextmanager
async def viewer(url: str, keys: sdk.Keys) -> AsyncIterator[Viewer]:
    """Somebody at the relay, who has not authenticated yet."""
    async with connect(url, max_size=None) as socket:
        yield Viewer(socket, url, keys)
