"""Shell: a message of Signal's put together and written: what it answers, who is mentioned in it,
its files, until when it is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from bot import trigger
from bot.bridges.bindings import Bound
from bot.bridges.lanes import Lanes
from bot.bridges.pen import Pen
from bot.bridges.signal.account import Account
from bot.bridges.signal.inward import said as events
from bot.bridges.signal.inward.files import Files, Taken
from bot.bridges.signal.inward.known import Known
from bot.bridges.signal.inward.references import References
from bot.bridges.signal.inward.said import Origin
from bot.bridges.signal.people import plain_name
from bot.bridges.signal.received.envelope import Deleted, Edited, Reacted, Said
from bot.bridges.signal.received.mentions import Mention
from nips.event import Event, Template
from nips.key import SecretKey
from nips.nip40 import expiration

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Arrived:
    """Something of somebody's, as its record (id) keeps it since unix second `at_s`."""

    record: str
    at_s: int
    what: Said | Edited | Reacted | Deleted


class Messages:
    """bot: the assistant's key in hex. assistant: what it is called in a group (its UUID)."""

    def __init__(
        self,
        bot: str,
        account: Account,
        pen: Pen,
        known: Known,
        references: References,
        files: Files,
        lanes: Lanes,
        assistant: Callable[[str], str],
    ) -> None:
        self._bot, self._account, self._pen = bot, account, pen
        self._known, self._references = known, references
        self._files, self._lanes, self._assistant = files, lanes, assistant

    async def write(
        self,
        arrived: Arrived,
        bound: Bound,
        said: Said,
        origin: Origin,
        former: Event | None = None,
        names: Sequence[str] = (),
    ) -> Event | None:
        """Have a message said by its author's puppet; returns it, None where it was not.

        former: what it replaces; names: of that on Signal.
        """
        group = bound.binding.group
        expires_s = events.gone_at(said, arrived.at_s)
        # Attack: a message that is edited just before it is gone, and stays as long once more.
        if former is not None and (ends := expiration(former.tags)) is not None:
            expires_s = ends if expires_s is None else min(expires_s, ends)
        if expires_s is not None and expires_s <= time.time():
            self._pen.let_go(arrived.record, "it has expired")
            return None
        answered = None
        if said.quote is not None:
            answered = await self._references.find(said.quote.target, group)
        taken = await self._files_of(arrived, bound, said)
        text = events.words(
            said,
            lambda mention: self._called(mention, bound),
            quoted=answered is None,
            files=[one.line for one in taken],
        )
        is_called = any(self._account.is_us(one.aci, one.number) for one in said.mentions)

        def made(key: SecretKey) -> Template:
            return events.message_template(
                key.public,
                group,
                origin,
                text,
                int(time.time()),
                answered=answered,
                former=former,
                also_known_as=names,
                files=[one.kept for one in taken if one.kept is not None],
                calls=self._bot if is_called else None,
                expires_s=expires_s,
            )

        return await self._pen.write(
            arrived.record, bound, said.who.aci, made, through=said.conversation.id
        )

    async def _files_of(self, arrived: Arrived, bound: Bound, said: Said) -> list[Taken]:
        if said.view_once:
            return [Taken(None, line) for line in events.seen_once(said)]
        if not said.files:
            return []
        # Attack: whoever was removed from the group goes on filling its folder. What would be said
        # is dropped, so nothing is fetched for it.
        if not await self._pen.may_write(bound, said.who.aci, said.conversation.id):
            return []
        hurry = self._lanes.hurry(bound.binding.group)
        taken = await self._files.take(said.files, bound.binding.folder, hurry)
        if missing := sum(one.kept is None for one in taken):
            log.warning("files not taken", id=arrived.record, files=missing)
        return taken

    def _called(self, mention: Mention, bound: Bound) -> str:
        us = self._assistant(bound.binding.group).removeprefix("@")
        if self._account.is_us(mention.aci, mention.number):
            return us
        if mention.aci is None:
            return "…"
        name = self._known.plain_name_of(mention.aci)
        # Attack: somebody calls themselves like the assistant, or like the word that wakes it here,
        # and every mention of them calls it.
        wakes = any(
            trigger.says(f"@{name}", word) for word in (f"@{us}", bound.binding.trigger or "")
        )
        return plain_name(mention.aci, None) if wakes else name
