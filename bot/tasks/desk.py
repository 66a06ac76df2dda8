"""Shell: tasks made and changed as somebody says it, wherever that comes from.

Who may is decided before: here a group that is given bounds what is found.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo

from bot.author import Author
from bot.groups import Group
from bot.schedule import planning
from bot.schedule.expression import MIN_INTERVAL_MS
from bot.task_book import Planned
from bot.tasks import occasions
from bot.tasks import wanted as said
from bot.tasks.keeper import Keeper, TaskError, task_id
from bot.tasks.telling import TaskFacts, facts_of
from bot.tasks.wanted import Wanted
from bot.zones import machine_zone, zone_of
from nips.own.task import Task
from nips.refusal import Malformed


class Desk:
    """keeper: of all tasks. groups: gives a group by its id (a UUID). main: the owner's own.
    least_ms: the shortest interval at which anybody may have one run."""

    def __init__(
        self,
        author: Author,
        keeper: Keeper,
        groups: Callable[[str], Group | None],
        main: str,
        least_ms: int = MIN_INTERVAL_MS,
    ) -> None:
        self.keeper = keeper
        self._author, self._groups = author, groups
        self._main, self._least_ms = main, least_ms

    def drafted(self, group: str, wanted: Wanted, once: str) -> Task:
        """The task of a group that is wanted, not put yet. Raises Malformed, TaskError."""
        found = self._groups(group)
        if found is None or found.binding is None or found.binding.archived:
            raise TaskError("That conversation is archived: nothing is done in it.")
        quiet = found.binding.quiet
        usual_zone = quiet.zone if quiet else machine_zone()
        now_s = self._author.now_s()
        made = said.made(wanted, group, task_id(once), usual_zone, zone_of, now_s, self._least_ms)
        return self._checked(made)

    async def edit(self, task: Task, wanted: Wanted, version: str = "") -> Planned:
        """Change what is said. version: of the task as it was seen, "" where nobody says. Raises
        Malformed, TaskError, Refused."""

        def edited(standing: Task) -> Task:
            said.check_version(standing, version)
            return self._checked(
                said.changed(standing, wanted, zone_of, self._author.now_s(), self._least_ms)
            )

        return await self.keeper.change(task, edited)

    async def pause(self, task: Task, *, on: bool) -> Planned:
        """Pause it, or resume. Raises Malformed, TaskError, Refused."""

        def changed(standing: Task) -> Task:
            if on:
                return planning.paused(standing)
            if standing.status == "active":
                return standing
            now_s = self._author.now_s()
            return self._checked(planning.resumed(standing, zone_of(standing.zone), now_s))

        return await self.keeper.change(task, changed)

    def _checked(self, task: Task) -> Task:
        return occasions.checked(task, (p.task for p in self.keeper.all()), self._main)

    async def run_now(self, task: Task, once: str) -> None:
        """Have it run besides its times. Raises TaskError."""
        found = self._groups(task.group)
        binding = found.binding if found else None
        if binding is None or binding.paused or binding.archived:
            raise TaskError("It cannot run now: its conversation is paused or archived.")
        await self.keeper.run_now(task, once)

    def facts(self, task: Task) -> TaskFacts:
        """What there is to know of one."""
        found = self._groups(task.group)
        name = found.binding.folder if found and found.binding else task.group[:8]
        return facts_of(task, name, self.zone(task.zone))

    def named(self, name: str) -> TaskFacts | None:
        """The same of the task of that name (`Task.name`), None where it is gone."""
        planned = self.keeper.get(name)
        return None if planned is None else self.facts(planned.task)

    def zone(self, name: str) -> tzinfo:
        """The zone of a task that is there; UTC where this machine's zones are older than it."""
        try:
            return zone_of(name)
        except Malformed:
            return UTC

    def list(self, group: str | None = None) -> list[TaskFacts]:
        """All of them, or a group's, in the order of `Keeper.all`."""
        return [self.facts(planned.task) for planned in self.keeper.all(group)]
