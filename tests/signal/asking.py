"""Who asks the service in these tests: one account's requests, as any client would make them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from bot.operate.stand_ins.signal_envelopes import Group, said
from bot.operate.stand_ins.signal_service import SignalService
from tests.signal_service import ALICE

Json = dict[str, Any]
BASE_MS = 1_700_000_000_000
KNOCK = "knock"


def group_id(group: Group) -> str:
    """A group's id as the service gives and takes it: base64 of what is base64 already."""
    return "group." + base64.b64encode(group.id.encode()).decode()


def texts(messages: list[Json]) -> list[str]:
    """The texts of what was received."""
    return [message["envelope"]["dataMessage"]["message"] for message in messages]


@dataclass(frozen=True, slots=True)
class Asking:
    """A service, one account of it, and how to ask. whole: the service, to stop and start."""

    mode: str
    service: SignalService
    client: httpx.AsyncClient
    whole: SignalService

    @property
    def number(self) -> str:
        return self.service.number

    async def get(self, path: str, **query: Any) -> httpx.Response:
        """`{number}` in the path is the account's."""
        return await self.client.get(path.replace("{number}", self.number), params=query)

    async def ask(self, method: str, path: str, body: Mapping[str, Any]) -> httpx.Response:
        where = path.replace("{number}", self.number)
        return await self.client.request(method, where, json=dict(body))

    async def send(self, text: str = "hello", **more: Any) -> httpx.Response:
        """Send to Alice, or as `more` says."""
        body = {"number": self.number, "recipients": [ALICE.aci], "message": text, **more}
        return await self.ask("POST", "/v2/send", body)

    async def take(self, n: int = 0, timeout: int = 1) -> list[Json]:
        """Receive; n: at most."""
        response = await self.get("/v1/receive/{number}", timeout=timeout, max_messages=n)
        assert response.status_code == 200, response.text
        return list(json.loads(response.text))

    async def say(self, *words: str) -> None:
        """Have Alice write."""
        await self.service.push(*(said(ALICE, word, BASE_MS + at) for at, word in enumerate(words)))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[ClientConnection]:
        """A websocket that is heard: what is pushed comes."""
        url = self.service.url.replace("http:", "ws:") + f"/v1/receive/{self.number}"
        async with connect(url, proxy=None, max_size=None) as socket:
            await self._knock(socket)
            yield socket

    async def _knock(self, socket: ClientConnection) -> None:
        # The service answers the handshake before it listens: nothing says when it does.
        while True:
            await self.say(KNOCK)
            try:
                async with asyncio.timeout(0.2):
                    await socket.recv()
            except TimeoutError:
                continue
            return
