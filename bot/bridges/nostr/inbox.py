"""Shell: gift wraps from the public relays to messages in our groups.

    relay ─► local relay, unchanged ─► signer opens it ─► kind 9 by the sender's puppet

A wrap is on the local relay before anything is done with it, and is read from there in order of
arrival; the reader's place moves past it only when it is dealt with. So a crash, a signer that is
away and a wrap delivered by five relays all end in one message. No text is ever logged.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from secrets import token_bytes

import structlog

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.counterparts import Counterparts
from bot.bridges.nostr.presence import Presence
from bot.bridges.nostr.puppets import message_template
from bot.bridges.nostr.waiting import Patience
from bot.place import Place, follow
from nips.event import Event, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.nip17 import DirectMessage
from nips.refusal import Malformed, Prefix, Refused
from relay_local.client import Caller, Delivery, Link, Unanswered

UNWRAP_DEADLINE_S = 60.0
MAX_ATTEMPTS = 12  # at a message that the local relay refuses; about three minutes
# What may be granted later: the relay is away or full, a login or a membership is being made.
_PASSING = frozenset({Prefix.ERROR, Prefix.RATE_LIMITED, Prefix.AUTH_REQUIRED})
_TRANSIENT = _PASSING | {Prefix.RESTRICTED}

log = structlog.get_logger()


@dataclass(slots=True)
class Counts:
    """What became of the wraps since the start."""

    forwarded: int = 0
    strangers: int = 0
    set_aside: int = 0
    kept: int = 0


class Inbox:
    """bot: its public key in hex. caller: to the signer, with the bridge's key."""

    def __init__(
        self,
        link: Link,
        caller: Caller,
        bot: str,
        counterparts: Counterparts,
        presence: Presence,
        place: Place,
    ) -> None:
        self._link, self._caller, self._bot = link, caller, bot
        self._counterparts, self._presence, self._place = counterparts, presence, place
        self.counts = Counts()

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
            if refusal.prefix not in _PASSING:
                log.warning("wrap not stored", wrap=wrap.id, reason=str(refusal))
                return
            await patience.pause()

    async def _handle(self, wrap: Event) -> None:
        opened = await self._open(wrap)
        if opened is None:
            return
        rumor, paired = opened
        author = rumor.pubkey
        if paired:
            # The code is spent and is nothing to answer; the router greets its owner.
            self._counterparts.name_owner(author)
            log.info("owner paired", owner=author)
        elif author == self._bot:
            pass  # a copy to oneself
        elif rumor.kind == Kind.DIRECT_MESSAGE:
            await self._forward(wrap, rumor)
        elif self._is_known(author):
            self._keep(wrap, f"kind {rumor.kind} is not handled yet")
        else:
            self._drop(wrap)

    async def _open(self, wrap: Event) -> tuple[Template, bool] | None:
        """Ask the signer until it answers; None when the wrap is not to be believed."""
        patience = Patience()
        text = json.dumps(wrap.to_json(), separators=(",", ":"), ensure_ascii=False)
        while True:
            try:
                answer = await self._caller.call("unwrap", text, deadline_s=UNWRAP_DEADLINE_S)
                found = json.loads(answer)
                rumor = Template.from_json(found["rumor"])
                if found["author"] != rumor.pubkey:
                    # Attack: a message in another's name. The signer compared them already.
                    raise Malformed("the rumor's author is not the seal's")
                return rumor, found.get("paired") is True
            except (Malformed, ValueError, KeyError, TypeError) as error:
                self._set_aside(wrap, str(error))
                return None
            except Unanswered:
                log.warning("signer does not answer; asking again", wrap=wrap.id)
            except Refused as error:
                if error.refusal.prefix not in _TRANSIENT:
                    self._set_aside(wrap, str(error.refusal))
                    return None
                log.info("signer not ready; asking again", wrap=wrap.id, reason=str(error))
            await patience.pause()

    async def _forward(self, wrap: Event, rumor: Template) -> None:
        try:
            message = DirectMessage.from_rumor(rumor)
        except Malformed as error:
            self._set_aside(wrap, str(error))
            return
        patience = Patience()
        for attempt in range(MAX_ATTEMPTS):
            change = self._counterparts.change
            while (bound := self._counterparts.bound_to(message.author)) is None:
                if not self._counterparts.will_be_bound(message.author):
                    self._drop(wrap)
                    return
                # The owner is named and the main group is being made: their words wait for it.
                log.info("owner's message waits for the main group", wrap=wrap.id)
                await change.wait()
                change = self._counterparts.change
            if message.receivers != (self._bot,):
                self._keep(wrap, "rooms of several people come later")
                return
            key = await self._presence.ready(bound, message.author)
            template = message_template(
                key.public, bound.binding.group, message, int(time.time())
            )  # fmt: skip
            ok = await self._link.publish(template.sign(key, token_bytes(32)))
            if ok.refusal is None:
                self.counts.forwarded += 1
                return
            if ok.refusal.prefix not in _TRANSIENT:
                break
            log.warning("message refused", wrap=wrap.id, reason=ok.message, attempt=attempt)
            self._presence.forget(bound, message.author)
            await patience.pause()
        self._set_aside(wrap, f"the local relay refused it: {ok.message}")

    def _is_known(self, author: str) -> bool:
        return author == self._counterparts.owner or author in self._counterparts.people

    def _drop(self, wrap: Event) -> None:
        # Never answered: an answer would tell a stranger that somebody is here.
        self.counts.strangers += 1
        log.info("wrap dropped", wrap=wrap.id, reason="its author is bound to no group")

    def _set_aside(self, wrap: Event, reason: str) -> None:
        self.counts.set_aside += 1
        log.warning("wrap set aside", wrap=wrap.id, reason=reason)

    def _keep(self, wrap: Event, reason: str) -> None:
        self.counts.kept += 1
        log.info("wrap kept, not handled yet", wrap=wrap.id, reason=reason)
