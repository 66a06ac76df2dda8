"""Shell: the router put together: what reads, decides, and sees every job to its end.

Crash-only: what it must remember is on the relay. A message becomes a job (43001), or is handed to
one (43003), under a once-key before the reader's place moves past it; a job's attempts, its `done`
and what it has said are events. So a start after a kill is the same as any start: leftover
containers removed, grants that still live revoked, every open job resolved by `bot.jobs.next_step`,
then on from the place. It is stopped by cancelling `serve`: running containers are ended, their
jobs resolved at the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog

from bot.adoption import Adoption
from bot.attempt import Runner
from bot.author import of_kinds
from bot.backends import Backends
from bot.beginning import make_main, owner_of
from bot.bridge_grants import grant_bridge, renew, revoke_leftovers
from bot.budgets import Budgets
from bot.commands.carry_out import Commands
from bot.commands.hands import Hands
from bot.commands.hearing import Hearing
from bot.directory import Directory
from bot.dispatch import Dispatch
from bot.ending import open_jobs
from bot.engine.sandbox import EngineAway
from bot.engine.spares import Spares, available_memory
from bot.engine_watch import EngineWatch
from bot.jobs import JOB_KINDS
from bot.lookout import Lookout
from bot.persona import Personas
from bot.place import Place
from bot.reader import Reader
from bot.registry import Registry
from bot.requests.house import Others, Requests
from bot.requests.widening import Usual
from bot.schedule.expression import MIN_INTERVAL_MS
from bot.scheduler import Doing
from bot.session_grants import LAST_WORD_S
from bot.spending import Spending
from bot.strangers import Strangers
from bot.tasks.agenda import Agenda, Surroundings
from bot.wishes import Wishes
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.own.backend_name import BackendName
from nips.own.roles import Roles
from relay_local.client import Caller, Link

log = structlog.get_logger()


class Router:
    """`serve` until cancelled; `ready` is set when messages are being read, or, where nobody
    owns the assistant yet, when the pairing is awaited. `owner` is known (hex) once main is made.

    link: authenticated with `key`, the router's. runner: makes the attempts, and within its bounds
    `spares` are kept. say: shows a sentence at the terminal. places: jobs that run at once.
    pauses_s: before a job's second attempt, its third. name: what the assistant is called until
    its owner says otherwise. budgets: of a day, where a group has none of its own. backends: what
    agents work with. least_ms: the shortest interval at which people may have a task run.
    webhooks: host:port at which tasks are called, "" for nowhere.
    """

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        roles: Roles,
        runner: Runner,
        say: Callable[[str], None],
        *,
        places: int = 4,
        pauses_s: Sequence[float] = (2.0, 15.0),
        name: str = "nostrclaw",
        budgets: Budgets | None = None,
        backends: Backends | None = None,
        least_ms: int = MIN_INTERVAL_MS,
        webhooks: str = "",
    ) -> None:
        self.ready = asyncio.Event()
        self.owner: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._link, self._key, self._roles = link, key, roles
        self._author = runner.author
        self._places, self._pauses_s, self._least_ms = places, pauses_s, least_ms
        self._personas = Personas(self._author, name)
        self._say, self._webhooks = say, webhooks
        signer = Caller(link, key, roles.signer)
        self._lookout = Lookout(self._author, signer, roles, say)
        self._directory = Directory(self._author)
        self._budgets = budgets or Budgets()
        self._spending = Spending(self._author, roles, self._directory.group, signer, self._budgets)
        self._backends = backends or Backends()
        made = replace(
            runner,
            scope=self._spending.scope,
            persona=self._personas.of,
            backends=self._backends_of,
            groups=self._directory.group,
        )
        self._engine = EngineWatch(self._author, roles, made.sandbox.away, say)
        made = replace(made, engine=self._engine.serving)
        self.spares = Spares(made.spare, made.makeup, made.bounds, available_memory)
        self._runner = replace(made, spares=self.spares)
        self._place = Place(link, key, "router")
        self._resolved = asyncio.Event()
        self._all_ended = Place(link, key, "router-jobs")  # no job open that began before it

    async def serve(self) -> None:
        """Work until cancelled.

        Raises SandboxUnavailable where the engine cannot hold agents (that it is away is said, and
        no reason to stop), Refused where the relay denies the router what it needs.
        """
        try:
            await self._runner.sandbox.check()
            await self._runner.sandbox.remove_leftovers()
        except EngineAway as error:  # its owner's commands work without; a job looks again
            log.error("no containers", reason=str(error))
            self._say(str(error))
        await asyncio.to_thread(self._runner.layout.clear_all)
        try:
            async with asyncio.TaskGroup() as tasks:
                # No other bridge has any need of the bot's key.
                if bridge := self._roles.mail_bridge:
                    grant = await grant_bridge(self._author, bridge)
                    tasks.create_task(renew(self._author, grant))
                tasks.create_task(self._lookout.run())
                owner = await owner_of(self._author, self._roles, self.ready.set)
                await make_main(self._author, self._roles, owner, self._directory)
                self.owner.set_result(owner)
                await self._serve(owner, tasks)
        finally:
            # Losing the last second of a place is harmless; a relay that is gone must not hold us.
            saving = [asyncio.create_task(place.save()) for place in (self._place, self._all_ended)]
            await asyncio.wait(saving, timeout=LAST_WORD_S)
            for save in saving:
                save.cancel()
            await asyncio.gather(*saving, return_exceptions=True)
            await self._runner.sandbox.close()

    async def _serve(self, owner: str, tasks: asyncio.TaskGroup) -> None:
        """Everything that needs an owner."""
        author, roles, directory = self._author, self._roles, self._directory
        dispatch = Dispatch(
            self._runner,
            roles,
            directory.group,
            self._lookout,
            places=self._places,
            pauses_s=self._pauses_s,
            tasks=tasks,
            began=lambda job: self._spending.began(job.group, job.id, job.created_at),
        )
        registry = Registry(
            author,
            roles,
            owner,
            directory.now,
            self._learn,
            partial(self._clear_out, dispatch),
            self._runner.layout,
        )
        adoption = Adoption(author, roles, owner, directory.now, registry)
        await self._spending.load()
        await self._personas.load(directory.groups.by_id)
        agenda = Agenda(author, self._key, roles, self._of_tasks(owner, dispatch))
        await agenda.load()
        hearing = await self._open(owner, dispatch, registry, agenda, tasks)
        runner = self._runner
        await revoke_leftovers(author, runner.limits.wall_clock_s + runner.bounds.idle_s)
        await adoption.start()
        tasks.create_task(self.spares.serve())
        tasks.create_task(self._engine.run())
        await self._resolve(dispatch)
        self._resolved.set()
        tasks.create_task(agenda.run())
        if dispatch.is_idle:
            self.spares.used(roles.main)  # the first message after a start need not wait either
        await self._reader(dispatch, adoption, hearing, agenda.wishes).run(self.ready)

    def _of_tasks(self, owner: str, dispatch: Dispatch) -> Surroundings:
        """What tasks need of the rest."""
        spending, groups = self._spending, self._directory.group
        return Surroundings(
            owner,
            self._owners,
            Doing(dispatch.intake.perform, groups, spending.why_not, spending.tell, self._owners),
            self._resolved,
            self._runner.layout.data,
            self._webhooks,
            self._say,
            self._least_ms,
        )

    def _reader(
        self, dispatch: Dispatch, adoption: Adoption, hearing: Hearing, wishes: Wishes
    ) -> Reader:
        return Reader(
            self._author,
            self._roles,
            self._place,
            self._all_ended,
            dispatch,
            adoption,
            hearing,
            wishes,
            self._spending,
            self._personas,
            self._directory.group,
            self._owners,
            self._learn,
        )

    def _learn(self, event: Event) -> None:
        self._directory.learn(event)
        self.spares.look()

    async def _clear_out(self, dispatch: Dispatch, group: str) -> None:
        """End what runs for a group, and what waits to."""
        await dispatch.stop(group)
        await self.spares.drop(group)

    async def _open(
        self,
        owner: str,
        dispatch: Dispatch,
        registry: Registry,
        agenda: Agenda,
        tasks: asyncio.TaskGroup,
    ) -> Hearing:
        """Let bridges, sessions and the command line ask; the owner's commands are heard by what
        is returned."""
        author, roles, runner = self._author, self._roles, self._runner
        models = runner.models.names if runner.models else ()
        requests = Requests(
            author,
            self._key,
            roles,
            runner.sessions,
            runner.layout.data,
            self._directory,
            registry,
            self._personas,
            Usual(models, self._budgets.group, tuple(map(str, self._backends.of(None, models)))),
            owner,
            self._place.save,
            agenda.desk,
        )
        strangers = Strangers(author, roles, owner, registry)
        commands = Commands(
            Hands(
                author=author,
                roles=roles,
                owner=owner,
                registry=registry,
                dispatch=dispatch,
                spending=self._spending,
                personas=self._personas,
                questions=requests.questions,
                strangers=strangers,
                logs=runner.layout.data / "logs",
                models=tuple(models),
                backends=self._backends,
                backends_of=self._backends_of,
                signer=lambda: self._lookout.serves,
                engine=runner.sandbox.trouble,
                began_at=author.now_s(),
                settle=self._place.save,
                tasks=agenda.desk,
            )
        )
        await strangers.load()
        await requests.start()
        others = Others(strangers.report, commands.from_console, self._spending.hear, agenda.heard)
        tasks.create_task(requests.serve(others))
        tasks.create_task(commands.prepare())
        return Hearing(author, roles, owner, commands)

    async def _resolve(self, dispatch: Dispatch) -> None:
        """Go on with the jobs that are open, in the order in which they came."""
        epoch, seq = await self._all_ended.load() or (None, 0)
        events = await self._author.stored(
            [Filter(kinds=of_kinds(*JOB_KINDS))], after_seq=seq, epoch=epoch
        )
        for job in open_jobs(events, self._roles.router):
            await dispatch.resolve(job)

    def _backends_of(self, group: str) -> tuple[BackendName, ...]:
        found = self._directory.group(group)
        own = found.binding.backends if found and found.binding else None
        scope = self._spending.scope(group, self._runner.models)
        return self._backends.of(own, scope.names if scope else ())

    def _owners(self) -> frozenset[str]:
        return self._directory.groups.owners(self._roles.main, self.owner.result())
