"""Shell: the bindings as the relay holds them: read, and changed by compare and set.

A change is read, made and written with `prev`; where another writer was quicker the relay refuses
(`blocked: conflict`) and it is made again on what is there now. Source: PROTOCOL.md "Compare and
set".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from bot.author import Author, of_kinds
from bot.registration import RegistryError
from nips.event import Event, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own.binding import Binding
from nips.refusal import Malformed, Prefix, Refused

MAX_TRIES = 5  # at a binding that others change at the same time
IDS_A_FILTER = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Record:
    """A binding and the event that says so."""

    binding: Binding
    event: Event


class Conflict(Exception):
    """Another version of a binding is stored by now."""


class Records:
    """author: the router's pen. learn: takes an event of ours into the groups at once."""

    def __init__(self, author: Author, learn: Callable[[Event], None]) -> None:
        self._author, self._learn = author, learn

    async def of(self, groups: Iterable[str]) -> Mapping[str, Record]:
        """The stored bindings of these groups (ids), those of deleted groups too."""
        wanted, found = sorted(set(groups)), dict[str, Record]()
        for start in range(0, len(wanted), IDS_A_FILTER):
            part = wanted[start : start + IDS_A_FILTER]
            kept = Filter(
                authors=frozenset({self._author.pubkey}),
                kinds=of_kinds(Kind.APP_DATA),
                tags={"d": frozenset(bindings.D_PREFIX + group for group in part)},
                limit=IDS_A_FILTER,
            )
            for event in await self._author.link.fetch([kept]):
                try:
                    binding = bindings.parse(event, self._author.pubkey)
                except Malformed as error:
                    log.error("binding not understood", id=event.id[:12], reason=str(error))
                    continue
                found[binding.group] = Record(binding, event)
        return found

    async def change(self, group: str, change: Callable[[Binding], Binding]) -> Binding:
        """Write what `change` makes of a group's binding. Raises RegistryError; what `change`
        raises passes."""
        is_there = False
        for _ in range(MAX_TRIES):
            record = (await self.of([group])).get(group)
            if record is None:
                continue  # one that is just being replaced is not shown for an instant
            is_there = True
            wanted = change(record.binding)
            if wanted == record.binding:
                return wanted
            try:
                return await self.write(wanted, record.event)
            except Conflict:
                log.info("a binding was changed by somebody else; again", group=group)
        if not is_there:
            raise RegistryError("That group is no registered conversation.")
        raise RegistryError("That group is being changed by somebody else. Try again.")

    async def write(self, binding: Binding, stored: Event | None) -> Binding:
        """Put a binding in place of the stored one. Raises Conflict, RegistryError."""
        try:
            bindings.checked(binding)
        except Malformed as error:
            raise RegistryError(f"That cannot be: {error}.") from error
        # Two versions in one second tie and the lower id wins: each steps forward.
        created_at = max(self._author.now_s(), stored.created_at + 1 if stored else 0)
        prev = stored.id if stored else ""
        try:
            await self._put(bindings.template(binding, self._author.pubkey, created_at, prev))
        except Refused as error:
            if is_conflict(error):
                raise Conflict from error
            raise _in_words(error) from error
        return binding

    async def say(self, template: Template) -> None:
        """Publish an event of moderation. Raises RegistryError."""
        try:
            await self._put(template)
        except Refused as error:
            raise _in_words(error) from error

    async def _put(self, template: Template) -> None:
        self._learn(await self._author.require(template))


def is_conflict(error: Refused) -> bool:
    """Say whether the relay refused because what `prev` names is not what is stored."""
    refusal = error.refusal
    return refusal.prefix is Prefix.BLOCKED and refusal.sentence.startswith("conflict")


def _in_words(error: Refused) -> RegistryError:
    return RegistryError(f"The relay refused it: {error.refusal.sentence}.")
