"""Shell: the tasks as people and agents deal with them: found, made within bounds, changed,
cancelled, run now.

`TaskBook` writes versions and is refused where somebody else was quicker; here the change is then
made again on what there is now. What asks for something names it by `once`: asked again after a
crash, it is the same task, or the same run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from uuid import UUID

import structlog

from bot.author import Author, of_kinds
from bot.task_book import Conflict, Planned, TaskBook
from bot.tasks import bounds
from bot.tasks.telling import SHORT
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.once import once_key
from nips.own.task import Task
from nips.own.task_run import TaskRun

MAX_TRIES = 5  # at a task that somebody else changes at the same time
MIN_PREFIX = 4  # digits of an id, below which they could be a word

log = structlog.get_logger()


class TaskError(Exception):
    """What was asked for is not done; the message is a sentence for people, with the remedy."""


class Keeper:
    """book: loaded. perform: makes a job of a task's run in a group, once. why_not: why no job may
    begin in a group now, None when one may. changed: is called after each change."""

    def __init__(
        self,
        author: Author,
        book: TaskBook,
        perform: Callable[[str, TaskRun], Awaitable[object]],
        why_not: Callable[[str], str | None],
        changed: Callable[[], None],
    ) -> None:
        self._author, self._book = author, book
        self._perform, self._why_not, self._changed = perform, why_not, changed
        self._lock = asyncio.Lock()

    # Looking

    def all(self, group: str | None = None) -> tuple[Planned, ...]:
        """Every task, or a group's (its UUID): the next to run first, then the paused, the done."""
        found = [p for p in self._book.all.values() if group in (None, p.task.group)]
        order = {"active": 0, "paused": 1, "done": 2}
        return tuple(sorted(found, key=lambda p: (order[p.task.status], p.task.start, p.task.id)))

    def get(self, name: str) -> Planned | None:
        """The task of that name (`Task.name`), None where there is none."""
        return self._book.all.get(name)

    def find(self, word: str, group: str | None = None) -> Planned:
        """The task that somebody means by an id, its beginning, or a title; only of a group (its
        UUID), where one is given. Raises TaskError.

        What is said of a task that is another group's is what is said of none.
        """
        there, plain = self.all(group), " ".join(word.split()).casefold()
        # Attack: an agent calls its task by what another's id begins with, as people are shown it.
        found = [p for p in there if len(plain) >= SHORT and p.task.id.startswith(plain)]
        found = found or [p for p in there if p.task.title.casefold() == plain]
        if not found and len(plain) >= MIN_PREFIX:
            found = [p for p in there if p.task.id.startswith(plain)]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(p.task.id[:8] for p in found[:5])
            raise TaskError(f"There is more than one task called {word[:40]!r}: {ids}. Say its id.")
        titles = {p.task.title.casefold(): p.task for p in there}
        near = [titles[each].id[:8] for each in get_close_matches(plain, titles, n=1, cutoff=0.6)]
        meant = f" Did you mean {near[0]}?" if near else ""
        raise TaskError(f"There is no task {word[:40]!r}.{meant}")

    # Changing

    async def add(self, task: Task) -> Planned:
        """Put a new task among the others; one that has been put is returned. Raises TaskError,
        Refused."""
        async with self._lock:
            if (known := self._book.all.get(task.name)) is not None:
                return known
            await self._check_new(task)
            await self._make_room(task.group)
            try:
                made = await self._book.put(task, None)
            except Conflict:
                if (there := self._book.all.get(task.name)) is None:
                    raise _gone() from None
                return there
        log.info("task made", task=task.id[:8])
        self._changed()
        return made

    async def change(self, task: Task, change: Callable[[Task], Task]) -> Planned:
        """Make a change of a task as it stands now. change: may be called repeatedly, and raises
        what it likes. Raises TaskError, Refused."""
        async with self._lock:
            made = await self._change(task.name, change)
        self._changed()
        return made

    async def cancel(self, task: Task) -> None:
        """Have a task gone; what runs of it goes on. Raises Refused."""
        async with self._lock:
            if (planned := self._book.all.get(task.name)) is None:
                return
            await self._book.remove(planned)
        log.info("task cancelled", task=task.id[:8])
        self._changed()

    async def run_now(self, task: Task, once: str) -> None:
        """Have it run besides its times; they stay what they are. Raises TaskError."""
        if (why := self._why_not(task.group)) is not None:
            raise TaskError(f"It cannot run now: {why}.")
        slot = f"now{once_key('run now', once)[:16]}"
        await self._perform(task.group, TaskRun(task.address(self._author.pubkey), slot))

    async def _change(self, name: str, change: Callable[[Task], Task]) -> Planned:
        for _ in range(MAX_TRIES):
            if (planned := self._book.all.get(name)) is None:
                raise _gone()
            wanted = change(planned.task)
            if wanted == planned.task:
                return planned
            if wanted.status != "done" and planned.task.status == "done":
                self._check_room(wanted.group)
            try:
                made = await self._book.put(wanted, planned)
            except Conflict:
                continue
            log.info("task changed", task=wanted.id[:8], status=wanted.status)
            return made
        raise TaskError("That task is being changed all the time. Try again in a moment.")

    # Bounds

    async def _check_new(self, task: Task) -> None:
        self._check_room(task.group)
        # Attack: an agent's attempt that comes again makes anew what its people have cancelled.
        cancelled = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.DELETION),
            tags={"a": frozenset({task.address(self._author.pubkey)})},
        )
        if await self._author.link.fetch([cancelled]):
            raise TaskError("That task was made already, and cancelled since.")

    def _check_room(self, group: str) -> None:
        if (why := bounds.why_full((p.task for p in self._book.all.values()), group)) is not None:
            raise TaskError(why)

    async def _make_room(self, group: str) -> None:
        for task in bounds.too_old([p.task for p in self._book.all.values()], group):
            await self._book.remove(self._book.all[task.name])


def task_id(once: str) -> str:
    """The id of the task that is made for `once`: the same for the same."""
    return str(UUID(once_key("task id", once)[:32], version=4))


def _gone() -> TaskError:
    return TaskError("That task is gone: somebody has cancelled it.")
