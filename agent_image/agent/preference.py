"""Shell: one message answered by the first of the chosen backends that can.

One that fails before anybody can have seen anything of its work gives way to the next, and those
who watch are told. After that nobody else begins with it: it would be done twice. The person hears
why, and from whom.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from agent_image.agent.backends import Call, Character, Prepared, Task
from agent_image.agent.narrate import Narrator
from agent_image.agent.runner import Ran, drive
from agent_image.agent.tools import Toolbox
from nips.own.backend_name import BackendName

LONGEST_PREPARATION_S = 10.0  # what takes longer is waited for with the job


@dataclass(frozen=True, slots=True)
class _Opened:
    backend: Prepared
    preparing: asyncio.Task[None]


Make = Callable[[BackendName], Prepared]


class Preference:
    """names: in order, at least one. make: a backend from its name; called when its turn comes.
    character: what to prepare one for, as it is now.

    A context manager: while it is entered the first one is prepared, and `answer` may be called.
    """

    def __init__(
        self, names: Sequence[BackendName], make: Make, character: Callable[[], Character]
    ) -> None:
        self._names, self._make, self._character = tuple(names), make, character
        self._left = list(names)
        self._opened: _Opened | None = None

    async def __aenter__(self) -> Preference:
        self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def rehearse(self) -> None:
        """There is no job yet: have the first one do what takes long. Takes
        `LONGEST_PREPARATION_S` at most."""
        if (opened := self._opened) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_PREPARATION_S):
                    await asyncio.shield(opened.preparing)
                    await opened.backend.rehearse()

    async def reconsider(self, names: Sequence[BackendName]) -> None:
        """Other names may hold by now."""
        if tuple(names) != self._names:
            await self._close()
            self._names, self._left = tuple(names), list(names)
            self._open()

    async def answer(self, task: Task, toolbox: Toolbox, narrator: Narrator) -> Ran:
        """Answer one message. Raises as `drive`. A backend that failed is not asked again."""
        while True:
            opened = self._opened or self._open()
            await asyncio.shield(opened.preparing)
            narrator.resolved(self._left[0])
            ran = await drive(opened.backend.work, task, toolbox, narrator)
            if ran.failure is None:
                return ran
            if ran.n_seen or len(self._left) == 1:
                return await _told(ran, toolbox)
            failed = self._left.pop(0)
            narrator.say(f"{failed.kind} could not: {ran.failure} Now {self._left[0].kind} tries.")
            await self._close()

    def _open(self) -> _Opened:
        backend = self._make(self._left[0])
        self._opened = _Opened(backend, asyncio.create_task(backend.prepare(self._character())))
        return self._opened

    async def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.preparing.cancel()
            await asyncio.gather(opened.preparing, return_exceptions=True)
            await opened.backend.close()


async def _told(ran: Ran, toolbox: Toolbox) -> Ran:
    said = await toolbox.execute(Call("send_message", {"text": ran.failure or ""}))
    refusal = ran.refusal if said.ok else said.text
    return Ran(ran.n_said + said.ok, refusal, ran.n_seen + said.ok, ran.failure)
