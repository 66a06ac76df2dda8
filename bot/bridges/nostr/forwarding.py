"""Shell: what somebody said in private, to the group in which their messages belong.

rumor ─► which people are these? ─► bound: kind 9, 7 or 5, by the author's puppet (`pen`)
                                 └► to nothing: dropped; the router is told who, not what
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from bot.bridges.bindings import Bound
from bot.bridges.doorbell import Doorbell
from bot.bridges.file_names import described, not_taken
from bot.bridges.lanes import Lanes
from bot.bridges.nostr import puppets
from bot.bridges.nostr.counterparts import Counterparts
from bot.bridges.nostr.files import Files, NotTaken
from bot.bridges.nostr.references import References
from bot.bridges.pen import Pen
from nips.event import Event, Template
from nips.key import SecretKey, is_hex, is_public_key
from nips.kinds import Kind
from nips.nip17 import DirectMessage
from nips.nip17_files import EncryptedFile, media_type_of
from nips.nip40 import expiration
from nips.own.received import ReceivedFile
from nips.refusal import Malformed

MAX_DELETED = 100  # named by one deletion

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Opened:
    """A rumor, the wrap in which it came, and the unix second from which nobody keeps it."""

    wrap: Event
    rumor: Template
    expires_s: int | None


class Forwarding:
    """bot: its public key in hex."""

    def __init__(
        self,
        bot: str,
        counterparts: Counterparts,
        pen: Pen,
        references: References,
        doorbell: Doorbell,
        files: Files,
        lanes: Lanes,
    ) -> None:
        self._bot, self._counterparts, self._pen = bot, counterparts, pen
        self._references, self._doorbell = references, doorbell
        self._files, self._lanes = files, lanes
        self.counts = pen.counts

    async def forward(self, wrap: Event, rumor: Template) -> None:
        """Deal with an opened message, from whomever. It may return before a file has come: what
        is said in the same conversation meanwhile waits for it, and nobody else does."""
        await self._counterparts.steady()
        # NIP-17: disappearing messages by "an `expiration` tag in the gift wrap of each receiver"
        opened = Opened(wrap, rumor, expiration(wrap.tags, rumor.tags))
        if opened.expires_s is not None and opened.expires_s <= _now_s():
            self._pen.let_go(wrap.id, "it has expired")
            return
        match rumor.kind:
            case Kind.DIRECT_MESSAGE | Kind.FILE_MESSAGE:
                await self._message(opened)
            case Kind.REACTION:
                await self._of_what_was_said(opened, self._reaction)
            case Kind.DELETION:
                await self._of_what_was_said(opened, self._deletion)
            case kind if rumor.pubkey in self._counterparts.people:
                self._pen.keep(wrap.id, f"kind {kind} is not handled yet")
            case _:
                self._pen.drop(wrap.id)

    def set_aside(self, wrap: Event, reason: str) -> None:
        """Give up a wrap."""
        self._pen.set_aside(wrap.id, reason)

    async def _message(self, opened: Opened) -> None:
        wrap, rumor = opened.wrap, opened.rumor
        try:
            message = DirectMessage.from_rumor(rumor, Kind(rumor.kind))
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
            self._pen.drop(wrap.id)
            if self._counterparts.owner is not None:  # else there is nobody to be told
                self._doorbell.ring(people)
        elif bound.binding.archived:
            self._pen.drop(wrap.id, "its group is archived")
        else:
            is_file = rumor.kind == Kind.FILE_MESSAGE
            await self._lanes.run(
                wrap.id,
                [bound.binding.group],
                lambda: self._say(opened, bound, message, people),
                slow=is_file,
            )

    async def _say(
        self, opened: Opened, bound: Bound, message: DirectMessage, people: frozenset[str]
    ) -> None:
        group = bound.binding.group
        if message.id in await self._references.deleted(message.author):
            # Wraps have no true time: the deletion may be read before what it is about.
            self._pen.let_go(opened.wrap.id, "its author has deleted it")
            return
        answered = None
        if message.reply_to is not None:
            answered = await self._references.find(message.reply_to, people)
        if answered is not None and answered.tag("h") != group:
            answered = None
        file = None
        if opened.rumor.kind == Kind.FILE_MESSAGE:
            message, file = await self._with_file(opened, bound, message)

        def said(key: SecretKey) -> Template:
            return puppets.message_template(
                key.public,
                group,
                message,
                _now_s(),
                answered,
                file=file,
                expires_s=opened.expires_s,
            )

        await self._pen.write(opened.wrap.id, bound, message.author, said)

    async def _with_file(
        self, opened: Opened, bound: Bound, message: DirectMessage
    ) -> tuple[DirectMessage, ReceivedFile | None]:
        """The message with words for its content, and the file once it is in the group's folder."""
        rumor, file = opened.rumor, None
        # Attack: whoever was removed from the group goes on filling its folder. What would be said
        # is dropped, so nothing is fetched for it.
        if not await self._pen.may_write(bound, message.author):
            words = not_taken(media_type_of(rumor), "its sender is no member")
            return replace(message, content=words), None
        try:
            found = EncryptedFile.from_rumor(rumor)
            file, name = await self._fetched(found, bound)
            words = described(name, file.media_type, file.n_bytes)
        except (Malformed, NotTaken) as error:
            log.warning("file not taken", wrap=opened.wrap.id, reason=str(error))
            words = not_taken(media_type_of(rumor), str(error))
        return replace(message, content=words), file

    async def _fetched(self, file: EncryptedFile, bound: Bound) -> tuple[ReceivedFile, str]:
        """As `Files.take`, given up where too much waits behind it. Raises NotTaken."""
        hurry = self._lanes.hurry(bound.binding.group)
        if not hurry.is_set():
            fetching = asyncio.create_task(self._files.take(file, bound.binding.folder))
            hurried = asyncio.create_task(hurry.wait())
            try:
                ends: set[asyncio.Future[Any]] = {fetching, hurried}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if fetching.done():
                    return fetching.result()
            finally:
                for task in (fetching, hurried):
                    task.cancel()
                await asyncio.gather(fetching, hurried, return_exceptions=True)
        raise NotTaken("too much else was waiting behind it")

    async def _of_what_was_said(
        self, opened: Opened, work: Callable[[Opened], Awaitable[None]]
    ) -> None:
        """Do what is about an earlier message, after what is still on its way to the groups of its
        author, in one of which that is."""
        groups = [b.binding.group for b in self._of(opened.rumor.pubkey)]
        if not groups:
            self._pen.drop(opened.wrap.id)
            return
        await self._lanes.run(opened.wrap.id, groups, lambda: work(opened))

    async def _reaction(self, opened: Opened) -> None:
        """A sign under a message. Its group is that message's: clients do not agree on whom a
        reaction in a room names."""
        rumor = opened.rumor
        author, target = rumor.pubkey, rumor.tag("e")
        for bound in self._of(author) if target else ():
            about = await self._references.find(target or "", frozenset(bound.people))
            group = bound.binding.group
            if about is None or about.tag("h") != group:
                continue

            def shown(key: SecretKey, event: Event = about, group: str = group) -> Template:
                return puppets.reaction_template(
                    key.public, rumor, event, group, _now_s(), expires_s=opened.expires_s
                )

            await self._pen.write(opened.wrap.id, bound, author, shown)
            return
        self.set_aside(opened.wrap, "a reaction to what is not known here")

    async def _deletion(self, opened: Opened) -> None:
        """What its author takes back: only what their own puppet has said, or will have."""
        rumor, author = opened.rumor, opened.rumor.pubkey
        named = [each for each in dict.fromkeys(rumor.values("e")) if is_hex(each, 32)]
        named = named[:MAX_DELETED]
        theirs = {bound.binding.group: bound for bound in self._of(author)}
        # Attack: the id of somebody else's message, or of the assistant's: it is of no puppet of
        # this author's, and so nothing that is known.
        known = {
            event.tag("proxy") or "": event
            for event in await self._references.own(named, author)
            if event.tag("h") in theirs
        }
        group = next((event.tag("h") or "" for event in known.values()), next(iter(theirs), ""))
        if not named or not group:
            self.set_aside(opened.wrap, "a deletion of nothing")
            return
        deleted = [event for event in known.values() if event.tag("h") == group]
        unseen = [each for each in named if each not in known]

        def taken_back(key: SecretKey) -> Template:
            return puppets.deletion_template(key.public, rumor, deleted, unseen, group, _now_s())

        await self._pen.write(opened.wrap.id, theirs[group], author, taken_back)
        (await self._references.deleted(author)).update(named)

    def _of(self, person: str) -> list[Bound]:
        """The groups in which somebody is a counterpart."""
        return [bound for bound in self._counterparts.groups().values() if person in bound.people]

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


def _now_s() -> int:
    return int(time.time())
