"""Shell: the tasks as the relay holds them: read once, changed by compare and set.

A version is written with `prev`; where another writer was quicker the relay refuses (`blocked:
conflict`), and what is there now takes its place here. Source: PROTOCOL.md "Compare and set".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import structlog

from bot.author import Author, is_duplicate, of_kinds
from bot.records import is_conflict
from nips import nip09
from nips.event import Event, Tags
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import task as tasks
from nips.own.task import Task
from nips.refusal import Malformed, Refused

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Planned:
    """A task, and the event that says so."""

    task: Task
    event: Event


class Conflict(Exception):
    """Another version of the task is stored by now, and known here; or none is any more."""


class TaskBook:
    """author: the router's pen, whose tasks these are."""

    def __init__(self, author: Author) -> None:
        self._author = author
        self._known: dict[str, Planned] = {}
        self._gone_at: dict[str, int] = {}

    @property
    def all(self) -> Mapping[str, Planned]:
        """Every task by its name, as far as is known here."""
        return MappingProxyType(self._known)

    async def load(self) -> None:
        """Read all that there are."""
        self._known = {}
        for event in await self._author.stored([self._wanted()]):
            self._learn(event)

    async def put(self, task: Task, old: Planned | None) -> Planned:
        """Write a version in the place of `old`, None for a new task. Raises Conflict, Refused."""
        # Two versions in one second tie and the lower id wins: each steps forward.
        before = old.event.created_at if old else self._gone_at.get(task.name, 0)
        created_at = max(self._author.now_s(), before + 1)
        prev = old.event.id if old else ""
        made = self._author.sign(tasks.template(task, self._author.pubkey, created_at, prev))
        ok = await self._author.insist(made)
        if ok.refusal is not None:
            error = Refused(ok.refusal)
            if is_conflict(error):
                await self.refresh(task.name)
                raise Conflict from error
            raise error
        if is_duplicate(ok):
            # Sent again after its OK was lost; or somebody else wrote the very same in the same
            # second, which is as good, unless it has been replaced since.
            now = await self.refresh(task.name)
            if now is None or now.event.id != made.id:
                raise Conflict
            return now
        planned = self._known[task.name] = Planned(task, made)
        return planned

    async def remove(self, planned: Planned) -> None:
        """Cancel a task: it is gone. Which version of a person's own event it followed is said
        with it, so that this one does not make it anew. Raises Refused."""
        source = planned.task.source
        followed: Tags = () if source is None else (("source", source.version),)
        more = (("h", planned.task.group), *followed)
        gone = nip09.retraction(planned.event, self._author.now_s(), more)
        await self._author.require(gone)
        self._gone_at[planned.task.name] = gone.created_at
        self._known.pop(planned.task.name, None)

    async def refresh(self, name: str) -> Planned | None:
        """Look at what the relay has of one task by now."""
        found = await self._author.link.fetch([self._wanted(name)])
        # Only now: whoever looks meanwhile would take it for cancelled, and forget its secret.
        self._known.pop(name, None)
        for event in found:
            self._learn(event)
        return self._known.get(name)

    def _wanted(self, name: str | None = None) -> Filter:
        return Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.CALENDAR_EVENT),
            tags={} if name is None else {"d": frozenset({name})},
        )

    def _learn(self, event: Event) -> None:
        try:
            task = tasks.parse(event, self._author.pubkey)
        except Malformed as error:
            log.error("task not understood", id=event.id[:12], reason=str(error))
        else:
            self._known[task.name] = Planned(task, event)
