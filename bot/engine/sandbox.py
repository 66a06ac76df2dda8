"""Shell: containers of one image, through the docker SDK.

The SDK is synchronous, so its calls run in threads. `prepare` needs only folders to exist, so a
container is created while its grant is being published; `run` then starts the program. Where an
engine cannot keep a limit, `check` refuses the engine: there is no weaker way to run agents.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import docker
import docker.errors
import requests
import structlog

from bot.engine.container import Container, hang_up
from bot.engine.hardening import INSTALLATION_LABEL, Spec, create_arguments, missing_guards
from bot.engine.outcome import Exited, Killed, Outcome, Why

_ENGINE_ERRORS = (docker.errors.DockerException, requests.RequestException, OSError)

PING_S = 0.5  # a person waits for it
REMOVAL_S = 10.0

log = structlog.get_logger()
T = TypeVar("T")


class SandboxUnavailable(Exception):
    """The engine did not do what a job needs: one sentence why, one with the remedy."""


class EngineAway(SandboxUnavailable):
    """The engine does not answer; whether it could hold an agent is not known yet."""


class Sandbox:
    """Runs containers of one image for one installation (a name of our own, for the labels)."""

    def __init__(
        self, client: docker.DockerClient, *, image: str, installation: str, at_once: int = 4
    ) -> None:
        self._api = client.api
        self._image, self._installation = image, installation
        self._threads = ThreadPoolExecutor(4 * at_once + 2, "engine")
        self._swap_is_accounted = False
        self._checking, self._is_checked = asyncio.Lock(), False
        self._settling: set[asyncio.Task[None]] = set()
        self._there: set[str] = set()  # containers of this process
        self._unremoved: set[str] = set()

    async def check(self) -> None:
        """Raises SandboxUnavailable where the engine cannot hold an agent in its limits."""
        info = await self._call(self._api.info)
        if missing := missing_guards(info):
            raise SandboxUnavailable(
                f"The container engine has no {', '.join(missing)}, so agents do not run in it. "
                "Give its user these cgroup controllers (rootless engines: systemd's Delegate=), "
                "or name another engine in DOCKER_HOST."
            )
        self._swap_is_accounted = bool(info.get("SwapLimit"))

    async def trouble(self) -> str | None:
        """Why no container could be started now; None where the engine answers."""
        try:
            async with asyncio.timeout(PING_S):
                await self._call(self._api.ping)
        except SandboxUnavailable as error:
            return str(error)
        except TimeoutError:
            return "The container engine is slow to answer. Read its log."
        return None

    async def away(self) -> str | None:
        """Why the engine does not answer; None where it does, however slowly or badly."""
        try:
            await self._call(self._api.ping)
        except EngineAway as error:
            return str(error)
        except SandboxUnavailable:
            return None  # an attempt finds out, and tells, what is wrong
        return None

    async def remove_leftovers(self) -> int:
        """End and remove every container of this installation: a killed predecessor's.

        Returns how many there were. Other installations' and other programs' are not touched.
        """
        label = f"{INSTALLATION_LABEL}={self._installation}"
        found = await self._call(self._api.containers, all=True, filters={"label": label})
        await asyncio.gather(*(self._remove(container["Id"]) for container in found))
        if found:
            log.info("leftover containers removed", count=len(found))
        self._is_checked = True
        return len(found)

    async def run(self, spec: Spec, stdin: bytes) -> Outcome:
        """`prepare` and run. Raises SandboxUnavailable."""
        return await (await self.prepare(spec)).run(stdin)

    async def prepare(self, spec: Spec) -> Container:
        """Create the container, not yet started; the caller runs or discards it.

        Raises SandboxUnavailable.
        """
        began_s = time.monotonic()
        async with self._checking:
            if not self._is_checked:  # it was away when it was to be
                await self.check()
                await self.remove_leftovers()
        for left in tuple(self._unremoved):
            await self._remove(left)
        creation = asyncio.ensure_future(self._call(self._create, spec))
        try:
            name, stream = await asyncio.shield(creation)
        except asyncio.CancelledError:
            self._tracked(self._discard(creation))
            raise
        return Container(self, spec, name, stream, began_s)

    async def close(self) -> None:
        """Wait for the removals under way, then remove what is left of this process's: nobody
        would watch it. A successor's may be there already."""
        while self._settling:
            await asyncio.wait(tuple(self._settling))
        if self._there and await self.away() is None:  # else the next start does it
            log.warning("containers are left at the stop", count=len(self._there))
            await asyncio.gather(*map(self._remove, tuple(self._there)))
        self._threads.shutdown(wait=False, cancel_futures=True)

    # For Container

    async def start(self, name: str) -> None:
        await self._call(self._api.start, name)

    async def exit(self, name: str, timeout_s: float) -> Exited | Killed:
        """Wait for the program's end; `timeout_s` only keeps a thread from waiting for ever."""
        try:
            answer = await self._call(self._api.wait, name, timeout=timeout_s)
            state = (await self._call(self._api.inspect_container, name))["State"]
        except SandboxUnavailable:
            return Killed(Why.ENGINE)
        code = int(answer["StatusCode"])
        # Where a child was ended for its memory, but the program went on, that was its affair.
        return Killed(Why.MEMORY) if state.get("OOMKilled") and code == 137 else Exited(code)

    async def remove(self, name: str) -> None:
        """End and remove, to the end even when the caller is cancelled meanwhile."""
        await asyncio.shield(self._tracked(self._remove(name)))

    async def in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    # The engine

    def _create(self, spec: Spec) -> tuple[str, socket.socket]:
        config, host = create_arguments(
            spec,
            image=self._image,
            installation=self._installation,
            swap_is_accounted=self._swap_is_accounted,
        )
        created = self._api.create_container(
            **config, host_config=self._api.create_host_config(**host)
        )
        name = str(created["Id"])
        self._there.add(name)
        try:
            # Attached before the start, or the first bytes are lost.
            wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = self._api.attach_socket(name, params=wanted)
            stream = socket.socket(fileno=os.dup(attached.fileno()))
            # The SDK ties response and socket together in a circle: closing only the socket
            # leaves a descriptor open until the garbage collector comes by.
            vars(attached).get("_response", attached).close()
        except BaseException:
            self._api.remove_container(name, force=True, v=True)
            self._there.discard(name)
            raise
        stream.setblocking(False)
        return name, stream

    async def _discard(self, creation: asyncio.Future[tuple[str, socket.socket]]) -> None:
        with suppress(SandboxUnavailable):
            name, stream = await creation
            hang_up(stream)
            await self._remove(name)

    async def _remove(self, name: str) -> None:
        try:
            await self._take_away(name)
        except SandboxUnavailable as error:
            if not isinstance(error.__cause__, docker.errors.NotFound):
                self._unremoved.add(name)  # the engine is away; tried again before the next
                log.warning("container not removed", container=name[:12], reason=str(error))
                return
        self._unremoved.discard(name)
        self._there.discard(name)

    async def _take_away(self, name: str) -> None:
        try:
            await self._call(self._api.remove_container, name, force=True, v=True)
        except SandboxUnavailable as error:
            match error.__cause__:
                case docker.errors.APIError(status_code=409):  # it is being removed already
                    await self._call(self._api.wait, name, timeout=REMOVAL_S, condition="removed")
                case _:
                    raise

    def _tracked(self, removal: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(removal)
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _call(self, function: Callable[..., T], *args: object, **options: object) -> T:
        try:
            return await self.in_thread(lambda: function(*args, **options))
        except docker.errors.ImageNotFound as error:
            raise SandboxUnavailable(
                f"The agent's image {self._image} is not there. `nostrclaw up` builds it."
            ) from error
        except requests.ConnectionError as error:
            raise EngineAway(
                "The container engine does not answer. Start it, or read its log."
            ) from error
        except _ENGINE_ERRORS as error:
            raise SandboxUnavailable(
                f"The container engine failed: {_sentence(error)} Read the engine's log."
            ) from error


def _sentence(error: BaseException) -> str:
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return str(error.explanation).strip().rstrip(".") + "."
    return str(error).strip().rstrip(".") + "."
