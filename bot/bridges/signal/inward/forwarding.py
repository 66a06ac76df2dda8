"""Shell: what somebody said on Signal, to the group in which their messages belong.

    item ─► whose conversation is it? ─► bound: kind 9, 7 or 5, by the author's puppet (`pen`)
                                      └► bound no more: dropped

Words alone may be written beside those of others; what names an earlier message, or brings files,
waits until all before it is written (`Step.alone`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.bridges.bindings import Bindings, Bound
from bot.bridges.pen import Pen
from bot.bridges.presence import Presence
from bot.bridges.signal.inward import said as events
from bot.bridges.signal.inward.known import Known
from bot.bridges.signal.inward.messages import Arrived, Messages
from bot.bridges.signal.inward.receipts import Receipts
from bot.bridges.signal.inward.references import References
from bot.bridges.signal.inward.said import Origin
from bot.bridges.signal.people import known_as, once, proxy_id
from bot.bridges.signal.received.envelope import (
    Conversation,
    Deleted,
    Edited,
    Identity,
    Reacted,
    Said,
)
from nips.event import Event, Template
from nips.key import SecretKey

Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done for something that arrived. group: its UUID. alone: after all before it.
    slow: it may take long."""

    group: str
    work: Work
    alone: bool = True
    slow: bool = False


