"""Shell: what agents ask about tasks: `schedule_task`, `list_tasks`, `update_task`, `pause_task`,
`resume_task`, `cancel_task`, `run_task`.

Which tasks an agent sees and changes, its session's group says, as the router knows it: its own
group's, in main any. No parameter widens that. A task lets in no more people, messages or models
than its group has already, so no owner is asked for it; what could cost without end is bounded:

    any group            as many tasks as `bot.tasks.bounds` lets it have
    an agent not in main runs a day, of all its group's tasks together: `MAX_RUNS_A_DAY`
    one job              new tasks: `MAX_NEW_OF_A_JOB`, runs at once: `MAX_RUNS_OF_A_JOB`, tasks
                         given another time, of which the owner is told: `MAX_MOVED_OF_A_JOB`
    a task's own run     runs nothing at once, plans nothing sooner than `SOONEST_S`, and elsewhere
                         than in main nothing where there were `MAX_RUNS_A_DAY` within a day
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

import orjson

from bot.author import Author, of_kinds
from bot.notice import notice
from bot.registration import RegistryError
from bot.registry import Registry
from bot.requests.methods import Asked, Handler
from bot.tasks.density import runs_a_day
from bot.tasks.desk import Desk
from bot.tasks.keeper import TaskError
from bot.tasks.telling import line
from bot.tasks.wanted import Wanted, changed, check_version, version_of
from bot.zones import zone_of
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.roles import Roles
from nips.own.task import Task
from nips.refusal import Malformed, Prefix, refused

MAX_RUNS_A_DAY = 100
MAX_NEW_OF_A_JOB = 10
MAX_RUNS_OF_A_JOB = 3
MAX_MOVED_OF_A_JOB = 20
SOONEST_S = 600
MAX_LISTED = 100
JOBS_COUNTED = 1_000
DAY_S = 86_400
MAX_JOBS_READ = 1_000


class TaskRequests:
    """desk: of all tasks. name_of: what a group (its UUID) is called in a sentence."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        registry: Registry,
        desk: Desk,
        name_of: Callable[[str], str],
    ) -> None:
        self._author, self._roles, self._registry = author, roles, registry
        self._desk, self._name_of = desk, name_of
        self._planning = asyncio.Lock()
        self._jobs: OrderedDict[str, Counter[str]] = OrderedDict()

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """All that can be asked here."""
        return (
            self.schedule_task,
            self.list_tasks,
            self.update_task,
            self.pause_task,
            self.resume_task,
            self.cancel_task,
            self.run_task,
        )

    async def schedule_task(self, asked: Asked) -> str:
        """`[group, task]`: a new one. group: what names it, empty for the session's own. task: a
        JSON object of `bot.tasks.wanted`."""
        word, text = asked.take(2, 2, "a group, or nothing, and a JSON object")
        with _Sentences():
            task = self._desk.drafted(self._meant(asked, word), _wanted(text), asked.once("task"))
            async with self._planning:
                there = self._desk.keeper.get(task.name)
                if there is None:
                    self._count(asked, "new", MAX_NEW_OF_A_JOB, "plan {} tasks")
                    self._check(asked, task)
                    await self._check_past(asked, task)
                there = await self._desk.keeper.add(task)
        await self._tell(asked, "planned", there.task)
        return f"Planned: {self._line(there.task)}."

    async def list_tasks(self, asked: Asked) -> str:
        """`[task, group]`, each may be left out: a task whole, by what names it; else a line for
        each, of a group or of all that the session may see."""
        word, named = asked.take(0, 2, "a task, or nothing, and a group, or nothing")
        with _Sentences():
            if word:
                return self._whole(self._found(asked, word))
            group = self._meant(asked, named) if named else self._seen(asked)
            found = [p.task for p in self._desk.keeper.all(group)]
        if not found:
            return "Nothing is planned."
        lines = [self._line(task, with_group=group is None) for task in found[:MAX_LISTED]]
        more = len(found) - len(lines)
        return "\n".join([*lines, *([f"… and {more} more; name a conversation"] if more else [])])

    async def update_task(self, asked: Asked) -> str:
        """`[task, changes, version]`: changes as for a new one; version: of the task as it was
        seen, empty where that is not said."""
        word, text, version = asked.take(2, 3, "a task, a JSON object and perhaps a version")
        with _Sentences():
            task, wanted = self._found(asked, word), _wanted(text)
            async with self._planning:
                standing = self._standing(task)
                check_version(standing, version)
                after = changed(standing, wanted, zone_of, self._author.now_s())
                times_change = after.start != standing.start or after.schedule != standing.schedule
                if times_change:
                    self._count(asked, "moved", MAX_MOVED_OF_A_JOB, "move tasks {} times")
                    self._check(asked, after, standing)
                    await self._check_past(asked, after)
                made = await self._desk.edit(task, wanted, version)
        if times_change:
            await self._tell(asked, "gave another time to", made.task)
        return f"It is now: {self._line(made.task)}."

    async def pause_task(self, asked: Asked) -> str:
        """`[task]`: it runs no more until it is resumed."""
        made = await self._pause(asked, on=True)
        return f"Paused: {self._line(made)}."

    async def resume_task(self, asked: Asked) -> str:
        """`[task]`: it goes on."""
        made = await self._pause(asked, on=False)
        return f"Goes on: {self._line(made)}."

    async def cancel_task(self, asked: Asked) -> str:
        """`[task]`: it is gone."""
        (word,) = asked.take(1, 1, "a task")
        with _Sentences():
            task = self._found(asked, word)
            await self._desk.keeper.cancel(task)
        return f"Cancelled: {task.id[:8]}."

    async def run_task(self, asked: Asked) -> str:
        """`[task]`: it runs now, besides its times."""
        (word,) = asked.take(1, 1, "a task")
        with _Sentences():
            task = self._found(asked, word)
            # Attack: a task whose run has it run again, and so without end.
            if asked.session.job.task is not None:
                raise refused(Prefix.RESTRICTED, "a task's own run lets no other run begin")
            self._count(asked, "run", MAX_RUNS_OF_A_JOB, "have {} runs begin")
            await self._desk.run_now(task, asked.once("run"))
        return f"It runs now: {self._line(task)}."

    # Judging

    def _seen(self, asked: Asked) -> str | None:
        """The group whose tasks alone the session deals with; None in main: any."""
        return None if asked.session.is_main else asked.session.group

    def _found(self, asked: Asked, word: str) -> Task:
        # Attack: another conversation's task, read, changed, or only known to be there.
        return self._desk.keeper.find(word, self._seen(asked)).task

    def _standing(self, task: Task) -> Task:
        if (planned := self._desk.keeper.get(task.name)) is None:
            raise TaskError("That task is gone: somebody has cancelled it.")
        return planned.task

    def _meant(self, asked: Asked, word: str) -> str:
        if not word or word == asked.session.group:
            return asked.session.group
        if not asked.session.is_main:
            # The same words for a group that is there and one that is not.
            raise refused(Prefix.RESTRICTED, "an agent plans for its own conversation only")
        return self._registry.find(word).id

    def _check(self, asked: Asked, task: Task, *before: Task) -> None:
        """Say no to what would be too much. task: as it is to be; before: as it is, if it is."""
        job, now_s = asked.session.job, self._author.now_s()
        # Attack: a run that plans the next one for the next second, and so without end.
        if job.task is not None and task.schedule.has_clock and task.start < now_s + SOONEST_S:
            raise refused(
                Prefix.RESTRICTED,
                f"a task's own run plans nothing sooner than in {SOONEST_S // 60} minutes",
            )
        if asked.session.is_main:
            return
        others = [p.task for p in self._desk.keeper.all(task.group) if p.task.id != task.id]
        count = runs_a_day([*others, task])
        # Where the owner has planned more, less of it is no widening.
        if count > max(MAX_RUNS_A_DAY, runs_a_day([*others, *before])):
            raise refused(
                Prefix.RESTRICTED,
                f"with that, what is planned here could be {count:,} runs a day, and by itself an "
                f"agent plans at most {MAX_RUNS_A_DAY}: plan it less often, or ask the owner to "
                "write /task new",
            )

    async def _check_past(self, asked: Asked, task: Task) -> None:
        """Say no to a run that would be one more of too many already.

        Attack: each run plans the next ones, once each: what is done counts among the planned no
        more, so that ten grow to fifty, and go on every ten minutes without end.
        """
        if asked.session.is_main or asked.session.job.task is None:
            return
        jobs = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.JOB_REQUEST),
            tags={"h": frozenset({task.group})},
            since=self._author.now_s() - DAY_S,
            limit=MAX_JOBS_READ,
        )
        found = await self._author.link.fetch([jobs])
        if sum(bool(event.values("slot")) for event in found) >= MAX_RUNS_A_DAY:
            raise refused(
                Prefix.RESTRICTED,
                f"tasks have run here {MAX_RUNS_A_DAY} times within a day, and after that a task's "
                "own run plans nothing more",
            )

    def _count(self, asked: Asked, what: str, most: int, words: str) -> None:
        found = self._jobs.setdefault(asked.session.job.id, Counter())
        self._jobs.move_to_end(asked.session.job.id)
        while len(self._jobs) > JOBS_COUNTED:
            self._jobs.popitem(last=False)
        if found[what] >= most:
            raise refused(Prefix.RATE_LIMITED, f"one request may {words.format(most)}")
        found[what] += 1

    # Doing

    async def _pause(self, asked: Asked, *, on: bool) -> Task:
        (word,) = asked.take(1, 1, "a task")
        with _Sentences():
            return (await self._desk.pause(self._found(asked, word), on=on)).task

    async def _tell(self, asked: Asked, did: str, task: Task) -> None:
        """The owner hears what is planned elsewhere than with them."""
        if asked.session.is_main:
            return
        words = f"ℹ️ In {self._name_of(task.group)} its agent {did} {self._line(task)}. See /tasks."
        once = asked.told(f"{did} {task.id} {version_of(task)}")
        await self._author.publish(notice(self._roles, once, words, now_s=self._author.now_s()))

    # In words

    def _line(self, task: Task, *, with_group: bool = False) -> str:
        facts = self._desk.facts(task)
        where = f" ({facts.group})" if with_group else ""
        return line(facts, self._author.now_s()) + where

    def _whole(self, task: Task) -> str:
        facts = self._desk.facts(task)
        said: Sequence[str] = (
            self._line(task, with_group=True),
            f"time zone {facts.tz}; late {facts.late}; until {facts.until or 'none'}; "
            + (f"{facts.left} of {facts.times} runs left" if facts.times else "any number of runs"),
            *([f"gate {facts.gate}"] if facts.gate else []),
            f"version {facts.version}",
            "prompt:",
            facts.prompt,
        )
        return "\n".join(said)


class _Sentences:
    """What the parts say to people, as the refusal that it is."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, TaskError | RegistryError | Malformed):
            sentence = str(error).rstrip(".")
            raise refused(Prefix.INVALID, sentence[:1].lower() + sentence[1:]) from error


def _wanted(text: str) -> Wanted:
    try:
        return Wanted.from_json(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise Malformed("a task is said as a JSON object") from error
