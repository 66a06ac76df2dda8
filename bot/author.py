"""Shell: the router's pen: signs its events with its role key and puts them on the relay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from secrets import token_bytes

import structlog

from nips.event import Event, Template
from nips.filter import Filter
from nips.frames import Ok
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import grant as grants
from nips.own.grant import Grant
from nips.refusal import Prefix, Refusal, Refused
from relay_local.client import Caught, Delivery, Link

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
INSISTS_S = 3_600.0

log = structlog.get_logger()


class Author:
    """Publishes as the router. `link` is authenticated with `key`."""

    def __init__(self, link: Link, key: SecretKey) -> None:
        self.link = link
        self.pubkey = key.public
        self._key = key
        self._granted_at: dict[str, int] = {}

    def now_s(self) -> int:
        """Unix seconds, as events have them."""
        return int(time.time())

    def sign(self, template: Template) -> Event:
        """The event of a template of ours."""
        return template.sign(self._key, token_bytes(32))

    async def publish(self, template: Template, *, deadline_s: float | None = None) -> Ok:
        """Sign and publish; an OK that refuses is returned like any other.

        Without a deadline it waits for as long as the relay is away; else raises Unanswered.
        """
        return await self.link.publish(self.sign(template), deadline_s=deadline_s)

    async def insist(self, event: Event) -> Ok:
        """Publish what would be lost otherwise: while the relay cannot store it (`error:`, as on a
        full disk) it is brought again, for an hour. What comes after it waits: it could not be
        stored either.
        """
        pause_s, left_s = FIRST_PAUSE_S, INSISTS_S
        while True:
            ok = await self.link.publish(event)
            if ok.refusal is None or ok.refusal.prefix is not Prefix.ERROR or left_s <= 0:
                return ok
            log.warning("the relay cannot store; again", id=event.id[:12], reason=ok.message)
            await asyncio.sleep(pause_s)
            left_s -= pause_s
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def require(self, template: Template) -> Event:
        """Publish what must be there. Raises Refused when the relay does not take it."""
        event = self.sign(template)
        if refusal := (await self.link.publish(event)).refusal:
            raise Refused(refusal)
        return event

    async def grant(self, grant: Grant, *, deadline_s: float | None = None) -> Ok:
        """Publish a grant, which replaces the same client's one before.

        Of two versions in one second the lower id would win: each steps forward.
        """
        created_at = max(self.now_s(), self._granted_at.get(grant.client, 0) + 1)
        self._granted_at[grant.client] = created_at
        return await self.publish(
            grants.template(grant, self.pubkey, created_at), deadline_s=deadline_s
        )

    def forget(self, client: str) -> None:
        """A key that is never granted anything again needs no memory."""
        self._granted_at.pop(client, None)

    def continue_from(self, event: Event) -> None:
        """Let the next grant of this event's client come after it, whatever the clock says."""
        if client := event.tag("p"):
            self._granted_at[client] = max(event.created_at, self._granted_at.get(client, 0))

    async def stored(
        self, filters: Sequence[Filter], *, after_seq: int = 0, epoch: str | None = None
    ) -> list[Event]:
        """All that is stored after a place, in order of arrival."""
        found: list[Event] = []
        async with self.link.subscribe(filters, after_seq=after_seq, epoch=epoch) as stream:
            async for item in stream:
                match item:
                    case Delivery(event, _):
                        found.append(event)
                    case Caught():
                        break
        return found


def is_duplicate(ok: Ok) -> bool:
    """Say whether the relay had the event, or its once-key, before."""
    return ok.accepted and Refusal.parse(ok.message).prefix is Prefix.DUPLICATE


def of_kinds(*kinds: Kind) -> frozenset[int]:
    """The set for a filter."""
    return frozenset(int(kind) for kind in kinds)
