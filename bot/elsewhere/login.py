"""Shell: the bot's logins at another relay, which the signer signs."""

from __future__ import annotations

import asyncio
import json

import structlog

from nips.event import Event, Template
from nips.refusal import Refused
from relay_local.client import Caller, Unanswered

PAUSE_S = 15.0

log = structlog.get_logger()


class BotLogin:
    """A `relay_local.client.Login`. public: the bot's key in hex. caller: with a bridge's key, the
    only one for which the signer signs a 22242, and for the ceiling's relays only."""

    def __init__(self, public: str, caller: Caller) -> None:
        self._public, self._caller = public, caller

    @property
    def public(self) -> str:
        return self._public

    async def sign(self, template: Template) -> Event:
        """Ask until it is signed; the connection's own deadline ends it."""
        while True:
            served = self._caller.served
            try:
                answer = await self._caller.call("sign_event", json.dumps(template.to_json()))
                return Event.from_json(json.loads(answer))
            except (Refused, Unanswered) as error:
                log.info("login not signed; asking again", reason=str(error))
            try:
                async with asyncio.timeout(PAUSE_S):
                    await served.wait()
            except TimeoutError:
                continue
