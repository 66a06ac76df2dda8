"""Shell: one attempt at a job: a key made for it, its grant, its container, its end.

The order in time: the container is created while the grant and the 43002 are on their way; it
starts when both are on the relay, for the relay makes the session's socket before it answers the
grant with OK. The grant is revoked as soon as the container is gone. The key exists in this
process and on the container's stdin.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes
from typing import Any

import structlog

from bot import grants
from bot.author import Author
from bot.engine import folders
from bot.engine.container import Container
from bot.engine.hardening import Mounts, Spec
from bot.engine.outcome import Limits
from bot.engine.sandbox import Sandbox, SandboxUnavailable
from bot.jobs import Failure, Job, failure_of
from nips.event import Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import job as job_events
from nips.own.grant import Grant
from nips.own.roles import Roles
from nips.refusal import Refusal
from relay_local.client import Unanswered

TYPING_PERIOD_S = 3.0
LAST_WORD_S = 2.0  # for the revocation when the assistant is being stopped

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where an installation keeps what containers get.

    data: its data folder; run: its short folder for sockets; project: the source tree for the
    main group, or None.
    """

    data: Path
    run: Path
    project: Path | None = None

    def mounts(self, session: str, folder: str, *, is_main: bool) -> Mounts:
        """Make the folders of one run. Raises UnsafeFolder."""
        project = None
        if is_main and self.project is not None:
            project = folders.check_project(self.project, self.data)
        ipc_in, ipc_out = folders.ipc_folders(self.data / "ipc", session[:16])
        return Mounts(
            group=folders.container_folder(self.data / "groups", folder),
            claude_sessions=folders.sessions_folder(self.data / "sessions", folder),
            ipc_in=ipc_in,
            ipc_out=ipc_out,
            # The relay makes it too; the engine wants it to be there at the creation.
            sockets=folders.socket_folder(self.run / "s", session),
            project=project,
        )

    def clear(self, session: str) -> None:
        """Remove what only this run used."""
        folders.remove_run(self.data / "ipc", session[:16])
        folders.remove_run(self.run / "s", session[:16])

    def clear_all(self) -> None:
        """Remove what the runs of a killed predecessor left; none may be under way. The folders
        of sockets are the relay's to remove."""
        folders.remove_runs(self.data / "ipc")


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs attempts. `command` replaces the image's program; None runs the agent."""

    author: Author
    roles: Roles
    sandbox: Sandbox
    layout: Layout
    limits: Limits
    command: tuple[str, ...] | None = None

    async def run(self, job: Job, number: int, folder: str) -> Failure:
        """Make attempt `number` of a job whose group has `folder`.

        Returns what failed in case the job turns out not to be done: that is for its events to
        say, not for an exit status.
        """
        session = SecretKey.generate(token_bytes)
        is_main = job.group == self.roles.main
        try:
            mounts = await asyncio.to_thread(
                self.layout.mounts, session.public, folder, is_main=is_main
            )
        except (folders.UnsafeFolder, OSError) as error:
            return Failure(str(error).rstrip("."), final=True)
        spec = Spec(
            session.public, job.id, mounts, self.limits,
            ("--signer", self.roles.signer), self.command,
        )  # fmt: skip
        grant = grants.of_session(
            session.public,
            job.group,
            job.id,
            is_main=is_main,
            now_s=self.author.now_s(),
            wall_clock_s=self.limits.wall_clock_s,
        )
        log.info("attempt begins", job=job.id[:12], number=number, session=session.public[:12])
        try:
            return await self._in_container(spec, grant, job, number, session)
        except SandboxUnavailable as error:
            log.error("attempt not run", job=job.id[:12], reason=str(error))
            return Failure(str(error).rstrip("."))
        finally:
            await asyncio.to_thread(self.layout.clear, session.public)

    async def _in_container(
        self, spec: Spec, grant: Grant, job: Job, number: int, session: SecretKey
    ) -> Failure:
        creation = asyncio.create_task(self.sandbox.prepare(spec))
        patience_s = None
        try:
            refusal = await self._announce(grant, job, number)
            if refusal is not None:
                return Failure(f"the relay refused to begin it ({refusal.sentence})")
            container = await creation
            async with alongside(self._renew(grant), self._typing(job.group)):
                outcome = await container.run(session.raw.hex().encode() + b"\n")
            return failure_of(outcome, self.limits)
        except asyncio.CancelledError:
            # Stopped: the next start revokes too; a relay that is gone must not hold us up.
            patience_s = LAST_WORD_S
            raise
        finally:
            await _abandon(creation)
            with suppress(Unanswered):
                await self.author.grant(grants.revoked(grant), deadline_s=patience_s)
            self.author.forget(grant.client)

    async def _announce(self, grant: Grant, job: Job, number: int) -> Refusal | None:
        attempt = job_events.attempt(
            self.author.pubkey, job.group, job.id, number, grant.client, self.author.now_s()
        )
        oks = await asyncio.gather(self.author.grant(grant), self.author.publish(attempt))
        return next((ok.refusal for ok in oks if ok.refusal is not None), None)

    async def _renew(self, grant: Grant) -> None:
        while True:
            await asyncio.sleep(grants.renewal_due_s(grant))
            ok = await self.author.grant(grants.renewed(grant, self.author.now_s()))
            if not ok.accepted:
                log.warning("grant not renewed", session=grant.client[:12], reason=ok.message)

    async def _typing(self, group: str) -> None:
        while True:
            now_s = self.author.now_s()
            await self.author.publish(
                Template(self.author.pubkey, now_s, Kind.TYPING, (("h", group),), "")
            )
            await asyncio.sleep(TYPING_PERIOD_S)


@asynccontextmanager
async def alongside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this work for as long as the block runs."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _abandon(creation: asyncio.Task[Container]) -> None:
    """Remove the container of a creation, at whatever stage, unless it was run."""
    creation.cancel()
    (created,) = await asyncio.gather(creation, return_exceptions=True)
    if isinstance(created, Container):
        await created.discard()
