"""Shell: somebody's puppet writes into their group, and what became of all that came is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_bytes

import structlog

from bot.bridges.bindings import Bindings, Bound
from bot.bridges.presence import Presence
from bot.bridges.waiting import Patience
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
    """What was given up at unix second `at`, and why. id: of the gift wrap, or what it has on its
    network."""

    id: str
    reason: str
    at: int


@dataclass(slots=True)
class Counts:
    """What became of all that came, since the start. gone: expired, or deleted before it was read.
    last_set_aside: the newest of those, for the owner."""

    forwarded: int = 0
    strangers: int = 0
    set_aside: int = 0
    kept: int = 0
    gone: int = 0
    last_set_aside: list[SetAside] = field(default_factory=list)


class Pen:
    """For all puppets of the bridge."""

    def __init__(self, link: Link, bindings: Bindings, presence: Presence) -> None:
        self._link, self._bindings, self._presence = link, bindings, presence
        self.counts = Counts()

    def is_bound(self, bound: Bound, counterpart: str) -> bool:
        """Say whether a group has a counterpart now, as it had before."""
        now = self._bindings.groups().get(bound.binding.group)
        return now is not None and counterpart in now.people

    async def may_write(self, bound: Bound, author: str, through: str | None = None) -> bool:
        """Say whether what somebody says would be written into a group now. through: as in
        `write`."""
        if not self.is_bound(bound, through or author):
            return False
        now = self._bindings.groups()[bound.binding.group]
        return await self._presence.is_member(now, author)

    async def write(
        self,
        source: str,
        bound: Bound,
        author: str,
        template: Callable[[SecretKey], Template],
        *,
        through: str | None = None,
    ) -> Event | None:
        """Have the author's puppet write into the group, for as long as they are bound to it.

        source: the id of what came. through: the counterpart by whom the author belongs there,
        where that is not themselves. Returns what was written; None where nothing was.
        """
        patience = Patience()
        for attempt in range(MAX_ATTEMPTS):
            if not self.is_bound(bound, through or author):
                self.drop(source, "its author is bound no more")
                return None
            now = self._bindings.groups()[bound.binding.group]
            key = await self._presence.ready(now, author)
            if key is None:
                self.drop(source, "its author was removed from the group")
                return None
            event = template(key).sign(key, token_bytes(32))
            ok = await self._link.publish(event)
            if ok.refusal is None:
                self.counts.forwarded += 1
                return event
            if ok.refusal.prefix not in TRANSIENT:
                break
            log.warning("message refused", id=source, reason=ok.message, attempt=attempt)
            self._presence.forget(now, author)
            await patience.pause()
        self.set_aside(source, f"the local relay refused it: {ok.message}")
        return None

    def drop(self, source: str, reason: str = "its author is bound to no group") -> None:
        """Leave nothing of it here."""
        # Never answered: an answer would tell a stranger that somebody is here.
        self.counts.strangers += 1
        log.info("dropped", id=source, reason=reason)

    def let_go(self, source: str, reason: str) -> None:
        """Say nothing of what its author does not want to be there any more."""
        self.counts.gone += 1
        log.info("let go", id=source, reason=reason)

    def keep(self, source: str, reason: str) -> None:
        """Leave it for a later version."""
        self.counts.kept += 1
        log.info("kept, not handled yet", id=source, reason=reason)

    def set_aside(self, source: str, reason: str) -> None:
        """Give it up."""
        self.counts.set_aside += 1
        self.counts.last_set_aside.append(SetAside(source, reason, int(time.time())))
        del self.counts.last_set_aside[:-MAX_SHOWN]
        log.warning("set aside", id=source, reason=reason)
