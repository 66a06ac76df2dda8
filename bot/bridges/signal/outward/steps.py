"""Shell: what is to be handed to the service, one after another, for what was said in a group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from bot.bridges.bindings import Bound
from bot.bridges.puppets import clean_name
from bot.bridges.signal.addresses import recipient_of
from bot.bridges.signal.outward.kept_files import NotThere, read_kept
from bot.bridges.signal.outward.origins import Origin, Origins
from bot.bridges.signal.outward.outgoing import (
    HandedOver,
    Letter,
    conversation_of,
    emoji,
    letters,
    quoted_text,
)
from bot.bridges.signal.outward.styled_text import Run, written
from bot.bridges.signal.service.rest import Service
from bot.bridges.signal.service.shapes import Attachment, Quote, Sent
from nips import nip25, nip29
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.delivery import Delivery
from nips.own.fields import json_object
from nips.own.roles import Roles
from nips.refusal import Malformed
from relay_local.client import Link

OWNER = "Owner"  # where they have not said what they are called

log = structlog.get_logger()


# Makes the request, and gives what is answered to a message. Raises ServiceError, and ValueError
# where it would go to nobody of Signal.
Post = Callable[[], Awaitable[Sent | None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One request to the service. conversation: whither. ready: looks up all that it needs. once:
    whether twice is more than once; a reaction, or taking a message back, is the same however
    often."""

    conversation: str
    ready: Callable[[], Awaitable[Post]]
    once: bool = True


class Steps:
    """account: our number. data: the folder below which the router keeps files. owner: their key
    in hex, None where nobody is."""

    def __init__(
        self,
        link: Link,
        origins: Origins,
        service: Service,
        account: str,
        roles: Roles,
        owner: Callable[[], str | None],
        data: Path,
    ) -> None:
        self._link, self._origins = link, origins
        self._service, self._account, self._roles = service, account, roles
        self._owner, self._data = owner, data

    async def of(self, event: Event, delivery: Delivery, bound: Bound) -> list[Step]:
        """The steps of a delivery, in order; the same ones whenever it is asked again."""
        match event.kind:
            case Kind.REACTION:
                return await self._reacting(event, delivery, bound)
            case Kind.DELETION | nip29.DELETE_EVENT:
                return await self._retracting(event, delivery)
            case _:
                return await self._saying(event, delivery, bound)

    async def _saying(self, message: Event, delivery: Delivery, bound: Bound) -> list[Step]:
        speaker = await self._owner_s_name() if message.pubkey == self._owner() else ""
        # Attack: an agent's half a megabyte of signs; everybody else waits for its styles.
        made = await asyncio.to_thread(letters, message, self._roles.router, speaker)
        quoted = message.tag("q")
        about = (
            await self._origins.message(quoted, bound.binding.group) if quoted and made else None
        )
        return [
            self._letter(letter, conversation, bound, about if index == 0 else None)
            for index, letter in enumerate(made)
            for conversation in delivery.to
        ]

    def _letter(self, letter: Letter, conversation: str, bound: Bound, about: Event | None) -> Step:
        async def ready() -> Post:
            quote = await self._quote(about, bound, conversation) if about else None
            files, text = [], letter.text
            for file in letter.files:
                try:
                    files.append(await self._attachment(file, bound.binding.folder))
                except NotThere as error:
                    log.warning("file not sent", sha256=file.sha256, reason=str(error))
                    text += written([Run(f"\n(The file could not be sent: {error}.)")])
            return lambda: self._service.send(
                self._account, recipient_of(conversation), text, quote=quote, attachments=files
            )

        return Step(conversation, ready)

    async def _quote(self, about: Event, bound: Bound, conversation: str) -> Quote | None:
        origin = await self._origins.of(about, bound, conversation)
        if origin is None:
            return None
        return Quote(origin.author, origin.timestamp_ms, quoted_text(about, self._roles.router))

    async def _attachment(self, file: HandedOver, folder: str) -> Attachment:
        content = await asyncio.to_thread(read_kept, self._data, folder, file.sha256)
        return Attachment(file.name, file.media_type, content)

    async def _reacting(self, event: Event, delivery: Delivery, bound: Bound) -> list[Step]:
        try:
            reaction = nip25.parse(event)
        except Malformed:
            return []
        sign = emoji(reaction.sign)
        about = await self._origins.message(reaction.to.id, bound.binding.group)
        if sign is None or about is None:
            return []
        return [
            self._reaction(sign, conversation, origin)
            for conversation in delivery.to
            if (origin := await self._origins.of(about, bound, conversation))
        ]

    def _reaction(self, sign: str, conversation: str, about: Origin) -> Step:
        async def post() -> None:
            await self._service.react(
                self._account, recipient_of(conversation), about.author, about.timestamp_ms, sign
            )

        return _at_once(conversation, post)

    async def _retracting(self, event: Event, delivery: Delivery) -> list[Step]:
        return [
            self._retraction(conversation, one.timestamp_ms)
            for page in await self._origins.taken_back(event)
            for one in page.delivery.sent
            # A reaction has no time; and only conversations that are registered now.
            if one.timestamp_ms
            and (conversation := conversation_of(page.delivery, one.part)) in delivery.to
        ]

    def _retraction(self, conversation: str, timestamp_ms: int) -> Step:
        async def post() -> None:
            await self._service.remote_delete(
                self._account, recipient_of(conversation), timestamp_ms
            )

        return _at_once(conversation, post)

    async def _owner_s_name(self) -> str:
        """What the owner calls themselves, as the local relay has it."""
        wanted = Filter(
            authors=frozenset({self._owner() or ""}), kinds=frozenset({int(Kind.PROFILE)})
        )
        for profile in await self._link.fetch([wanted]):
            try:
                given = json_object("profile", profile.content)
            except Malformed:
                continue
            for name in (given.get("display_name"), given.get("name")):
                if isinstance(name, str) and (shown := clean_name(name)):
                    return shown
        return OWNER


def _at_once(conversation: str, post: Post) -> Step:
    async def ready() -> Post:
        return post

    return Step(conversation, ready, once=False)
