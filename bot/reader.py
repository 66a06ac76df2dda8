"""Shell: what comes to the router, in order of arrival: messages, objections, wishes, moderation.

A message is decided on by `routing` and begun by `intake`. The place moves past an event when it is
dealt with; whatever a kill cuts off is read again, and meets its once-keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bot import retraction
from bot.adoption import Adoption
from bot.author import Author
from bot.commands.hearing import Hearing
from bot.dispatch import Dispatch
from bot.groups import MEMBERSHIP_KINDS, Group
from bot.objection import Objection
from bot.persona import Personas
from bot.place import Place, follow
from bot.recollection import Recollection
from bot.retraction import DELETION_KINDS
from bot.routing import MESSAGE_KINDS, Context, Ignored, Later, Work, route
from bot.spending import Spending
from bot.wishes import Wishes
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.roles import Roles
from relay_local.client import Caught, Delivery

READ_KINDS = frozenset(
    {
        *map(int, MESSAGE_KINDS | MEMBERSHIP_KINDS | {Kind.JOB_CANCEL, Kind.REACTION}),
        int(Kind.CALENDAR_EVENT),
        *DELETION_KINDS,
    }
)

log = structlog.get_logger()


class Reader:
    """place: how far is read. all_ended: up to where no job is open. group: gives one by its id.
    owners: the keys by which the owner speaks. learn: takes an event of moderation."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        place: Place,
        all_ended: Place,
        dispatch: Dispatch,
        adoption: Adoption,
        hearing: Hearing,
        wishes: Wishes,
        spending: Spending,
        personas: Personas,
        group: Callable[[str], Group | None],
        owners: Callable[[], frozenset[str]],
        learn: Callable[[Event], None],
    ) -> None:
        self._author, self._roles = author, roles
        self._place, self._all_ended = place, all_ended
        self._dispatch, self._adoption, self._hearing = dispatch, adoption, hearing
        self._wishes, self._spending, self._personas = wishes, spending, personas
        self._group, self._owners, self._learn = group, owners, learn
        self._recollection = Recollection(author.link, roles)
        self._objection = Objection(author, owners, group, dispatch)

    async def run(self, ready: asyncio.Event) -> None:
        """Read until cancelled. `ready` is set when all that was stored has been dealt with."""
        epoch: str | None = None
        async for item in follow(self._author.link, [Filter(kinds=READ_KINDS)], self._place):
            match item:
                case Caught(str(now_epoch), _):
                    epoch = now_epoch
                    ready.set()
                    await self._adoption.tidy()
                case Delivery(event, seq):
                    # Every job of a message before this one has its end: what is open from now
                    # on comes after it.
                    if epoch is not None and seq is not None and self._dispatch.is_idle:
                        self._all_ended.advance(epoch, seq - 1)
                    await self._saw(event)

    async def _saw(self, event: Event) -> None:
        match event.kind:
            case Kind.CHAT | Kind.BUZZ_CHAT:
                await self._adoption.ensure(event.tag("h") or "")
                await self._receive(event)
            case Kind.JOB_CANCEL:
                self._objection.cancelled(event)
            case Kind.REACTION:
                await self._objection.reacted(event)
            case Kind.CALENDAR_EVENT:
                await self._wishes.saw(event)
            case kind if kind in DELETION_KINDS:
                await retraction.deleted(self._author, self._dispatch, event)
                await self._wishes.deleted(event)
            case _:
                if event.pubkey != self._author.pubkey:
                    # Read again after a crash, what came before would be decided anew, by who may
                    # do what since.
                    await self._place.save()
                self._learn(event)
                await self._adoption.saw(event)

    async def _receive(self, event: Event) -> None:
        group = self._group(event.tag("h") or "")
        if await self._hearing.takes(event, group):
            self._recollection.note(event, group)
            return
        around = await self._recollection.around(
            event,
            group,
            name=self._personas.of(event.tag("h") or "").name or "",
            owners=self._owners(),
            now_s=self._author.now_s(),
        )
        match route(event, group, self._roles, around):
            case Ignored(reason) | Context(reason):
                log.debug("message left alone", message=event.id[:12], reason=reason)
            case Work(group_id, _):
                await self._begin(group_id, event)
            case Later(group_id, _, until_s):
                await self._begin(group_id, event, not_before=until_s)
        self._recollection.note(event, group)

    async def _begin(self, group: str, event: Event, *, not_before: int | None = None) -> None:
        if (why := self._spending.why_not(group)) is not None:
            log.info("message left alone", message=event.id[:12], reason=why)
            await self._spending.tell(group, event)
            return
        await self._dispatch.intake.begin(group, event.id, not_before=not_before)
