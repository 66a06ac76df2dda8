"""Shell: one attempt at a job: a key made for it, its grant, its container, its end.

Where its group has a spare, that one is used: the job's grant takes the place of the one that
allowed nothing, and when the relay has it, the 43002 follows, for which the spare waits.

Else, in order of time: the container is created while the grant and the 43002 are on their way; it
starts when both are on the relay, for the relay makes the session's socket before it answers the
grant with OK. The grant is revoked as soon as the container is gone. The key exists in this
process and on the container's stdin.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_bytes

import structlog

from bot import grants
from bot.author import Author
from bot.engine import folders
from bot.engine.hardening import Mounts, Spec
from bot.engine.outcome import Limits
from bot.engine.sandbox import Sandbox, SandboxUnavailable
from bot.engine.spare_rules import Bounds, Makeup
from bot.engine.spares import Spares, Unmade
from bot.failure import Failure, failure_of
from bot.groups import Group
from bot.jobs import Job
from bot.run_folders import Layout
from bot.session_grants import LAST_WORD_S, alongside, renew, revoke
from bot.waiting import WAITING, Waiting, abandon, on_stdin, start_waiting
from nips.event import Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import job as job_events
from nips.own.backend_name import BUILTIN, BackendName
from nips.own.grant import Grant
from nips.own.model_scope import ModelScope
from nips.own.persona import Persona
from nips.own.roles import Roles
from nips.refusal import Refusal

TYPING_PERIOD_S = 3.0
PERSONA_FILE = "persona.json"
BACKENDS_FILE = "backends.json"

ENGINE_WAIT_S = 86_400  # from the job's making on; who asked does not expect an answer after that
NO_SPARES = Bounds()

log = structlog.get_logger()


def _nobody(_group: str) -> Persona:
    return Persona()


async def _there(_longest_s: float) -> bool:
    return True


def _unknown(_group: str) -> Group | None:
    return None


def _builtin(_group: str) -> tuple[BackendName, ...]:
    return (BUILTIN,)


def _whole(_group: str, models: ModelScope | None) -> ModelScope | None:
    return models


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs attempts. `command` replaces the image's program; None runs the agent. `models`: what a
    session may ask of language models; `scope`: what of it a session of this group may.
    `sessions`: the live sessions' keys in hex, and the job of each. `persona`: who the assistant is
    in a group; `backends`: what its agent works with. `claude_memory_bytes`: the limit instead of
    `limits`' where the backend `claude` is among them, for its program needs a gigabyte. `groups`:
    gives a group by its id. `spares`: kept within `bounds`; None where every attempt gets a
    container of its own. `engine`: waits, so many seconds at most, until containers can be made;
    says whether they can."""

    author: Author
    roles: Roles
    sandbox: Sandbox
    layout: Layout
    limits: Limits
    command: tuple[str, ...] | None = None
    models: ModelScope | None = None
    scope: Callable[[str, ModelScope | None], ModelScope | None] = _whole
    sessions: dict[str, Job] = field(default_factory=dict)
    persona: Callable[[str], Persona] = _nobody
    backends: Callable[[str], tuple[BackendName, ...]] = _builtin
    claude_memory_bytes: int = 1536 << 20
    groups: Callable[[str], Group | None] = _unknown
    bounds: Bounds = NO_SPARES
    spares: Spares[Waiting] | None = None
    engine: Callable[[float], Awaitable[bool]] = _there

    async def run(self, job: Job, number: int, folder: str) -> Failure:
        """Make attempt `number` of a job whose group has `folder`.

        Returns what failed in case the job turns out not to be done: that is for its events to
        say, not for an exit status.
        """
        log.info("attempt begins", job=job.id[:12], number=number)
        spare = await self.spares.take(job.group) if self.spares else None
        try:
            ended = await self._in_spare(spare, job, number) if spare else None
            return ended or await self._in_new(job, number, folder)
        except SandboxUnavailable as error:
            log.error("attempt not run", job=job.id[:12], reason=str(error))
            return Failure(str(error).rstrip("."))
        finally:
            if self.spares:
                self.spares.used(job.group)

    def makeup(self, group_id: str) -> Makeup | None:
        """What a spare of a group is made of; None where nothing would be asked of one."""
        group = self.groups(group_id)
        binding = group.binding if group else None
        if binding is None or binding.archived or binding.paused:
            return None
        chosen = self.backends(group_id)
        return Makeup(binding, self._limits(chosen), chosen, group_id == self.roles.main)

    async def spare(self, makeup: Makeup) -> Waiting:
        """Start a container that waits for a job. Raises Unmade, SandboxUnavailable."""
        session = SecretKey.generate(token_bytes)
        try:
            mounts, files = await asyncio.to_thread(
                self._folders, session.public, makeup.group, makeup.binding.folder, makeup.backends
            )
        except (folders.UnsafeFolder, OSError) as error:
            raise Unmade(str(error)) from error
        grant = grants.of_waiting(
            session.public,
            makeup.group,
            now_s=self.author.now_s(),
            wait_s=self.bounds.idle_s,
            wall_clock_s=self.limits.wall_clock_s,
        )
        spec = self._spec(session, WAITING, mounts, makeup.limits)
        return await start_waiting(
            self.author, self.sandbox, self.layout.clear, makeup, session, grant, spec, files
        )

    async def _in_spare(self, spare: Waiting, job: Job, number: int) -> Failure | None:
        """None: it has died, and the job's session is not begun."""
        session, limits = spare.session.public, spare.makeup.limits
        grant = self._grant(session, job)
        hard_s = min(grant.hard_expires_at, spare.grant.hard_expires_at)
        grant = replace(grant, hard_expires_at=hard_s, expires_at=min(grant.expires_at, hard_s))
        patience_s = None
        self.sessions[session] = job
        try:
            files = self._files(job.group, spare.makeup.backends)
            if files != spare.files:
                await asyncio.to_thread(self._hand_in, session, files)
            if refusal := (await spare.take_over(grant)).refusal:
                return _not_begun(refusal)
            if not spare.is_alive:
                return None
            spare.container.begin()
            if refusal := (await self.author.publish(self._attempt(job, number, session))).refusal:
                return _not_begun(refusal)
            async with alongside(renew(self.author, grant), self._typing(job.group)):
                return failure_of(await spare.running, limits)
        except asyncio.CancelledError:
            patience_s = LAST_WORD_S
            raise
        except OSError as error:
            return Failure(str(error).rstrip("."), final=True)
        finally:
            del self.sessions[session]
            # Whole, though it may be cancelled once more: its grant is revoked at the end of it.
            await asyncio.shield(asyncio.ensure_future(spare.end(patience_s)))

    async def _in_new(self, job: Job, number: int, folder: str) -> Failure:
        # Before anything of it is told: an attempt that could not be made is none.
        if not await self.engine(job.created_at + ENGINE_WAIT_S - self.author.now_s()):
            return Failure("the container engine, in which I work, was away", final=True)
        session, chosen = SecretKey.generate(token_bytes), self.backends(job.group)
        try:
            mounts, _ = await asyncio.to_thread(
                self._folders, session.public, job.group, folder, chosen
            )
        except (folders.UnsafeFolder, OSError) as error:
            return Failure(str(error).rstrip("."), final=True)
        spec = self._spec(session, job.id, mounts, self._limits(chosen))
        self.sessions[session.public] = job
        try:
            grant = self._grant(session.public, job)
            return await self._in_container(spec, grant, job, number, session)
        finally:
            del self.sessions[session.public]
            await asyncio.to_thread(self.layout.clear, session.public)

    async def _in_container(
        self, spec: Spec, grant: Grant, job: Job, number: int, session: SecretKey
    ) -> Failure:
        creation = asyncio.create_task(self.sandbox.prepare(spec))
        patience_s = None
        try:
            oks = await asyncio.gather(
                self.author.grant(grant),
                self.author.publish(self._attempt(job, number, grant.client)),
            )
            for ok in oks:
                if ok.refusal is not None:
                    return _not_begun(ok.refusal)
            container = await creation
            async with alongside(renew(self.author, grant), self._typing(job.group)):
                outcome = await container.run(on_stdin(session))
            return failure_of(outcome, spec.limits)
        except asyncio.CancelledError:
            # Stopped: the next start revokes too; a relay that is gone must not hold us up.
            patience_s = LAST_WORD_S
            raise
        finally:
            await abandon(creation)
            await revoke(self.author, grant, patience_s)

    # What both are made of

    def _folders(
        self, session: str, group: str, folder: str, chosen: Sequence[BackendName]
    ) -> tuple[Mounts, dict[str, str]]:
        """Blocks. Raises UnsafeFolder, OSError."""
        mounts = self.layout.mounts(session, folder, is_main=group == self.roles.main)
        files = self._files(group, chosen)
        self._hand_in(session, files)
        return mounts, files

    def _files(self, group: str, chosen: Sequence[BackendName]) -> dict[str, str]:
        said = {
            PERSONA_FILE: self.persona(group).to_json(),
            BACKENDS_FILE: {
                "backends": [str(one) for one in chosen],
                "main": group == self.roles.main,
            },
        }
        return {name: json.dumps(value, ensure_ascii=False) for name, value in said.items()}

    def _hand_in(self, session: str, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            self.layout.hand_in(session, name, text)

    def _spec(self, session: SecretKey, job: str, mounts: Mounts, limits: Limits) -> Spec:
        seconds = str(max(1, int(self.limits.wall_clock_s)))
        said = ("--signer", self.roles.signer, "--seconds", seconds)
        return Spec(session.public, job, mounts, limits, said, self.command)

    def _limits(self, chosen: Sequence[BackendName]) -> Limits:
        if not any(one.kind == "claude" for one in chosen):
            return self.limits
        most = max(self.limits.memory_bytes, self.claude_memory_bytes)
        return replace(self.limits, memory_bytes=most)

    def _grant(self, session: str, job: Job) -> Grant:
        return grants.of_session(
            session,
            job.group,
            job.id,
            is_main=job.group == self.roles.main,
            now_s=self.author.now_s(),
            wall_clock_s=self.limits.wall_clock_s,
            models=self.scope(job.group, self.models),
        )

    def _attempt(self, job: Job, number: int, session: str) -> Template:
        now_s = self.author.now_s()
        return job_events.attempt(
            self.author.pubkey, job.group, job.id, number, session, now_s, task=job.task
        )

    async def _typing(self, group: str) -> None:
        while True:
            now_s = self.author.now_s()
            await self.author.publish(
                Template(self.author.pubkey, now_s, Kind.TYPING, (("h", group),), "")
            )
            await asyncio.sleep(TYPING_PERIOD_S)


def _not_begun(refusal: Refusal) -> Failure:
    return Failure(f"the relay refused to begin it ({refusal.sentence})")
