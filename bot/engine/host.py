"""Shell: find a docker engine on this machine, or bring one up; stop only what was started.

In this order: the engine that DOCKER_HOST names; one that answers at a usual socket; an
installed one through the machine's service manager; as root, Debian's `docker.io`, installed
and said aloud, and a private engine of our own (`dockerd`). Where none can be had the answer is
EngineUnavailable with a remedy, never a weaker way to run agents.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import requests

from bot.engine import dockerd
from bot.engine.dockerd import EngineUnavailable
from bot.engine.layout import Layout, layout
from bot.operate import debian

__all__ = ["Engine", "EngineUnavailable", "close", "connect", "engine", "find", "of_machine"]

PROBE_TIMEOUT_S = 5
CALL_TIMEOUT_S = 120
SERVICE_TIMEOUT_S = 60
PACKAGE = "docker.io"


@dataclass(frozen=True, slots=True)
class Engine:
    """A docker engine that answered.

    `ours`: a private one, ended when its last user calls `close`; `pid` is then its process and
    `lease` an open file descriptor whose lock keeps it up. `rootless` and `remapped` say how
    the engine maps uids, which decides who may read what is bind-mounted.
    """

    url: str
    version: str
    ours: bool = False
    pid: int | None = None
    rootless: bool = False
    remapped: bool = False
    place: Layout | None = None
    lease: int | None = None


def find(data_root: Path, *, install: bool, announce: Callable[[str], None]) -> Engine:
    """The machine's engine, or a private one in `data_root`, which persists between runs.

    `install` allows Debian packages to be installed (NOSTRCLAW_NO_INSTALL=1 forbids it all the
    same); `announce` gets one plain line for everything that changes the machine and may not
    raise. Raises EngineUnavailable.
    """
    named = os.environ.get("DOCKER_HOST")
    if named:
        return _named(named)
    found = _usual(os.environ)
    if found is not None:
        return found
    if sys.platform != "linux":
        raise EngineUnavailable(
            "No docker engine answers on this machine, and macOS cannot run one by itself. "
            "Start Lima, Colima or OrbStack, then run this again."
        )
    if os.geteuid() != 0:
        raise EngineUnavailable(_unprivileged(os.environ))
    return _as_root(data_root, install=install, announce=announce)


def of_machine(environ: Mapping[str, str]) -> Engine | None:
    """The machine's own engine that answers now: nothing is installed, started or made private.

    Raises EngineUnavailable where DOCKER_HOST names one that does not answer.
    """
    named = environ.get("DOCKER_HOST")
    return _named(named) if named else _usual(environ)


def close(engine: Engine) -> None:
    """Let go of the engine: a private one ends with its last user, any other is left alone."""
    if engine.place is not None and engine.lease is not None:
        dockerd.leave(engine.place, engine.lease)


@contextlib.contextmanager
def engine(data_root: Path, *, install: bool, announce: Callable[[str], None]) -> Iterator[Engine]:
    """`find` … `close` around a block."""
    found = find(data_root, install=install, announce=announce)
    try:
        yield found
    finally:
        close(found)


def connect(engine: Engine, *, timeout_s: int = CALL_TIMEOUT_S) -> docker.DockerClient:
    """A client of the engine; the caller closes it."""
    return docker.DockerClient(base_url=engine.url, timeout=timeout_s)


def _named(url: str) -> Engine:
    # Folders and sockets are bind-mounted, which an engine on another machine cannot do.
    if not url.startswith("unix://"):
        raise EngineUnavailable(
            f"DOCKER_HOST names {url}, which is not on this machine's file system; agents work "
            "in folders of this machine. Name a unix:// socket, or unset DOCKER_HOST."
        )
    found = _answers(url)
    if found is None:
        raise EngineUnavailable(
            f"DOCKER_HOST names {url} and no engine answers there. "
            "Start that engine, or unset DOCKER_HOST."
        )
    return found


def _usual(environ: Mapping[str, str]) -> Engine | None:
    for socket in _usual_sockets(environ):
        if os.access(socket, os.R_OK | os.W_OK):
            found = _answers(f"unix://{socket}")
            if found is not None:
                return found
    return None


def _usual_sockets(environ: Mapping[str, str]) -> list[Path]:
    home = Path(environ.get("HOME") or "/nonexistent")
    runtime = environ.get("XDG_RUNTIME_DIR")
    return [
        Path("/var/run/docker.sock"),
        *([Path(runtime) / "docker.sock"] if runtime else []),
        home / ".docker/run/docker.sock",
        home / ".orbstack/run/docker.sock",
        home / ".colima/default/docker.sock",
        home / ".lima/docker/sock/docker.sock",
    ]


def _answers(url: str) -> Engine | None:
    try:
        client = docker.DockerClient(base_url=url, timeout=PROBE_TIMEOUT_S)
    except (docker.errors.DockerException, requests.RequestException):
        return None
    try:
        info = client.info()
    except (docker.errors.DockerException, requests.RequestException):
        return None
    finally:
        client.close()
    options = {part for text in info.get("SecurityOptions") or [] for part in text.split(",")}
    return Engine(
        url,
        version=str(info.get("ServerVersion", "")),
        rootless="name=rootless" in options,
        remapped="name=userns" in options,
    )


def _unprivileged(environ: Mapping[str, str]) -> str:
    closed = [s for s in _usual_sockets(environ) if s.exists()]
    if closed:
        return (
            f"There is a docker socket at {closed[0]}, but this user may not use it or its engine "
            "does not answer. Start the engine and join its group: sudo usermod -aG docker "
            "$USER, then log in again."
        )
    return (
        "No docker engine answers on this machine, and only root can install or start one. "
        "Install one once, rootless if you like: " + debian.command([PACKAGE])
    )


def _as_root(data_root: Path, *, install: bool, announce: Callable[[str], None]) -> Engine:
    if shutil.which("dockerd", path=dockerd.PATH) is None:
        if not (install and debian.may_install(os.environ)):
            raise EngineUnavailable(
                "No docker engine is installed and installing is not allowed here. "
                "Install one, then run this again: " + debian.command([PACKAGE])
            )
        try:
            debian.install([PACKAGE], why="agents run in containers", announce=announce)
        except debian.InstallFailed as failed:
            raise EngineUnavailable(str(failed)) from failed
    _ask_service_manager()
    found = _usual(os.environ)
    if found is not None:
        announce(f"using the machine's own docker engine ({found.url})")
        return found
    place = layout(data_root.absolute())
    pid, lease = dockerd.start(place, announce)
    answered = _answers(place.url)
    if answered is None:
        dockerd.leave(place, lease)
        raise EngineUnavailable(
            f"The private docker engine runs (process {pid}) and does not answer at {place.url}. "
            f"Read {place.log}, end that process, then run this again."
        )
    return Engine(place.url, version=answered.version, ours=True, pid=pid, place=place, lease=lease)


def _ask_service_manager() -> None:
    """Start the machine's own service, if its administrator lets services start.

    invoke-rc.d obeys policy-rc.d, which denies it in images and sandboxes; systemctl is asked
    only where systemd runs. A service so started belongs to the service manager and stays up.
    """
    if shutil.which("invoke-rc.d", path=dockerd.PATH):
        argv = ["invoke-rc.d", "--quiet", "docker", "start"]
    elif Path("/run/systemd/system").is_dir():
        argv = ["systemctl", "start", "docker"]
    else:
        return
    environment = {"PATH": dockerd.PATH}
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SERVICE_TIMEOUT_S,
            check=False,
        )
