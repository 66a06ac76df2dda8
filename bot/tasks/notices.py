"""Shell: what the owner is told of a task that does not run as it was planned, each thing once."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from bot.author import Author
from bot.groups import Group
from bot.notice import notice
from bot.schedule.wall_clock import shown
from bot.zones import zone_of
from nips.own.roles import Roles
from nips.own.task import Source, Task

HOUR_S = 3_600

log = structlog.get_logger()


class Notices:
    """author: the router's pen. groups: gives a group by its id."""

    def __init__(self, author: Author, roles: Roles, groups: Callable[[str], Group | None]) -> None:
        self._author, self._roles, self._groups = author, roles, groups

    async def missed(self, task: Task, slot: int, why: str) -> None:
        """Of a run that will not be."""
        zone = zone_of(task.zone)
        then = (
            "It does not run again."
            if task.status == "done"
            else f"It runs next at {shown(zone, task.start):%Y-%m-%d %H:%M}."
        )
        words = (
            f"A scheduled task ({task.id[:8]}) was not run at "
            f"{shown(zone, slot):%Y-%m-%d %H:%M}, {task.zone}: {why}. {then}"
        )
        await self._tell(task, ("missed", task.name, str(slot)), words)

    async def let_go(self, task: Task, source: Source, why: str) -> None:
        """Of one that would seem to wait to be run. source: the event that it follows, of somebody
        who may plan nothing there any more."""
        words = (
            f"A scheduled task ({task.id[:8]}) does not run any more: {why}. Cancel it by "
            f"/task cancel {task.id[:8]}, or plan it yourself."
        )
        await self._tell(task, ("let go", task.name, source.version), words)

    async def flood(self, task: Task, an_hour: int, now_s: int) -> None:
        """Of one that is set off no more for a while, once an hour."""
        words = (
            f"A task ({task.id[:8]}) was set off more than {an_hour} times within an hour. What "
            "else sets it off for now is passed over. If that is not what you want, make its "
            f"filter narrower, or pause it: /task pause {task.id[:8]}"
        )
        await self._tell(task, ("set off too often", task.name, str(now_s // HOUR_S)), words)

    async def _tell(self, task: Task, once: tuple[str, ...], words: str) -> None:
        where = ""
        if task.group != self._roles.main:
            group = self._groups(task.group)
            where = f"In {group.binding.folder if group and group.binding else task.group[:8]}: "
        said = notice(self._roles, once, where + words, now_s=self._author.now_s())
        if refusal := (await self._author.publish(said)).refusal:
            log.error("notice refused", task=task.id[:8], reason=refusal.sentence)
