"""Shell: a container that waits for its job: started, its session known to relay and signer, which
let it do nothing; a grant of a job then takes the place of that one.

Attack: a program that waits asks to sign, reports on a job, asks a model, or asks the router. Its
grant names neither job nor methods nor models, and the router knows no job of its key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.author import Author
from bot.engine.container import Container
from bot.engine.hardening import Spec
from bot.engine.outcome import Outcome
from bot.engine.sandbox import Sandbox
from bot.engine.spare_rules import Makeup
from bot.engine.spares import Unmade
from bot.session_grants import LAST_WORD_S, renew, revoke
from nips.frames import Ok
from nips.key import SecretKey
from nips.own.grant import Grant

WAITING = "waiting"  # instead of a job's id, in the container's label


@dataclass(slots=True)
class Waiting:
    """See above. grant: the last one that was asked for. running: the container, to its end;
    renewing: the grant that allows nothing. files: what was handed in. clear: removes what only
    this session used. made_s: by the steady clock."""

    author: Author
    clear: Callable[[str], None]
    makeup: Makeup
    session: SecretKey
    grant: Grant
    container: Container
    running: asyncio.Task[Outcome]
    renewing: asyncio.Task[None]
    files: Mapping[str, str]
    made_s: float

    @property
    def is_alive(self) -> bool:
        """Say whether its program still runs."""
        return not self.running.done()

    async def take_over(self, grant: Grant) -> Ok:
        """Let the job's grant take the place of the one that allows nothing; when this returns
        the relay has it."""
        # None of these may come after the job's.
        self.renewing.cancel()
        await asyncio.gather(self.renewing, return_exceptions=True)
        self.grant = grant
        return await self.author.grant(grant)

    async def end(self, patience_s: float | None = LAST_WORD_S) -> None:
        """Remove the container, then revoke the grant. patience_s: how long the relay is waited
        for."""
        for task in (self.renewing, self.running):
            task.cancel()
        await asyncio.gather(self.renewing, self.running, return_exceptions=True)
        await revoke(self.author, self.grant, patience_s)
        await asyncio.to_thread(self.clear, self.session.public)


async def start_waiting(
    author: Author,
    sandbox: Sandbox,
    clear: Callable[[str], None],
    makeup: Makeup,
    session: SecretKey,
    grant: Grant,
    spec: Spec,
    files: Mapping[str, str],
) -> Waiting:
    """Start it. Raises Unmade, SandboxUnavailable; then, and when cancelled, nothing is left."""
    creation = asyncio.create_task(sandbox.prepare(spec))
    try:
        # The relay makes the session's socket before it answers.
        if refusal := (await author.grant(grant)).refusal:
            raise Unmade(f"the relay refused its grant ({refusal.sentence})")
        container = await creation
    except BaseException:
        await abandon(creation)
        await revoke(author, grant, LAST_WORD_S)
        await asyncio.to_thread(clear, session.public)
        raise
    return Waiting(
        author,
        clear,
        makeup,
        session,
        grant,
        container,
        asyncio.create_task(container.run_waiting(on_stdin(session))),
        asyncio.create_task(renew(author, grant)),
        files,
        time.monotonic(),
    )


def on_stdin(session: SecretKey) -> bytes:
    """What a container's program reads first."""
    return session.raw.hex().encode() + b"\n"


async def abandon(creation: asyncio.Task[Container]) -> None:
    """Remove the container of a creation, at whatever stage, unless it was run."""
    creation.cancel()
    (created,) = await asyncio.gather(creation, return_exceptions=True)
    if isinstance(created, Container):
        await created.discard()
