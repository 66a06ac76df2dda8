"""Shell: all that has to do with tasks, put together: what makes them, what has them run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from bot.alarm import Alarm
from bot.author import Author
from bot.place import Place
from bot.schedule.expression import MIN_INTERVAL_MS
from bot.scheduler import Doing, Scheduler
from bot.task_book import TaskBook
from bot.tasks.desk import Desk
from bot.tasks.firing import Firing
from bot.tasks.hook_secrets import HookSecrets
from bot.tasks.hooks import Hooks
from bot.tasks.keeper import Keeper
from bot.tasks.watching import READER, Watching
from bot.wishes import Wishes, World
from bot.zones import machine_zone
from nips.key import SecretKey
from nips.own.cause import Cause
from nips.own.roles import Roles
from nips.own.task_run import TaskRun
from relay_local.client import Caller

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What tasks need of the rest.

    owner: in hex; owners: the keys by which the owner speaks. doing: what is done with a slot; it
    is done once `resolved` is set, for a job made before would be two. listen: host:port at which
    tasks are called, "" for nowhere. data: the data folder. say: shows a sentence at the terminal.
    least_ms: the shortest interval at which people may have a task run.
    """

    owner: str
    owners: Callable[[], frozenset[str]]
    doing: Doing
    resolved: asyncio.Event
    data: Path
    listen: str
    say: Callable[[str], None]
    least_ms: int = MIN_INTERVAL_MS


class Agenda:
    """`load`, then `run`. desk: where they are made and changed; wishes: what makes them of
    calendar events; heard: is told of public events."""

    def __init__(
        self, author: Author, key: SecretKey, roles: Roles, surroundings: Surroundings
    ) -> None:
        self._surroundings, self._perform = surroundings, surroundings.doing.perform
        doing = replace(surroundings.doing, perform=self._in_time)
        bridge = roles.mail_bridge
        self._book = TaskBook(author)
        # With fractions: by whole seconds a task would start up to one late.
        self._scheduler = Scheduler(author, roles, self._book, doing, Alarm(), time.time)
        firing = Firing(author, roles, self._book, doing)
        self._watching = Watching(
            author,
            roles,
            surroundings.owner,
            surroundings.owners,
            self._book,
            firing,
            Caller(author.link, key, bridge) if bridge else None,
            Place(author.link, key, READER),
            doing.groups,
        )
        self._secrets = HookSecrets(surroundings.data)
        self._hooks = Hooks(author, self._book, firing, self._secrets)
        keeper = Keeper(author, self._book, self._in_time, doing.why_not, self._changed)
        world = World(
            doing.groups,
            surroundings.owners,
            author.now_s,
            machine_zone(),
            self._changed,
            surroundings.least_ms,
        )
        self.desk = Desk(author, keeper, doing.groups, roles.main, surroundings.least_ms)
        self.wishes = Wishes(author, roles, self._book, world)
        self.heard: Callable[[str], Awaitable[str]] = self._watching.heard

    async def load(self) -> None:
        """Read the tasks that there are."""
        await self._book.load()
        self._forget_secrets()

    async def run(self) -> None:
        """Have them run, by the clock and by what sets them off, until cancelled."""
        await self._surroundings.resolved.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._scheduler.run())
            tasks.create_task(self._watching.run())
            if self._surroundings.listen:
                tasks.create_task(self._listen(self._surroundings.listen))

    async def _listen(self, listen: str) -> None:
        host, _, port = listen.rpartition(":")
        say, server = self._surroundings.say, self._hooks.server
        try:
            found = await server.open(host.strip("[]"), int(port))
        except OSError as error:
            log.error("tasks cannot be called", listen=listen, reason=error.strerror)
            say(f"webhooks: {listen} cannot be used ({error.strerror}); nobody can call a task.")
            return
        say(f"webhooks: http://{host}:{found}/hooks/")
        try:
            await asyncio.Event().wait()
        finally:
            await server.close()

    async def _in_time(self, group: str, run: TaskRun, cause: Cause | None = None) -> None:
        await self._surroundings.resolved.wait()
        await self._perform(group, run, cause)

    def _changed(self) -> None:
        self._scheduler.changed()
        self._watching.changed()
        self._forget_secrets()

    def _forget_secrets(self) -> None:
        self._secrets.keep_only({planned.task.id for planned in self._book.all.values()})
