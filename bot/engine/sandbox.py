"""Shell: one job's container: created hardened, given its key, watched, ended, removed.

The docker SDK is synchronous, so its calls run in threads; a container's output is read by the
event loop from the attach socket. Creation takes a third of a cold start and needs only folders
to exist: `prepare` may run while the grant is being published, `run` then starts the program.

What a container may do is the specification's "The container" and nothing is switched off where
an engine cannot do it: `check` refuses the engine.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import docker
import docker.errors
import docker.types
import requests
import structlog

from bot.engine.folders import UnsafeFolder, measure
from bot.engine.output import Tail, Unframer

INSTALLATION_LABEL = "nostrclaw.installation"
JOB_LABEL = "nostrclaw.job"
UID = 1000
WATCH_PERIOD_S = 1.0
RECEIVE_BYTES = 65_536
SLOWEST_CALL_S = 60
_ENGINE_ERRORS = (docker.errors.DockerException, requests.RequestException, OSError)

log = structlog.get_logger()
T = TypeVar("T")


class SandboxUnavailable(Exception):
    """The engine did not do what a job needs: one sentence why, one with the remedy."""


class Why(StrEnum):
    """Why a container was ended before its program ended by itself."""

    WALL_CLOCK = "it ran longer than it may"
    MEMORY = "it used more memory than it may"
    OUTPUT = "it wrote more output than it may"
    FOLDER = "its folders grew beyond their limit"
    DISK = "the disk is nearly full"
    STOPPED = "the assistant was stopped"
    ENGINE = "the container engine went away"


@dataclass(frozen=True, slots=True)
class Exited:
    """The program ended by itself."""

    code: int


@dataclass(frozen=True, slots=True)
class Killed:
    """The program was ended."""

    why: Why


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a container ended.

    output_tail: at most 8 KiB of what it wrote, sanitised; still an agent's words, so it may
    hold a person's text and is not for logs. duration_s: from creation on.
    """

    end: Exited | Killed
    output_tail: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What one container may use. `folder_bytes` counts all its writable folders together."""

    wall_clock_s: float = 600
    memory_bytes: int = 512 << 20
    pids: int = 128
    cpus: float = 1.0
    open_files: int = 4096
    file_bytes: int = 512 << 20
    folder_bytes: int = 1024 << 20
    output_bytes: int = 32 << 20
    tmp_bytes: int = 64 << 20
    home_bytes: int = 64 << 20
    free_disk_bytes: int = 128 << 20  # left to the machine, whatever a program hides from a walk


@dataclass(frozen=True, slots=True)
class Mounts:
    """The folders of this machine that a container sees, and nothing else of it.

    They exist beforehand (`bot.engine.folders`). `project` is for the main group alone.
    """

    group: Path
    claude_sessions: Path
    ipc_in: Path
    ipc_out: Path
    sockets: Path
    project: Path | None = None

    @property
    def writable(self) -> tuple[Path, ...]:
        """Those whose growth is watched."""
        return (self.group, self.claude_sessions, self.ipc_out)

    def targets(self) -> tuple[tuple[Path, str, bool], ...]:
        """(source, target, read-only) of each."""
        project = ((self.project, "/workspace/project", True),) if self.project else ()
        return (
            (self.group, "/workspace/group", False),
            (self.claude_sessions, "/home/agent/.claude", False),
            (self.ipc_in, "/workspace/ipc/in", True),
            (self.ipc_out, "/workspace/ipc/out", False),
            # A directory: a mounted socket file is dead after its server restarts.
            (self.sockets, "/run/nanoclaw", True),
            *project,
        )


@dataclass(frozen=True, slots=True)
class Spec:
    """One container. `command` replaces the image's program; None runs it."""

    session: str
    job: str
    mounts: Mounts
    limits: Limits = field(default_factory=Limits)
    command: tuple[str, ...] | None = None


def create_arguments(
    spec: Spec, *, image: str, installation: str, swap_is_accounted: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The container's configuration and its host configuration, as the SDK names them."""
    limits = spec.limits
    owner = f"uid={UID},gid={UID}"
    host: dict[str, Any] = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],  # the default seccomp profile stays in force
        "network_mode": "none",
        "ipc_mode": "none",
        "init": True,  # reaps what the program leaves behind; SIGKILL to it ends them all
        "mem_limit": limits.memory_bytes,
        "pids_limit": limits.pids,
        "nano_cpus": int(limits.cpus * 1_000_000_000),
        "oom_score_adj": 500,  # a machine short of memory ends a container before our processes
        "ulimits": [
            docker.types.Ulimit(name="core", soft=0, hard=0),
            docker.types.Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
            docker.types.Ulimit(name="fsize", soft=limits.file_bytes, hard=limits.file_bytes),
        ],
        "tmpfs": {
            "/tmp": f"nosuid,nodev,size={limits.tmp_bytes},{owner},mode=1777",  # noqa: S108
            "/home/agent": f"nosuid,nodev,size={limits.home_bytes},{owner},mode=0700",
        },
        # Docker keeps no copy of what a program writes: output is ours, bounded, or gone.
        "log_config": docker.types.LogConfig(type="none"),
        "mounts": [
            docker.types.Mount(target, str(source), type="bind", read_only=read_only)
            for source, target, read_only in spec.mounts.targets()
        ],
        # With no network the engine would still copy the host's resolver in.
        "dns": ["127.0.0.1"],
        "dns_search": ["."],
    }
    if swap_is_accounted:
        host["memswap_limit"] = limits.memory_bytes
    config: dict[str, Any] = {
        "image": image,
        "name": f"nostrclaw-{installation[:8]}-{spec.session[:16]}",
        "hostname": "agent",
        "user": f"{UID}:{UID}",
        "labels": {INSTALLATION_LABEL: installation, JOB_LABEL: spec.job},
        "stdin_open": True,
    }
    if spec.command is not None:
        config |= {"entrypoint": [spec.command[0]], "command": list(spec.command[1:])}
    return config, host


