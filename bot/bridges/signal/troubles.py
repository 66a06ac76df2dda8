"""Shell: what the owner should know, told to the router, which says it to them once.

Only what it is about is told: a message by its id, never its text. Source: PROTOCOL.md "Trouble".
"""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum

import structlog

from bot.bridges.signal.people import NETWORK
from bot.bridges.waiting import Patience
from nips.refusal import Prefix, Refused
from relay_local.client import Caller, Unanswered

MAX_TRIES = 3
TELL_DEADLINE_S = 10.0
MAX_REMEMBERED = 1_000

log = structlog.get_logger()


class Topic(StrEnum):
    """What a trouble is about, and what its detail is."""

    CHALLENGE = "challenge"  # a token, or nothing
    UNCERTAIN = "uncertain"  # an event's id
    FAILED = "failed"  # an event's id
    AWAY = "away"  # the unix second since when
    BACK = "back"  # that of its `away`


class Troubles:
    """caller: to the router, with the bridge's key."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._told: OrderedDict[tuple[Topic, str], None] = OrderedDict()

    async def tell(self, topic: Topic, detail: str = "", why: str = "") -> None:
        """Return when the router knows it, or after a few tries. why: the service's words."""
        if detail and (topic, detail) in self._told:
            return
        patience = Patience()
        for left in reversed(range(MAX_TRIES)):
            served = self._caller.served
            try:
                await self._caller.call(
                    "trouble", NETWORK, topic, detail, why, deadline_s=TELL_DEADLINE_S
                )
            except Unanswered:
                log.warning("trouble not told yet", topic=topic)
            except Refused as error:
                log.warning("trouble not told", topic=topic, reason=str(error))
                if error.refusal.prefix in (Prefix.INVALID, Prefix.UNSUPPORTED):
                    return
            else:
                self._remember(topic, detail)
                return
            if left:
                await patience.pause(served)

    def _remember(self, topic: Topic, detail: str) -> None:
        self._told[topic, detail] = None
        while len(self._told) > MAX_REMEMBERED:
            self._told.popitem(last=False)
