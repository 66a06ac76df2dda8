"""Shell: asking the signer to sign and publish. What is answered here is on the relay already.

A signer that is away, or that is there and cannot serve, is waited for until the run's own time is
over. While it is silent the same request goes out again; one that has grown too old to be signed is
made anew, with another time. Its once-key stays, so that both together are signed once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import orjson

from nips.event import Event, Template
from nips.refusal import Malformed, Prefix, Refused
from relay_local.client import Caller, Unanswered

FRESH_S = 45.0  # the signer takes no template that is more than 60 s old
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
MAX_RATE_LIMITED = 3  # such a limit may be a day's
LONGEST_STEP_S = 30  # how far created_at may run ahead of the clock; the signer allows 60 s


class SignerAway(Exception):
    """The signer signed nothing while there was time; the sentence says what it said last."""


class Speaker:
    """The bot's voice for this session; used by one task at a time.

    now: returns unix seconds. patience_s: from now on, how long the signer is waited for in all.
    """

    def __init__(self, caller: Caller, now: Callable[[], float], patience_s: float) -> None:
        self._caller, self._now = caller, now
        self._until_s = time.monotonic() + patience_s
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
        signer's refusal, SignerAway when it did not serve in time, Malformed when its answer
        is no event.
        """
        pause_s, limited, reason = FIRST_PAUSE_S, 0, "it did not answer"
        while (left_s := self._until_s - time.monotonic()) > 0:
            served = self._caller.served
            try:
                return await self._ask(template, min(left_s, FRESH_S))
            except Unanswered:
                pass
            except Refused as error:
                match error.refusal.prefix:
                    case Prefix.ERROR:
                        reason = str(error.refusal)
                    case Prefix.RATE_LIMITED if limited < MAX_RATE_LIMITED:
                        limited, reason = limited + 1, str(error.refusal)
                    case _:
                        raise
                await _pause(served, min(pause_s, left_s))
                pause_s = min(4 * pause_s, LONGEST_PAUSE_S)
            if self._now() - template.created_at > FRESH_S / 2:
                template = replace(template, created_at=self.created_at())
        raise SignerAway(f"the signer signed nothing until the time was over: {reason}")

    async def _ask(self, template: Template, deadline_s: float) -> Event:
        asked = orjson.dumps(template.to_json()).decode()
        answer = await self._caller.call("sign_event", asked, deadline_s=deadline_s)
        try:
            return Event.from_json(orjson.loads(answer))
        except orjson.JSONDecodeError as error:
            raise Malformed("the signer's answer is not JSON") from error


async def _pause(served: asyncio.Event, longest_s: float) -> None:
    """Wait, at most until the signer says that it serves."""
    with suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            await served.wait()
