"""Shell: looks whether the signer serves, and tells the owner when it goes and when it returns.

It asks `ping` every ten seconds; its own word (`serving`) ends the wait for an answer at once. What
was told is kept as an event (30315 `signer`): first that the signer is away, then the notice, whose
once-key is the second since when; so a kill in between repeats neither. The notice that it is gone
is for this relay's readers only: as a direct message it would need the signer, and come too late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from bot.absence import (
    Back,
    Blind,
    Gone,
    Instant,
    Refuses,
    Serves,
    Sight,
    Silent,
    Telling,
    Watch,
    after,
    resumed,
    sentence,
)
from bot.author import Author, of_kinds
from bot.notice import notice
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import signer_status
from nips.own.roles import Roles
from nips.own.signer_status import SignerStatus
from nips.refusal import Malformed, Refused
from relay_local.client import Caller, Unanswered

PERIOD_S = 10.0

log = structlog.get_logger()


class Lookout:
    """`run` until cancelled. caller: from the router's key to the signer. say: shows a sentence
    to whoever sits at the terminal; must not raise."""

    def __init__(
        self, author: Author, caller: Caller, roles: Roles, say: Callable[[str], None]
    ) -> None:
        self._author, self._caller, self._roles, self._say = author, caller, roles, say
        self._watch = Watch()
        self._status_s = 0
        self._serves = asyncio.Event()
        self._serves.set()

    @property
    def serves(self) -> bool:
        """Say whether the signer is not known to be away."""
        return self._serves.is_set()

    async def serving(self, longest_s: float) -> bool:
        """Wait until the signer is not known to be away; False when that took too long."""
        try:
            async with asyncio.timeout(max(0.0, longest_s)):
                await self._serves.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Look, and tell. Raises Refused when the relay denies the router's key."""
        await self._resume()
        while True:
            asked, served = _now(), self._caller.served
            sight = await self._look()
            self._watch, telling = after(self._watch, sight, asked, _now())
            if self._watch.serves:
                self._serves.set()
            else:
                self._serves.clear()
            if telling is not None:
                await self._tell(telling)
            left_s = asked.steady_s + PERIOD_S - time.monotonic()
            await _first(served, left_s)

    async def _look(self) -> Sight:
        link, connection = self._author.link, self._author.link.connections
        try:
            await self._caller.call("ping", deadline_s=PERIOD_S)
        except Refused as error:
            return Refuses(error.refusal.sentence)
        except Unanswered:
            # Asked over a relay that went away meanwhile, it proves nothing.
            steady = link.is_up and link.connections == connection
            return Silent() if steady else Blind()
        return Serves()

    async def _resume(self) -> None:
        wanted = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.STATUS),
            tags={"d": frozenset({signer_status.D})},
        )
        for event in await self._author.link.fetch([wanted]):
            self._status_s = max(self._status_s, event.created_at)
            try:
                found = signer_status.parse(event)
            except Malformed as error:
                log.error("the signer's status is not understood", reason=str(error))
                continue
            if found.away:
                self._watch = resumed(Instant(time.monotonic(), found.since_s))
                self._serves.clear()
                # Killed between the status and the notice; else its once-key makes it nothing.
                await self._publish_notice(Gone(found.since_s, ""))

    async def _tell(self, telling: Telling) -> None:
        words = sentence(telling)
        log.warning("signer away" if isinstance(telling, Gone) else "signer back", words=words)
        self._say(words)
        match telling:
            case Gone(since_s):
                await self._keep(SignerStatus(True, since_s), words)
                await self._publish_notice(telling)
            case Back(_, until_s):
                await self._publish_notice(telling)
                await self._keep(SignerStatus(False, until_s), words)

    async def _publish_notice(self, telling: Telling) -> None:
        gone = isinstance(telling, Gone)
        once = ("signer-away" if gone else "signer-back", str(telling.since_s))
        made = notice(
            self._roles, once, sentence(telling), now_s=self._author.now_s(), here_only=gone
        )
        ok = await self._author.publish(made)
        if not ok.accepted:  # before the main group is made there is nobody to be told
            log.warning("notice refused", reason=ok.message)

    async def _keep(self, status: SignerStatus, words: str) -> None:
        # Two versions in one second tie and the lower id wins: each steps forward.
        self._status_s = max(self._author.now_s(), self._status_s + 1)
        ok = await self._author.publish(
            signer_status.template(status, self._author.pubkey, words, self._status_s)
        )
        if not ok.accepted:
            log.error("the signer's status was refused", reason=ok.message)


def _now() -> Instant:
    return Instant(time.monotonic(), int(time.time()))


async def _first(served: asyncio.Event, longest_s: float) -> None:
    """Wait, at most until the signer says that it serves."""
    try:
        async with asyncio.timeout(max(0.0, longest_s)):
            await served.wait()
    except TimeoutError:
        return
