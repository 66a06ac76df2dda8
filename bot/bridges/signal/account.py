"""Shell: our own account on Signal: its number is in the settings, its ACI becomes known."""

from __future__ import annotations

import asyncio

import structlog

from bot.bridges.pauses import pause_s
from bot.bridges.signal.received.envelope import Ignored, Received
from bot.bridges.signal.received.ourselves import own_aci
from bot.bridges.signal.service.rest import Service, ServiceError
from bot.bridges.waiting import first_of

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 600.0  # between questions for the ACI

log = structlog.get_logger()


class Account:
    """number: ours. aci: ours too; None until it is known."""

    def __init__(self, number: str) -> None:
        self.number = number
        self.aci: str | None = None
        self._is_known = asyncio.Event()

    def is_us(self, aci: str | None, number: str | None) -> bool:
        """Say whether our account is meant."""
        return number == self.number or (aci is not None and aci == self.aci)

    def learn(self, received: Received) -> None:
        """Take what something that came tells of us."""
        found = own_aci(received, self.number)
        # What another device of ours sent is surer than whom somebody means.
        if found is not None and (self.aci is None or isinstance(received, Ignored)):
            self._know(found)

    async def ask(self, service: Service) -> None:
        """Ask the service, which may not know it yet, until it is known."""
        attempt = 0
        while not self._is_known.is_set():
            try:
                if (found := await service.own_aci(self.number)) is not None:
                    self._know(found)
                    return
            except ServiceError as error:
                log.info("our own id on Signal is not known yet", reason=str(error))
            pause = pause_s(attempt, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            await first_of(self._is_known, timeout_s=pause)
            attempt += 1

    def _know(self, aci: str) -> None:
        if aci != self.aci:
            log.info("our own id on Signal is known")
        self.aci = aci
        self._is_known.set()