class Sandbox:
    """Runs containers of one image for one installation (a name of our own, for the labels)."""

    def __init__(
        self, client: docker.DockerClient, *, image: str, installation: str, at_once: int = 4
    ) -> None:
        self._api = client.api
        self._image, self._installation = image, installation
        self._threads = ThreadPoolExecutor(4 * at_once + 2, "engine")
        self._swap_is_accounted = False
        self._settling: set[asyncio.Task[None]] = set()
        self._unremoved: set[str] = set()

    async def check(self) -> None:
        """Raises SandboxUnavailable where the engine cannot hold an agent in its limits."""
        info = await self._call(self._api.info)
        missing = [
            name
            for name, present in (
                ("memory limits", info.get("MemoryLimit")),
                ("process limits", info.get("PidsLimit")),
                ("CPU limits", info.get("CpuCfsQuota")),
                ("seccomp", any("name=seccomp" in x for x in info.get("SecurityOptions") or [])),
            )
            if not present
        ]
        if missing:
            raise SandboxUnavailable(
                f"The container engine has no {', '.join(missing)}, so agents do not run in it. "
                "Give its user these cgroup controllers (rootless engines: systemd's Delegate=), "
                "or name another engine in DOCKER_HOST."
            )
        self._swap_is_accounted = bool(info.get("SwapLimit"))

    async def remove_leftovers(self) -> int:
        """End and remove every container of this installation: a killed predecessor's.

        Returns how many there were. Other installations' and other programs' are not touched.
        """
        label = f"{INSTALLATION_LABEL}={self._installation}"
        found = await self._call(self._api.containers, all=True, filters={"label": label})
        await asyncio.gather(*(self._remove(container["Id"]) for container in found))
        if found:
            log.info("leftover containers removed", count=len(found))
        return len(found)

    async def run(self, spec: Spec, stdin: bytes) -> Outcome:
        """`prepare` and run. Raises SandboxUnavailable."""
        return await (await self.prepare(spec)).run(stdin)

    async def prepare(self, spec: Spec) -> Container:
        """Create the container, not yet started; the caller runs or discards it.

        Raises SandboxUnavailable.
        """
        began_s = time.monotonic()
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
        """Wait for the removals under way; containers that still run are their callers'."""
        while self._settling:
            await asyncio.gather(*self._settling, return_exceptions=True)
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
        try:
            # Attached before the start, or the first bytes are lost.
            wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = self._api.attach_socket(name, params=wanted)
            with attached:
                stream = socket.socket(fileno=os.dup(attached.fileno()))
        except _ENGINE_ERRORS:
            self._api.remove_container(name, force=True, v=True)
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
            await self._call(self._api.remove_container, name, force=True, v=True)
        except SandboxUnavailable as error:
            match error.__cause__:
                case docker.errors.NotFound():
                    pass
                case docker.errors.APIError(status_code=409):
                    pass  # somebody else's removal of it is under way
                case _:
                    self._unremoved.add(name)  # the engine is away; tried again before the next
                    log.warning("container not removed", container=name[:12], reason=str(error))
                    return
        self._unremoved.discard(name)

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
                f"The agent's image {self._image} is not there. Build it: nostrclaw image"
            ) from error
        except _ENGINE_ERRORS as error:
            raise SandboxUnavailable(
                f"The container engine failed: {_sentence(error)} "
                "Look at the engine's log; `nostrclaw doctor` checks it."
            ) from error


class Container:
    """A created container: `run` it once, or `discard` it."""

    def __init__(
        self, sandbox: Sandbox, spec: Spec, name: str, stream: socket.socket, began_s: float
    ) -> None:
        self._sandbox, self._spec, self._name, self._stream = sandbox, spec, name, stream
        self._tail = Tail()
        self._began_s = began_s
        self._times_s = {"create": time.monotonic() - began_s}

    async def discard(self) -> None:
        """Remove it without having started it."""
        hang_up(self._stream)
        await self._sandbox.remove(self._name)

    async def run(self, stdin: bytes) -> Outcome:
        """Start the program, give it `stdin` and then its end, and wait for the program's.

        Removed whatever happens; cancelling ends the program. Raises SandboxUnavailable when it
        does not start.
        """
        try:
            await self._sandbox.start(self._name)
            self._note("start")
            end = await self._ended(stdin)
        finally:
            hang_up(self._stream)
            await self._sandbox.remove(self._name)
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
                for part in unframer.feed(data):
                    self._tail.add(part)
                if self._tail.total_bytes > self._spec.limits.output_bytes:
                    return Killed(Why.OUTPUT)
        # No more output is not yet the end: a program may close its streams and go on.
        end = await self._sandbox.exit(self._name, self._spec.limits.wall_clock_s + SLOWEST_CALL_S)
        self._note("exit")
        return end

    async def _until_too_late(self) -> Killed:
        await asyncio.sleep(self._spec.limits.wall_clock_s)
        return Killed(Why.WALL_CLOCK)

    async def _until_too_big(self) -> Killed:
        while True:
            began_s = time.monotonic()
            if why := await self._sandbox.in_thread(_growth, self._spec):
                return Killed(why)
            # A large tree is walked more rarely: at most a tenth of one processor's time.
            await asyncio.sleep(max(WATCH_PERIOD_S, 9 * (time.monotonic() - began_s)))


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


def _sentence(error: BaseException) -> str:
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return str(error.explanation).strip().rstrip(".") + "."
    return str(error).strip().rstrip(".") + "."
