"""Shell: asking the signer to sign and publish. What is answered here is on the relay already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson

from nips.event import Event, Template
from nips.refusal import Malformed, Prefix, Refused
from relay_local.client import Caller

DEADLINE_S = 60.0  # for one answer; the caller repeats an unanswered request meanwhile
PAUSES_S = (0.5, 2.0, 8.0)  # before asking again a signer that says: not now
_NOT_NOW = (Prefix.ERROR, Prefix.RATE_LIMITED)
LONGEST_STEP_S = 30  # how far created_at may run ahead of the clock; the signer allows 60 s


class Speaker:
    """The bot's voice for this session. `now` returns unix seconds; used by one task at a time."""

    def __init__(self, caller: Caller, now: Callable[[], float]) -> None:
        self._caller, self._now = caller, now
        self._latest = 0

    def created_at(self) -> int:
        """The time for the next event: now, or a second after the last one.

        Clients show messages by time, and of two in one second the lower id first.
        """
        now = int(self._now())
        self._latest = max(now, min(self._latest + 1, now + LONGEST_STEP_S))
        return self._latest

    async def publish(self, template: Template) -> Event:
        """Have the signer sign `template` and put it on the relay; return the signed event.

        That is an earlier one where the once-key was used before. Raises Refused with the
        signer's refusal, Unanswered when it stays silent for a minute, Malformed when its answer
        is no event.
        """
        asked = orjson.dumps(template.to_json()).decode()
        for pause_s in PAUSES_S:
            try:
                return _event(await self._caller.call("sign_event", asked, deadline_s=DEADLINE_S))
            except Refused as error:
                if error.refusal.prefix not in _NOT_NOW:
                    raise
            await asyncio.sleep(pause_s)  # a new request: the old one's answer is settled
        return _event(await self._caller.call("sign_event", asked, deadline_s=DEADLINE_S))


def _event(answer: str) -> Event:
    try:
        return Event.from_json(orjson.loads(answer))
    except orjson.JSONDecodeError as error:
        raise Malformed("the signer's answer is not JSON") from error
