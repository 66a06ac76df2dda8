"""Shell: what somebody said in private, to the group in which their messages belong.

rumor ─► which people are these? ─► bound: kind 9, or 7, by the author's puppet
                                 └► to nothing: dropped; the router is told who, not what
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_bytes

import structlog

from bot.bridges.nostr import puppets
from bot.bridges.nostr.counterparts import Bound, Counterparts
from bot.bridges.nostr.doorbell import Doorbell
from bot.bridges.nostr.presence import Presence
from bot.bridges.nostr.references import References
from bot.bridges.nostr.waiting import Patience
from nips.event import Event, Template
from nips.key import SecretKey, is_public_key
from nips.kinds import Kind
from nips.nip17 import DirectMessage
from nips.refusal import Malformed, Prefix
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
    """What became of the wraps since the start. last_set_aside: the newest of those, for the
    owner."""

    forwarded: int = 0
    strangers: int = 0
    set_aside: int = 0
    kept: int = 0
    last_set_aside: list[SetAside] = field(default_factory=list)


class Forwarding:
    """bot: its public key in hex."""

    def __init__(
        self,
        link: Link,
        bot: str,
        counterparts: Counterparts,
        presence: Presence,
        references: References,
        doorbell: Doorbell,
    ) -> None:
        self._link, self._bot = link, bot
        self._counterparts, self._presence = counterparts, presence
        self._references, self._doorbell = references, doorbell
        self.counts = Counts()

    async def forward(self, wrap: Event, rumor: Template) -> None:
        """Deal with an opened message, from whomever. wrap: in which it came, for the log."""
        await self._counterparts.steady()
        match rumor.kind:
            case Kind.DIRECT_MESSAGE:
                await self._message(wrap, rumor)
            case Kind.REACTION:
                await self._reaction(wrap, rumor)
            case kind if rumor.pubkey in self._counterparts.people:
                self.counts.kept += 1
                reason = f"kind {kind} is not handled yet"
                log.info("wrap kept, not handled yet", wrap=wrap.id, reason=reason)
            case _:
                self._drop(wrap)

    def set_aside(self, wrap: Event, reason: str) -> None:
        """Give up a wrap."""
        self.counts.set_aside += 1
        self.counts.last_set_aside.append(SetAside(wrap.id, reason, _now_s()))
        del self.counts.last_set_aside[:-MAX_SHOWN]
        log.warning("wrap set aside", wrap=wrap.id, reason=reason)

    async def _message(self, wrap: Event, rumor: Template) -> None:
        try:
            message = DirectMessage.from_rumor(rumor)
            if self._bot not in message.receivers:
                raise Malformed("it is not among what was said to the assistant")
            if not all(map(is_public_key, message.receivers)):
                raise Malformed("one of its receivers is no public key")
        except Malformed as error:
            self.set_aside(wrap, str(error))
            return
        people = frozenset({message.author, *message.receivers}) - {self._bot}
        bound = await self._conversation(wrap, people)
        if bound is None:
            self._drop(wrap)
            if self._counterparts.owner is not None:  # else there is nobody to be told
                self._doorbell.ring(people)
        elif bound.binding.archived:
            self._drop(wrap, "its group is archived")
        else:
            answered = None
            if message.reply_to is not None:
                answered = await self._references.find(message.reply_to, people)
            if answered is not None and answered.tag("h") != bound.binding.group:
                answered = None
            group = bound.binding.group

            def said(key: SecretKey) -> Template:
                return puppets.message_template(key.public, group, message, _now_s(), answered)

            await self._write(wrap, bound, message.author, said)

    async def _reaction(self, wrap: Event, rumor: Template) -> None:
        """A sign under a message. Its group is that message's: clients do not agree on whom a
        reaction in a room names."""
        author, target = rumor.pubkey, rumor.tag("e")
        theirs = [b for b in self._counterparts.groups().values() if author in b.people]
        if not theirs:
            self._drop(wrap)
            return
        for bound in theirs if target else ():
            about = await self._references.find(target or "", frozenset(bound.people))
            group = bound.binding.group
            if about is None or about.tag("h") != group:
                continue

            def shown(key: SecretKey, event: Event = about, group: str = group) -> Template:
                return puppets.reaction_template(key.public, rumor, event, group, _now_s())

            await self._write(wrap, bound, author, shown)
            return
        self.set_aside(wrap, "a reaction to what is not known here")

    async def _conversation(self, wrap: Event, people: frozenset[str]) -> Bound | None:
        change = self._counterparts.change
        while (bound := self._counterparts.of_conversation(people)) is None:
            if not self._counterparts.will_be_bound(people):
                return None
            # The owner is named and the main group is being made: their words wait for it.
            log.info("owner's message waits for the main group", wrap=wrap.id)
            await change.wait()
            change = self._counterparts.change
        return bound

    async def _write(
        self, wrap: Event, bound: Bound, author: str, template: Callable[[SecretKey], Template]
    ) -> None:
        """Have the author's puppet write into the group, for as long as they are bound to it."""
        patience = Patience()
        group = bound.binding.group
        for attempt in range(MAX_ATTEMPTS):
            now = self._counterparts.groups().get(group)
            if now is None or author not in now.people:
                self._drop(wrap, "its author is bound no more")
                return
            key = await self._presence.ready(now, author)
            if key is None:
                self._drop(wrap, "its author was removed from the group")
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

    def _drop(self, wrap: Event, reason: str = "its author is bound to no group") -> None:
        # Never answered: an answer would tell a stranger that somebody is here.
        self.counts.strangers += 1
        log.info("wrap dropped", wrap=wrap.id, reason=reason)


def _now_s() -> int:
    return int(time.time())
