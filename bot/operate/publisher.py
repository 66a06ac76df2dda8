"""Shell: what the command line publishes: found what it is about, made, signed, seen on the relay.

what is typed ─► an event of somebody's ─► template ─► one login ─► on the private relay
                 (asked of the router)     once-key    (signer)     a bridge takes it from there
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.operate import manuscript, publishable
from bot.operate.assembly import AssemblyError
from bot.operate.console import Console
from bot.operate.manuscript import Manuscript
from bot.operate.meant import meant
from bot.operate.one_login import OnAsked, signed
from bot.operate.publishable import Now
from nips import nip23
from nips.event import Event, Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.nip19 import encode_nevent
from nips.own.delivery import RelayState, Status
from nips.reference import coordinates
from nips.refusal import Malformed

ANYWHERE = "anywhere"
PUBLISHED, ALREADY, KEPT, RETRACTED = "published", "already", "kept", "retracted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """state: `published`, `already`, `kept` (a draft, here alone), `retracted`, of which `event`
    is what was taken back. relays: how far it has got."""

    state: str
    event: Event
    relays: tuple[RelayState, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A public event. relays: of the bot's own, how far it has got."""

    event: Event
    relays: tuple[RelayState, ...]
    relay: str = ""


class Publisher:
    """Each method raises AssemblyError with what the user can do, and Malformed for what cannot be
    published. again: the same words once more, as a new event."""

    def __init__(self, there: Console, *, again: bool = False) -> None:
        self._there, self._bot = there, there.roles.bot
        self._again = secrets.token_hex(8) if again else ""

    async def note(self, text: str) -> Outcome:
        """Publish a note."""
        return await self._publish(publishable.note(self._now(), text))

    async def article(
        self, given: Manuscript, options: Mapping[str, str], *, draft: bool = False
    ) -> Outcome:
        """Publish an article, or a new version; or keep it as a draft."""
        return await self._bring_out(manuscript.article(given, options), draft=draft)

    async def from_draft(self, named: str) -> Outcome:
        """Publish a draft, by its slug, or that very version of it."""
        names = [
            name
            for name in meant(named, self._bot).names
            if not name.startswith(f"{int(Kind.ARTICLE)}:")
        ]
        found = await self._find(names)
        if found is None or found.event.kind != Kind.DRAFT:
            raise AssemblyError(f"There is no draft {named}; nostrclaw published shows drafts.")
        event = found.event
        # Attack: an agent, which keeps drafts unasked, puts its words under the name of one that
        # its owner has written, or has read, just before it is published.
        if event.tag("job") is not None and event.id not in names:
            version = encode_nevent(event.id, (), self._bot, event.kind)
            raise AssemblyError(
                "An agent wrote this draft last. Read it, and publish that very version: "
                f"nostrclaw publish article --from-draft {version}"
            )
        return await self._bring_out(nip23.parse(found.event), draft=False)

    async def comment(self, on: str, text: str) -> Outcome:
        """Publish a comment on anything but a note."""
        publishable.checked_text(text)
        to = await self._public(on)
        return await self._publish(publishable.comment(self._now(), to.event, text, to.relay))

    async def reply(self, to: str, text: str) -> Outcome:
        """Publish an answer to a note."""
        publishable.checked_text(text)
        found = await self._public(to)
        return await self._publish(publishable.reply(self._now(), found.event, text, found.relay))

    async def reaction(self, on: str, sign: str) -> Outcome:
        """Publish a reaction."""
        to = await self._public(on)
        return await self._publish(publishable.reaction(self._now(), to.event, sign, to.relay))

    async def retract(self, what: str, on_asked: OnAsked) -> Outcome:
        """Take back what was published, once the owner has said yes."""
        found = await self._find(meant(what, self._bot).names)
        if found is None:
            raise AssemblyError(
                "Nothing of that name is published; nostrclaw published shows what is."
            )
        await signed(self._there, publishable.retraction(self._now(), found.event), on_asked)
        return Outcome(RETRACTED, found.event, found.relays)

    def _now(self) -> Now:
        return Now(self._bot, int(time.time()), self._again, self._there.salt)

    async def _bring_out(self, given: nip23.Article, *, draft: bool) -> Outcome:
        out = await self._find([f"{int(Kind.ARTICLE)}:{self._bot}:{given.slug}"])
        before = out
        if draft:
            before = await self._find([f"{int(Kind.DRAFT)}:{self._bot}:{given.slug}"])
        if before and not self._again and publishable.is_same(given, before.event):
            return Outcome(ALREADY, before.event, before.relays)
        now = self._now()
        since = nip23.parse(out.event).published_at if out else None if draft else now.at
        given = replace(given, published_at=since)
        made = publishable.article(now, given, before.event if before else None, draft=draft)
        return await self._publish(made)

    async def _publish(self, template: Template) -> Outcome:
        # The same within one second is the same event, and no once-key need find it.
        if (before := await self._find([template.id])) is not None:
            return Outcome(ALREADY, before.event, before.relays)
        event = await signed(self._there, template)
        is_first = event.id == template.id  # else a once-key has found what was said before
        found = await self._find([event.id])
        if found is None:
            raise AssemblyError(
                "It was signed, but the private relay did not keep it: nostrclaw do /logs"
                if is_first
                else "This was published before, and was taken back or replaced since. "
                "--again publishes it anew."
            )
        if not is_first:
            return Outcome(ALREADY, found.event, found.relays)
        return Outcome(KEPT if event.kind == Kind.DRAFT else PUBLISHED, found.event, found.relays)

    # What there is

    async def _public(self, typed: str) -> Found:
        """What is answered. Raises AssemblyError, Malformed."""
        named = meant(typed, self._bot)
        found = await self._find(named.names, ANYWHERE)
        if found is None:
            raise AssemblyError("None of the public relays that were asked has that event.")
        if any(tag[0] == "h" for tag in found.event.tags):
            # Attack: everybody would be told of what was said in a group.
            raise Malformed("that belongs to a group, and is not for everybody")
        if found.event.kind == Kind.DRAFT:
            raise Malformed("that is a draft: nobody could see what is answered")
        return replace(found, relay=named.relay)

    async def _find(self, names: Sequence[str], scope: str = "") -> Found | None:
        for name in names:
            answer = json.loads(await self._there.ask("find_public", name, scope))
            if (given := answer["event"]) is None:
                continue
            if given.get("tags_left_out"):
                raise Malformed("that has more tags than are passed on, so it is not answered")
            relays = tuple(
                RelayState(one["url"], Status(one["status"]), one["reason"], one["at"])
                for one in answer["relays"]
            )
            # Of others' the bridge has checked the signature and does not pass it on.
            event = Event.from_json({"sig": "0" * 128, **given})
            self._checked(event, name, is_own=not scope)
            return Found(event, relays)
        return None

    def _checked(self, event: Event, name: str, *, is_own: bool) -> None:
        # Attack: a router that was taken over answers with words of its own in a draft's place,
        # which would then be published without a question; or with another event to be liked.
        if (event.id if is_hex(name, 32) else coordinates(event)) != name:
            raise AssemblyError("Another event was found than was asked for.")
        if is_own:
            if event.pubkey != self._bot:
                raise AssemblyError("What was found is not the assistant's own.")
            event.verify()
