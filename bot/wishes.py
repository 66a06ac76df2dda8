"""Shell: a person's own calendar event becomes a task, and the task follows it.

Who may is the owner, and an admin in their group. Published again, the event is an edit; without
its `schedule`, called off or deleted, the task is cancelled. What it has claimed by then stays
claimed. On the event stands ✅, or ❌ with words why not. Read again after a crash, it has been
followed already.

Of two editors none undoes unseen what the other did: where the task was changed otherwise since its
event was followed, an edit of the event is told of and not taken over. The next one is.
Source: PROTOCOL.md "Kind 31923".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from bot.author import Author, of_kinds
from bot.ending import sign_template
from bot.groups import Group
from bot.notice import notice
from bot.schedule import planning
from bot.schedule.expression import MIN_INTERVAL_MS
from bot.scheduler import may_plan
from bot.task_book import Conflict, Planned, TaskBook
from bot.tasks import bounds, occasions
from bot.tasks.wanted import version_of
from bot.zones import zone_of
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import wish as wishes
from nips.own.once import once_key
from nips.own.roles import Roles
from nips.own.schedule import Schedule
from nips.own.task import Source, Task
from nips.own.wish import Wish
from nips.reference import coordinates
from nips.refusal import Malformed, Refused

MAX_TRIES = 5  # at a task that others change at the same time
YES, NO = "✅", "❌"
CHANGED = (
    "the task was changed here since, by a command or an agent, and stays what it is. Publish the "
    "event once more to have it take the task's place"
)
NOT_THEIRS = "Only the owner and this conversation's admins plan something for me here."

log = structlog.get_logger()


class _Changed(Exception):
    """The task is not what was made of its event any more."""

    def __init__(self, planned: Planned) -> None:
        super().__init__()
        self.planned = planned


@dataclass(frozen=True, slots=True)
class World:
    """groups: gives a group by its id. owners: the keys by which the owner speaks. now_s: the
    clock. zone: the name of the zone of who names none. changed: is called when a task is another
    one. least_ms: the shortest interval that people may have."""

    groups: Callable[[str], Group | None]
    owners: Callable[[], frozenset[str]]
    now_s: Callable[[], int]
    zone: str
    changed: Callable[[], None]
    least_ms: int = MIN_INTERVAL_MS


class Wishes:
    """author: the router's pen. book: the tasks, which have been loaded."""

    def __init__(self, author: Author, roles: Roles, book: TaskBook, world: World) -> None:
        self._author, self._roles, self._book, self._world = author, roles, book, world

    async def saw(self, event: Event) -> None:
        """A calendar event of somebody's has come, for the first time or again."""
        # Attack: an agent publishes one in the bot's name where somebody has made that an admin.
        if self._roles.role_of(event.pubkey) not in (None, "owner"):
            return
        followed = self._following(coordinates(event) or "")
        try:
            wish = wishes.parse(event)
            if wish is None or wish.cancelled:  # it is an appointment, perhaps by now
                await self._cancel(followed)
                return
            group = self._group_of(event.pubkey, wish.group)
            if group is None or (followed and followed.task.group != group.id):
                await self._not_theirs(event)
                return
            planned = await self._follow(wish, group)
        except _Changed as error:
            # Told first: read again after a crash, it would be told of no more.
            await self._refuse(event, CHANGED)
            await self._note(error.planned, event.id)
        except (Malformed, Refused) as error:
            await self._refuse(event, str(error))
        else:
            if planned is not None:
                self._world.changed()
                await self._sign(planned.task.group, event, YES)

    async def deleted(self, deletion: Event) -> None:
        """A kind 5, or a 9005, has come. Whose it was makes no difference: the relay has judged
        it, and what is still there was not deleted."""
        named = {*deletion.values("e"), *deletion.values("a")}
        for planned in tuple(self._book.all.values()):
            source = planned.task.source
            if source is None or named.isdisjoint((source.address, source.version)):
                continue
            if not await self._is_there(source):
                await self._cancel(planned)

    # Steps

    async def _follow(self, wish: Wish, group: Group) -> Planned | None:
        """The task as the wish has it; None where it is that already. Raises Malformed, Refused,
        _Changed."""
        name, source = _task_name(group.id, wish.source.address), wish.source
        for _ in range(MAX_TRIES):
            old = self._book.all.get(name)
            if old is not None and (known := old.task.source) is not None:
                if known.version == source.version:
                    return None
                if known.digest and known.digest != version_of(old.task):
                    raise _Changed(old)
            if old is None and await self._was_cancelled_since(wish):
                return None
            try:
                return await self._book.put(self._wanted(wish, group, old), old)
            except Conflict:
                log.info("a task was changed by somebody else; again", group=group.id)
        raise Malformed("that task is being changed by somebody else: publish it again")

    def _wanted(self, wish: Wish, group: Group, old: Planned | None) -> Task:
        tasks = [planned.task for planned in self._book.all.values()]
        if old is None and (why := bounds.why_full(tasks, group.id)) is not None:
            raise Malformed(why[:1].lower() + why[1:])
        made = occasions.checked(self._planned(wish, group, old), tasks, self._roles.main)
        return replace(made, source=replace(wish.source, digest=version_of(made)))

    def _planned(self, wish: Wish, group: Group, old: Planned | None) -> Task:
        now_s = self._world.now_s()
        name = wish.zone or (old.task.zone if old else self._world.zone)
        zone = zone_of(name)
        blank = Task(
            group.id,
            _task_name(group.id, wish.source.address).partition("/")[2],
            wish.title,
            wish.prompt,
            Schedule("once", ""),
            name,
            wish.start,
        )
        wanted, not_before_s = planning.wished(
            wish, old.task if old else blank, zone, now_s, self._world.least_ms
        )
        if old is None:
            return planning.new(wanted, zone, now_s, not_before_s=not_before_s)
        return planning.edited(old.task, wanted, zone, now_s, not_before_s=not_before_s)

    def _group_of(self, author: str, named: str | None) -> Group | None:
        """The group that the author may set up tasks in; without a name, main for its owner."""
        if named is None and author not in self._world.owners():
            return None
        group = self._world.groups(named or self._roles.main)
        if group is None or group.binding is None or group.binding.archived:
            return None
        return group if may_plan(author, group, self._world.owners()) else None

    async def _note(self, planned: Planned, version: str) -> None:
        """Let the task stand as it is, having seen that version of its event."""
        task = planned.task
        assert task.source is not None
        seen = replace(task.source, version=version, digest=version_of(task))
        with suppress(Conflict, Refused):  # then the next edit is told of once more
            await self._book.put(replace(task, source=seen), planned)

    def _following(self, address: str) -> Planned | None:
        tasks = self._book.all.values()
        return next((p for p in tasks if p.task.source and p.task.source.address == address), None)

    async def _cancel(self, planned: Planned | None) -> None:
        if planned is None:
            return
        log.info("task cancelled by its author", task=planned.task.id[:8])
        try:
            await self._book.remove(planned)
        except Refused as error:
            log.error("task not cancelled", task=planned.task.id[:8], reason=str(error))
        self._world.changed()

    async def _is_there(self, source: Source) -> bool:
        wanted = Filter(
            authors=frozenset({source.author}),
            kinds=of_kinds(Kind.CALENDAR_EVENT),
            tags={"d": frozenset({source.address.split(":", 2)[2]})},
        )
        return bool(await self._author.link.fetch([wanted]))

    async def _was_cancelled_since(self, wish: Wish) -> bool:
        """Say whether a task that followed this very version was cancelled otherwise: read again,
        it would come back."""
        pubkey = self._author.pubkey
        group = wish.group or self._roles.main
        name = _task_name(group, wish.source.address)
        gone = Filter(
            authors=frozenset({pubkey}),
            kinds=of_kinds(Kind.DELETION),
            tags={"a": frozenset({f"{int(Kind.CALENDAR_EVENT)}:{pubkey}:{name}"})},
        )
        found = await self._author.link.fetch([gone])
        return any(wish.id in event.values("source") for event in found)

    async def _refuse(self, event: Event, why: str) -> None:
        """Say why not, where it was asked for, or in main."""
        log.info("a calendar event is no task", id=event.id[:12], reason=why)
        author = event.pubkey
        group = self._group_of(author, event.tag("h")) or self._group_of(author, None)
        if group is None:
            return
        await self._sign(group.id, event, NO)
        words = f"That calendar event cannot be a task: {why.rstrip('.')}."
        await self._say(group.id, event, ("wish", event.id), words)

    async def _not_theirs(self, event: Event) -> None:
        """Tell a member, once, that they plan nothing in their group."""
        log.info("a task that its author may not set up", id=event.id[:12])
        group = self._world.groups(event.tag("h") or "")
        if group is None or group.binding is None or event.pubkey not in group.members:
            return
        # Attack: a member whose calendar has the assistant answer without end.
        once = ("wish not theirs", group.id, event.pubkey)
        await self._say(group.id, event, once, NOT_THEIRS)

    async def _say(self, group: str, event: Event, once: tuple[str, ...], words: str) -> None:
        about = (("q", event.id), ("p", event.pubkey))
        said = notice(self._roles, once, words, about, now_s=self._author.now_s(), group=group)
        if refusal := (await self._author.publish(said)).refusal:
            log.error("notice refused", id=event.id[:12], reason=refusal.sentence)

    async def _sign(self, group: str, event: Event, sign: str) -> None:
        made = sign_template(self._author.pubkey, group, event.id, sign, self._author.now_s())
        if refusal := (await self._author.publish(made)).refusal:
            log.warning("sign refused", id=event.id[:12], reason=refusal.sentence)


def _task_name(group: str, address: str) -> str:
    """The `d` of the task that follows an event: asked again it is the same."""
    return f"{group}/{UUID(hex=once_key('wish', address)[:32], version=4)}"
