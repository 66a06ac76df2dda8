"""Shell: gift wraps from the public relays, opened one after another.

    relay ─► local relay, unchanged ─► signer opens it ─► `Forwarding`

A wrap is on the local relay before anything is done with it, and is read from there in order of
arrival; the reader's place moves past it only when it is dealt with, or names it (`lanes`). So a
crash, a signer that is away and a wrap delivered by five relays all end in one message. No text is
ever logged.
"""

from __future__ import annotations

import asyncio
import json
from enum import Enum

import structlog

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.counterparts import Counterparts
from bot.bridges.nostr.forwarding import Forwarding
from bot.bridges.pen import PASSING, TRANSIENT
from bot.bridges.waiting import Patience
from bot.place import Place, follow
from nips.event import Event, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.refusal import Malformed, Refused
from relay_local.client import Caller, Delivery, Link, Unanswered

UNWRAP_DEADLINE_S = 60.0

log = structlog.get_logger()


class Meant(Enum):
    """What a wrap was for, by the word of the signer that opened it."""

    MAIL = "mail"
    PAIRING = "pairing"
    APPROVAL = "approval"


class Inbox:
    """bot: its public key in hex. caller: to the signer, with the bridge's key. own_copies: the ids
    of wraps that the outbox has made for the bot itself."""

    def __init__(
        self,
        link: Link,
        caller: Caller,
        bot: str,
        counterparts: Counterparts,
        forwarding: Forwarding,
        place: Place,
        own_copies: set[str],
    ) -> None:
        self._link, self._caller, self._bot = link, caller, bot
        self._counterparts, self._forwarding, self._place = counterparts, forwarding, place
        self._own_copies = own_copies

    async def store(self, arrivals: Arrivals) -> None:
        """Put what arrives on the local relay, until cancelled."""
        async for wraps in arrivals.wraps():
            await asyncio.gather(*(self._store(wrap) for wrap in wraps))

    async def process(self) -> None:
        """Deal with each stored wrap, in order of arrival, until cancelled."""
        wanted = Filter(
            kinds=frozenset({int(Kind.GIFT_WRAP)}), tags={"p": frozenset({self._bot})}
        )  # fmt: skip
        try:
            async for item in follow(self._link, [wanted], self._place):
                if isinstance(item, Delivery):
                    await self._handle(item.event)
        finally:
            await self._place.save()

    async def _store(self, wrap: Event) -> None:
        patience = Patience()
        while True:
            refusal = (await self._link.publish(wrap)).refusal
            if refusal is None:
                return
            # Attack: a wrap that the relay never takes from us (NIP-70's `-`) holds up all mail.
            if refusal.prefix not in PASSING:
                log.warning("wrap not stored", wrap=wrap.id, reason=str(refusal))
                return
            await patience.pause()

    async def _handle(self, wrap: Event) -> None:
        if wrap.id in self._own_copies:
            self._own_copies.discard(wrap.id)
            return
        opened = await self._open(wrap)
        if opened is None:
            return
        rumor, meant = opened
        author = rumor.pubkey
        if meant is Meant.APPROVAL:
            # The owner's yes or no was for the signer, which has heard it. It is no work.
            log.info("owner answered a question", wrap=wrap.id)
        elif meant is Meant.PAIRING:
            # The code is spent and is nothing to answer; the router greets its owner.
            self._counterparts.name_owner(author)
            log.info("owner paired", owner=author)
        elif author != self._bot:  # else a copy to oneself
            await self._forwarding.forward(wrap, rumor)

    async def _open(self, wrap: Event) -> tuple[Template, Meant] | None:
        """Ask the signer until it answers; None when the wrap is not to be believed."""
        patience = Patience()
        text = json.dumps(wrap.to_json(), separators=(",", ":"), ensure_ascii=False)
        while True:
            served = self._caller.served
            try:
                answer = await self._caller.call("unwrap", text, deadline_s=UNWRAP_DEADLINE_S)
                found = json.loads(answer)
                rumor = Template.from_json(found["rumor"])
                if found["author"] != rumor.pubkey:
                    # Attack: a message in another's name. The signer compared them already.
                    raise Malformed("the rumor's author is not the seal's")
                if found.get("paired") is True:
                    return rumor, Meant.PAIRING
                return rumor, Meant.APPROVAL if found.get("approval") is True else Meant.MAIL
            except (Malformed, ValueError, KeyError, TypeError) as error:
                self._forwarding.set_aside(wrap, str(error))
                return None
            except Unanswered:
                log.warning("signer does not answer; asking again", wrap=wrap.id)
            except Refused as error:
                if error.refusal.prefix not in TRANSIENT:
                    self._forwarding.set_aside(wrap, str(error.refusal))
                    return None
                log.info("signer not ready; asking again", wrap=wrap.id, reason=str(error))
            await patience.pause(served)
