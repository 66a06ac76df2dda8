"""Shell: the spares: made in the background one after another, used once, ended when not needed.

`bot.engine.spare_rules` decides; what a spare is, its maker knows. Whatever goes wrong with one,
its group has none until its next job has ended: that job gets a container of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import structlog

from bot.engine.sandbox import SandboxUnavailable
from bot.engine.spare_rules import Bounds, Kept, Makeup, fits, plan

PERIOD_S = 5.0
MEMORY = Path("/proc/meminfo")

log = structlog.get_logger()


class Spare(Protocol):
    """A container that waits for a job of its group."""

    @property
    def makeup(self) -> Makeup:
        """What it was made of."""
        ...

    @property
    def made_s(self) -> float:
        """When, by the steady clock."""
        ...

    @property
    def is_alive(self) -> bool:
        """Say whether its program still runs."""
        ...

    async def end(self) -> None:
        """Remove it and take its authority away, even when the caller is cancelled meanwhile."""


S = TypeVar("S", bound=Spare)


class Unmade(Exception):
    """A spare could not be made; the message says why."""


class Spares(Generic[S]):
    """make: makes a spare; raises Unmade, SandboxUnavailable. makeup: what one of this group would
    be made of now; None where it may have none. available: bytes of memory, None where nobody
    knows."""

    def __init__(
        self,
        make: Callable[[Makeup], Awaitable[S]],
        makeup: Callable[[str], Makeup | None],
        bounds: Bounds,
        available: Callable[[], int | None],
    ) -> None:
        self._make, self._makeup, self._bounds = make, makeup, bounds
        self._available = available
        self._kept: dict[str, S] = {}
        self._used_s: dict[str, float] = {}
        self._making: tuple[str, asyncio.Task[S]] | None = None
        self._ending: dict[asyncio.Task[None], str] = {}
        self._changed = asyncio.Event()
        self._made = asyncio.Event()

    async def take(self, group: str) -> S | None:
        """The group's spare, which is the caller's now; None: there is none that may be used.

        One that is being made is waited for: it is there sooner than one begun now would be. The
        group gets no other before `used`.
        """
        making = self._making
        while making is not None and making[0] == group and self._making is making:
            await asyncio.wait({making[1]})
            await asyncio.sleep(0)  # until `_add` has it
        self._used_s.pop(group, None)
        spare = self._kept.pop(group, None)
        if spare is None or fits(_kept(spare), self._makeup(group), self._bounds, time.monotonic()):
            return spare
        self._end(spare)
        return None

    def has(self, group: str) -> bool:
        """Say whether the group has a spare, or is getting one."""
        return group in self._kept or (self._making is not None and self._making[0] == group)

    def used(self, group: str) -> None:
        """A job of the group has ended: it may want another soon."""
        if self._bounds.most:
            self._used_s[group] = time.monotonic()
            self._changed.set()

    def look(self) -> None:
        """Something that a spare is made of may have changed."""
        self._changed.set()

    async def ready(self, group: str) -> S:
        """Wait until the group has a spare, which stays here."""
        while (spare := self._kept.get(group)) is None or not spare.is_alive:
            self._made.clear()
            await self._made.wait()
        return spare

    async def drop(self, group: str) -> None:
        """End the group's spare, also one that is being made; none is there when this returns."""
        self._used_s.pop(group, None)
        while self._making is not None and self._making[0] == group:
            making = self._making[1]
            making.cancel()
            await asyncio.wait({making})
            await asyncio.sleep(0)  # made already: `_add` ends it, as its group is in use no more
        if (spare := self._kept.pop(group, None)) is not None:
            self._end(spare)
        await self._until_ended(task for task, of in self._ending.items() if of == group)

    async def serve(self) -> None:
        """Make and end spares until cancelled; then all are ended."""
        if not self._bounds.most:
            return
        try:
            while True:
                self._changed.clear()
                if not await self._step():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(PERIOD_S):
                            await self._changed.wait()
        finally:
            for group in tuple(self._kept):
                self._end(self._kept.pop(group))
            await self._until_ended(self._ending)

    async def _step(self) -> bool:
        """One look; says whether another is due at once."""
        now_s = time.monotonic()
        found = {group: self._makeup(group) for group in (*self._used_s, *self._kept)}
        wanted = {group: makeup for group, makeup in found.items() if makeup is not None}
        for group, spare in self._kept.items():
            if not spare.is_alive:
                self._used_s.pop(group, None)  # whatever ended it would end the next one
        decided = plan(
            map(_kept, self._kept.values()),
            self._used_s,
            wanted,
            self._bounds,
            self._available(),
            now_s,
        )
        for group in decided.end:
            self._end(self._kept.pop(group))
        if decided.end:
            await self._until_ended(self._ending)
            return True
        if decided.make is not None:
            await self._add(decided.make)
        return decided.make is not None

    async def _add(self, makeup: Makeup) -> None:
        making = asyncio.ensure_future(self._make(makeup))
        assert isinstance(making, asyncio.Task)
        self._making = makeup.group, making
        try:
            await asyncio.wait({making})
        except asyncio.CancelledError:
            making.cancel()
            await asyncio.wait({making})
            if not making.cancelled() and making.exception() is None:
                self._end(making.result())  # made in the very moment: nobody else knows of it
            raise
        finally:
            self._making = None
        if making.cancelled():
            return
        try:
            spare = making.result()
        except (Unmade, SandboxUnavailable) as error:
            log.warning("no spare", group=makeup.group, reason=str(error))
            self._used_s.pop(makeup.group, None)
            return
        if makeup.group in self._used_s:
            self._kept[makeup.group] = spare
            self._made.set()
        else:  # a job of its group has begun meanwhile, without it
            self._end(spare)

    def _end(self, spare: S) -> None:
        task = asyncio.create_task(spare.end())
        self._ending[task] = spare.makeup.group
        task.add_done_callback(self._has_ended)

    def _has_ended(self, ending: asyncio.Task[None]) -> None:
        group = self._ending.pop(ending)
        if not ending.cancelled() and (error := ending.exception()) is not None:
            log.error("spare not ended", group=group, exc_info=error)

    async def _until_ended(self, ending: Iterable[asyncio.Task[None]]) -> None:
        """Wait for them; they go on to their ends also when the caller is cancelled meanwhile."""
        if waited_for := tuple(ending):
            await asyncio.wait(waited_for)


def _kept(spare: Spare) -> Kept:
    return Kept(spare.makeup, spare.made_s, spare.is_alive)


def available_memory(lines: Iterable[str] | None = None) -> int | None:
    """The bytes that programs can still have, as Linux says it; None on another system."""
    if lines is None:
        try:
            lines = MEMORY.read_text("ascii").splitlines()
        except OSError:
            return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
