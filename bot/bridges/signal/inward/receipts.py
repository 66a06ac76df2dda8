"""Shell: whoever wrote is shown that it was read. Nothing else ever waits for it."""

from __future__ import annotations

import asyncio

import structlog

from bot.bridges.signal.received.envelope import Identity
from bot.bridges.signal.service.rest import Service, ServiceError

MAX_WAITING = 100  # beyond it the oldest is not shown any more

log = structlog.get_logger()


class Receipts:
    """number: ours. enabled: or else nobody is shown anything."""

    def __init__(self, service: Service, number: str, *, enabled: bool) -> None:
        self._service, self._number, self._enabled = service, number, enabled
        self._waiting: asyncio.Queue[Identity] = asyncio.Queue()

    def show(self, identity: Identity) -> None:
        """Have the author of a message shown that it was read."""
        if not self._enabled:
            return
        self._waiting.put_nowait(identity)
        while self._waiting.qsize() > MAX_WAITING:
            self._waiting.get_nowait()

    async def run(self) -> None:
        """Show it, one after another, until cancelled."""
        while True:
            identity = await self._waiting.get()
            try:
                await self._service.receipt(self._number, identity.aci, identity.timestamp)
            except ServiceError as error:
                log.info("a receipt was not sent", reason=str(error))
