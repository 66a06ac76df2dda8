"""Shell: somebody's puppet writes into their group, and what became of every wrap is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_bytes

import structlog

from bot.bridges.nostr.counterparts import Bound, Counterparts
from bot.bridges.nostr.presence import Presence
from bot.bridges.nostr.waiting import Patience
from nips.event import Event, Template
from nips.key import SecretKey
from nips.refusal import Prefix
from relay_local.client import Link

MAX_ATTEMPTS = 12  # at a message that the local relay refuses; about three minutes
MAX_SHOWN = 10  # of those set aside
# What may be granted later: the relay is away or full, a login or a membership is being made.
PASSING = frozenset({Prefix.ERROR, Prefix.RATE_LIMITED, Prefix.AUTH_REQUIRED})
TRANSIENT = PASSING | {Prefix.RESTRICTED}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SetAside:
    """A wrap (its id) that was given up at unix second `at`, and why."""

    wrap: str
    reason: str
    at: int


@dataclass(slots=True)
class Counts:
    """What became of the wraps since the start. gone: expired, or deleted before it was read.
    last_set_aside: the newest of those, for the owner."""

    forwarded: int = 0
    strangers: int = 0
    set_aside: int = 0
    kept: int = 0
    gone: int = 0
    last_set_aside: list[SetAside] = field(default_factory=list)


class Pen:
    """For all puppets of the bridge."""

    def __init__(self, link: Link, counterparts: Counterparts, presence: Presence) -> None:
        self._link, self._counterparts, self._presence = link, counterparts, presence
        self.counts = Counts()

    def is_bound(self, bound: Bound, author: str) -> bool:
        """Say whether somebody is a counterpart of a group now, as they were before."""
        now = self._counterparts.groups().get(bound.binding.group)
        return now is not None and author in now.people

    async def may_write(self, bound: Bound, author: str) -> bool:
        """Say whether what somebody says would be written into a group now."""
        if not self.is_bound(bound, author):
            return False
        now = self._counterparts.groups()[bound.binding.group]
        return await self._presence.is_member(now, author)

    async def write(
        self, wrap: Event, bound: Bound, author: str, template: Callable[[SecretKey], Template]
    ) -> None:
        """Have the author's puppet write into the group, for as long as they are bound to it."""
        patience = Patience()
        for attempt in range(MAX_ATTEMPTS):
            if not self.is_bound(bound, author):
                self.drop(wrap, "its author is bound no more")
                return
            now = self._counterparts.groups()[bound.binding.group]
            key = await self._presence.ready(now, author)
            if key is None:
                self.drop(wrap, "its author was removed from the group")
                return
            event = template(key).sign(key, token_bytes(32))
            ok = await self._link.publish(event)
            if ok.refusal is None:
                self.counts.forwarded += 1
                return
            if ok.refusal.prefix not in TRANSIENT:
                break
            log.warning("message refused", wrap=wrap.id, reason=ok.message, attempt=attempt)
            self._presence.forget(now, author)
            await patience.pause()
        self.set_aside(wrap, f"the local relay refused it: {ok.message}")

    def drop(self, wrap: Event, reason: str = "its author is bound to no group") -> None:
        """Leave nothing of a wrap but itself."""
        # Never answered: an answer would tell a stranger that somebody is here.
        self.counts.strangers += 1
        log.info("wrap dropped", wrap=wrap.id, reason=reason)

    def let_go(self, wrap: Event, reason: str) -> None:
        """Say nothing of what its author does not want to be there any more."""
        self.counts.gone += 1
        log.info("wrap let go", wrap=wrap.id, reason=reason)

    def keep(self, wrap: Event, reason: str) -> None:
        """Leave a wrap for a later version."""
        self.counts.kept += 1
        log.info("wrap kept, not handled yet", wrap=wrap.id, reason=reason)

    def set_aside(self, wrap: Event, reason: str) -> None:
        """Give up a wrap."""
        self.counts.set_aside += 1
        self.counts.last_set_aside.append(SetAside(wrap.id, reason, int(time.time())))
        del self.counts.last_set_aside[:-MAX_SHOWN]
        log.warning("wrap set aside", wrap=wrap.id, reason=reason)
