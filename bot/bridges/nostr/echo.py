"""Shell: whether a public relay passes on what it takes: an event of our own that must come back.

It is ephemeral (NIP-01: "not expected to be stored by relays"), empty, and signed with a key made
for this one relay and process: nobody learns from it whose it is, and the bot's own key is not
needed.
"""

from __future__ import annotations

import asyncio
import time
from enum import Enum
from secrets import token_bytes, token_hex

from bot.bridges.nostr.pool import Pool
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind


class Echoed(Enum):
    """What became of it."""

    HEARD = "heard"
    SILENT = "taken, and not passed on"
    NOT_TAKEN = "not taken"


class Echo:
    """deadline_s: how long it may take to come back once the relay has taken it."""

    def __init__(self, pool: Pool, url: str, deadline_s: float) -> None:
        self._pool, self._url, self._deadline_s = pool, url, deadline_s
        self._key = SecretKey.generate(token_bytes)
        self._name = ""
        self._awaited = ""
        self._heard = asyncio.Event()

    async def listen(self) -> None:
        """Ask for what comes back, once for each connection."""
        self._name = f"echo-{token_hex(4)}"
        wanted = {"kinds": [int(Kind.ECHO)], "authors": [self._key.public], "limit": 1}
        await self._pool.subscribe(self._url, self._name, wanted)

    def hear(self, name: str, event: Event) -> None:
        """Take an event of this relay's, under any subscription."""
        if name == self._name and event.id == self._awaited:
            self._heard.set()

    async def ask(self) -> Echoed:
        """Send one and wait for it."""
        template = Template(
            self._key.public, int(time.time()), Kind.ECHO, (("nonce", token_hex(8)),), ""
        )
        event = template.sign(self._key, token_bytes(32))
        self._awaited = event.id
        self._heard.clear()
        accepted, _ = await self._pool.offer(event, self._url)
        if not accepted:
            return Echoed.NOT_TAKEN
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._heard.wait()
        except TimeoutError:
            return Echoed.SILENT
        return Echoed.HEARD
