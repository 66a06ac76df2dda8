"""Shell: one created container: started, given its input, watched, ended, removed.

Its time counts from the start, or, where it waits for its job, from the moment that the job comes.

Its output is read by the event loop from the attach socket, so a flood costs one buffer; the
clock, the growth of its folders and its own end are waited for together, and the first decides.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import structlog

from bot.engine.folders import UnsafeFolder, measure
from bot.engine.hardening import Spec
from bot.engine.outcome import Exited, Killed, Outcome, Why
from bot.engine.output import Tail, Unframer

WATCH_PERIOD_S = 1.0
WAITING_WATCH_PERIOD_S = 20.0
RECEIVE_BYTES = 65_536
SLOWEST_CALL_S = 60

log = structlog.get_logger()
T = TypeVar("T")


class Engine(Protocol):
    """What a container asks of the engine; `bot.engine.sandbox.Sandbox` answers."""

    async def start(self, name: str) -> None:
        """Start it. Raises SandboxUnavailable."""

    async def exit(self, name: str, timeout_s: float) -> Exited | Killed:
        """Wait for the program's own end."""

    async def remove(self, name: str) -> None:
        """End and remove it, even when the caller is cancelled meanwhile."""

    async def in_thread(self, function: Callable[..., T], *args: object) -> T:
        """Run what would block the event loop."""


class Container:
    """A created container: `run` it once, or `discard` it. `spoke`: set when it has written
    something."""

    def __init__(
        self, engine: Engine, spec: Spec, name: str, stream: socket.socket, began_s: float
    ) -> None:
        self._engine, self._spec, self._name, self._stream = engine, spec, name, stream
        self.spoke = asyncio.Event()
        self._tail = Tail()
        self._was_run = False
        self._has_job = asyncio.Event()
        self._began_s = began_s
        self._times_s = {"create": time.monotonic() - began_s}

    async def discard(self) -> None:
        """Remove it without having started it; after `run` there is nothing left to remove."""
        if not self._was_run:
            hang_up(self._stream)
            await self._engine.remove(self._name)

    async def run(self, stdin: bytes) -> Outcome:
        """Start the program, give it `stdin` and then its end, and wait for the program's.

        Removed whatever happens; cancelling ends the program. Raises SandboxUnavailable when it
        does not start.
        """
        self._has_job.set()
        return await self.run_waiting(stdin)

    def begin(self) -> None:
        """The job of a waiting program has come: from now on it is held to its limits."""
        self._began_s = time.monotonic()
        self._times_s.clear()
        self._has_job.set()

    async def run_waiting(self, stdin: bytes) -> Outcome:
        """As `run`, but its time counts from `begin` on. Until then it does nobody's work: the
        caller ends one that has waited for long."""
        self._was_run = True
        try:
            await self._start()
            self._note("start")
            end = await self._ended(stdin)
        finally:
            hang_up(self._stream)
            await self._engine.remove(self._name)
        self._note("removed")
        log.info(
            "container ended",
            job=self._spec.job[:12],
            container=self._name[:12],
            end=f"exit {end.code}" if isinstance(end, Exited) else end.why.name.lower(),
            output_bytes=self._tail.total_bytes,
            **{f"{phase}_ms": round(at_s * 1000) for phase, at_s in self._times_s.items()},
        )
        return Outcome(end, self._tail.text, time.monotonic() - self._began_s)

    async def _start(self) -> None:
        starting = asyncio.ensure_future(self._engine.start(self._name))
        try:
            await asyncio.shield(starting)
        finally:
            # Cancelled meanwhile: an engine that removes what it is just starting may leave it.
            await asyncio.wait({starting})

    def _note(self, phase: str) -> None:
        self._times_s.setdefault(phase, time.monotonic() - self._began_s)

    async def _ended(self, stdin: bytes) -> Exited | Killed:
        watches = [
            asyncio.create_task(work)
            for work in (self._until_exit(stdin), self._until_too_big(), self._until_too_late())
        ]
        try:
            await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            return next(watch.result() for watch in watches if watch.done())
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _until_exit(self, stdin: bytes) -> Exited | Killed:
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # a program may end before it has read
            await loop.sock_sendall(self._stream, stdin)
            self._stream.shutdown(socket.SHUT_WR)
        unframer = Unframer()
        with suppress(ConnectionError):
            while data := await loop.sock_recv(self._stream, RECEIVE_BYTES):
                self._note("first_byte")
                if not self.spoke.is_set():
                    self._has_spoken()
                for part in unframer.feed(data):
                    self._tail.add(part)
                if self._tail.total_bytes > self._spec.limits.output_bytes:
                    return Killed(Why.OUTPUT)
        # No more output is not yet the end: a program may close its streams and go on.
        end = await self._engine.exit(self._name, self._spec.limits.wall_clock_s + SLOWEST_CALL_S)
        self._note("exit")
        return end

    def _has_spoken(self) -> None:
        self.spoke.set()
        if not self._has_job.is_set():
            made_ms = round((time.monotonic() - self._began_s) * 1000)
            log.info("spare waits", container=self._name[:12], made_ms=made_ms)

    async def _until_too_late(self) -> Killed:
        await self._has_job.wait()
        await asyncio.sleep(self._spec.limits.wall_clock_s)
        return Killed(Why.WALL_CLOCK)

    async def _until_too_big(self) -> Killed:
        while True:
            began_s = time.monotonic()
            if why := await self._engine.in_thread(_growth, self._spec):
                return Killed(why)
            # A large tree is walked more rarely: at most a tenth of one processor's time.
            pause_s = 9 * (time.monotonic() - began_s)
            if self._has_job.is_set():
                await asyncio.sleep(max(WATCH_PERIOD_S, pause_s))
            else:  # nobody asked a spare for anything: it is looked at now and then
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(WAITING_WATCH_PERIOD_S, pause_s)):
                        await self._has_job.wait()


def hang_up(stream: socket.socket) -> None:
    """Leave the attach stream.

    Attack: a program that floods its output. The engine would wait for ever to hand the flood
    to us before it removes the container; `close` alone leaves the SDK's descriptor open.
    """
    with suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)
    stream.close()


def _growth(spec: Spec) -> Why | None:
    left = spec.limits.folder_bytes
    for folder in spec.mounts.writable:
        try:
            space = os.statvfs(folder)
            usage = measure(folder, limit_bytes=left)
        except (UnsafeFolder, OSError):
            return Why.FOLDER
        if space.f_bavail * space.f_frsize < spec.limits.free_disk_bytes:
            return Why.DISK
        if usage.beyond is not None:
            log.warning("a container's folder", job=spec.job[:12], folder=usage.beyond)
            return Why.FOLDER
        left -= usage.allocated_bytes
    return None