class Forwarding:
    """main: the UUID of the owner's own group. pseudonyms: the key of the people's names in `proxy`
    tags."""

    def __init__(
        self,
        main: str,
        bindings: Bindings,
        presence: Presence,
        pen: Pen,
        known: Known,
        references: References,
        messages: Messages,
        receipts: Receipts,
        pseudonyms: bytes,
    ) -> None:
        self._main, self._bindings, self._presence, self._pen = main, bindings, presence, pen
        self._known, self._references, self._messages = known, references, messages
        self._receipts, self._pseudonyms = receipts, pseudonyms
        self._by_conversation: dict[str, Bound] = {}
        self._known_until: asyncio.Event | None = None

    def bound(self, conversation: Conversation) -> Bound | None:
        """The group in which a conversation belongs, archived or not. The bindings are to be
        `steady`."""
        if self._known_until is not self._bindings.change:
            self._known_until = self._bindings.change
            every = self._bindings.every_group()
            # Of several the last one counts: main, else one of which messages are taken.
            order = sorted(
                every,
                key=lambda group: (not every[group].binding.archived, group == self._main),
            )
            self._by_conversation = {
                one: every[group] for group in order for one in every[group].people
            }
        return self._by_conversation.get(conversation.id)

    async def step(self, arrived: Arrived) -> Step | None:
        """What is to be done; None where nothing is."""
        await self._bindings.steady()
        what = arrived.what
        bound = self.bound(what.conversation)
        if bound is None:
            self._pen.drop(arrived.record)
            return None
        if bound.binding.archived:
            self._pen.drop(arrived.record, "its group is archived")
            return None
        if not await self._may_speak(arrived, bound):
            return None
        group = bound.binding.group
        match what:
            case Said():
                is_plain = what.quote is None and not what.files
                slow = bool(what.files) and not what.view_once
                return Step(group, lambda: self._say(arrived, bound, what), not is_plain, slow)
            case Edited():
                slow = bool(what.said.files) and not what.said.view_once
                return Step(group, lambda: self._edit(arrived, bound, what), slow=slow)
            case Reacted():
                return Step(group, lambda: self._react(arrived, bound, what))
            case Deleted():
                return Step(group, lambda: self._delete(arrived, bound, what))

    async def _may_speak(self, arrived: Arrived, bound: Bound) -> bool:
        """Have the author's puppet ready, and all known by which it is judged what they say: what
        is written beside others' words waits for nothing more."""
        who = arrived.what.who
        aci = who.aci
        self._known.learn(aci, who.name)
        if await self._presence.ready(bound, aci) is None:
            self._pen.drop(arrived.record, "its author was removed from the group")
            return False
        await self._known.keep(aci)
        await self._references.deleted(aci)
        return True

    # What is said

    async def _say(self, arrived: Arrived, bound: Bound, said: Said) -> None:
        origin = self._origin(said.identity)
        if origin.name in await self._references.deleted(said.who.aci):
            # It may come after its deletion, or after what it was edited to.
            self._pen.let_go(arrived.record, "its author has deleted it")
            return
        if await self._messages.write(arrived, bound, said, origin) is not None:
            self._receipts.show(said.identity)

    async def _edit(self, arrived: Arrived, bound: Bound, edited: Edited) -> None:
        """The message anew, then its former version goes, so that there is always one."""
        said, group, aci = edited.said, bound.binding.group, edited.who.aci
        origin, own = self._origin(said.identity), once(edited.identity)
        names = [known_as(edited.identity.account, aci, edited.target)]
        found = await self._references.own(aci, edited.target, group)
        # After a start the message anew may be there already, under the former's names too.
        former = [event for event in found if event.tag("o") != own]
        is_seen = bool(former) or any(event.tag("edits") is not None for event in found)
        deleted = await self._references.deleted(aci)
        if not found and (origin.name in deleted or names[0] in deleted):
            self._pen.let_go(arrived.record, "its author has deleted it")
            return
        newest = max(former, key=lambda event: event.created_at, default=None)
        if newest is not None:
            names += newest.values("i")
        written = await self._messages.write(arrived, bound, said, origin, newest, names)
        if written is None:
            return
        self._receipts.show(said.identity)
        # Where the former has not come it becomes nothing when it does.
        unseen = () if is_seen else (names[0],)
        await self._take_back(arrived, bound, origin, former, unseen, events.FORMER)

    # What is about what was said

    async def _react(self, arrived: Arrived, bound: Bound, reacted: Reacted) -> None:
        group, aci, origin = bound.binding.group, reacted.who.aci, self._origin(reacted.identity)
        about = await self._references.find(reacted.target, group)
        if about is None:
            self._pen.set_aside(arrived.record, "a reaction to what is not known here")
            return
        # Of each person there is one sign under a message; the new one takes the other's place.
        found = await self._references.reactions(aci, about.id)
        former = [event for event in found if event.tag("o") != once(reacted.identity)]
        if not reacted.removed:

            def shown(key: SecretKey, about: Event = about) -> Template:
                return events.reaction_template(
                    key.public, group, origin, about, reacted.emoji, _now_s()
                )

            if await self._write(arrived, bound, shown) is None:
                return
        if former:
            effect = "" if reacted.removed else events.FORMER
            await self._take_back(arrived, bound, origin, former, (), effect)

    async def _delete(self, arrived: Arrived, bound: Bound, deleted: Deleted) -> None:
        """What its author takes back: only what their own puppet has said, or will have."""
        aci, group = deleted.who.aci, bound.binding.group
        name = known_as(deleted.identity.account, aci, deleted.target)
        # Attack: the time of somebody else's message, or of the assistant's: under this author's
        # name there is nothing of that time.
        found = await self._references.own(aci, deleted.target, group)
        names = tuple(dict.fromkeys([name, *(one for each in found for one in each.values("i"))]))
        await self._take_back(
            arrived, bound, self._origin(deleted.identity), found, names[: events.MAX_NAMES]
        )

    async def _take_back(
        self,
        arrived: Arrived,
        bound: Bound,
        origin: Origin,
        deleted: list[Event],
        names: tuple[str, ...] = (),
        effect: str = "",
    ) -> None:
        if not deleted and not names:
            return

        def taken_back(key: SecretKey) -> Template:
            return events.deletion_template(
                key.public,
                bound.binding.group,
                origin,
                deleted,
                _now_s(),
                names=names,
                effect=effect,
            )

        if await self._write(arrived, bound, taken_back) is not None:
            await self._references.delete(arrived.what.who.aci, names)

    async def _write(
        self, arrived: Arrived, bound: Bound, template: Callable[[SecretKey], Template]
    ) -> Event | None:
        what = arrived.what
        return await self._pen.write(
            arrived.record, bound, what.who.aci, template, through=what.conversation.id
        )

    def _origin(self, identity: Identity) -> Origin:
        return Origin(identity, proxy_id(self._pseudonyms, identity))


def _now_s() -> int:
    return int(time.time())
