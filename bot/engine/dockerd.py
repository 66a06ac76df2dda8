"""Shell: a private docker engine of our own, started and stopped as root.

Everything it has lies in one folder (`Layout`). Several callers share one engine: each holds
a shared lock (its lease) for as long as it lives, which the kernel drops even when the caller
is killed; whoever lets go last stops the engine. A file `keep` in the folder leaves it running.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from bot.engine import cgroups
from bot.engine.layout import Layout

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
MIN_FREE_BYTES = 1 << 30
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


class EngineUnavailable(Exception):
    """The user's machine has no engine to offer: one sentence why, one with the remedy."""


def start(place: Layout, announce: Callable[[str], None]) -> tuple[int, int]:
    """Join the engine of this folder, or start it: (its pid, the lease to give to `leave`).

    Raises EngineUnavailable where it cannot run here.
    """
    _own_folder(place.root)
    _own_folder(place.run)
    with _guard(place):
        lease = os.open(place.root / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lease, fcntl.LOCK_SH)
            pid = running(place)
            if pid is None:
                require(place)
                _limits(announce)
                announce(f"starting a private docker engine in {place.root}")
                pid = _spawn(place)
        except BaseException:
            os.close(lease)
            raise
    return pid, lease


def leave(place: Layout, lease: int) -> None:
    """Give the lease back; the last caller to leave stops the engine, unless `keep` is there."""
    with _guard(place):
        os.close(lease)
        if place.keep.exists():
            return
        with (place.root / "users").open("r+b") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else still works with it
            _stop(place)


def release(place: Layout) -> None:
    """Stop the engine of this folder if nobody uses it: its last user may have been killed."""
    if place.root.is_dir():
        leave(place, os.open(place.root / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def stop(place: Layout) -> bool:
    """Stop the engine of this folder whoever uses it (a person asked): was one running?"""
    if not place.root.is_dir():
        return False
    with _guard(place):
        place.keep.unlink(missing_ok=True)
        return _stop(place)


def running(place: Layout) -> int | None:
    """The pid of this folder's engine, or None.

    A pid file outlives a killed engine and its number is soon another process's: only a
    dockerd that was started with this very pid file counts.
    """
    try:
        pid = int(place.pid_file.read_text("ascii"))
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    is_ours = argv[0].endswith(b"dockerd") and f"--pidfile={place.pid_file}".encode() in argv
    return pid if is_ours else None


def require(place: Layout) -> None:
    """Refuse beforehand what would fail later with a riddle: capabilities, programs, space."""
    status = Path("/proc/self/status").read_text("ascii")
    effective = int(next(x for x in status.splitlines() if x.startswith("CapEff")).split()[1], 16)
    for bit, name in ((21, "CAP_SYS_ADMIN"), (12, "CAP_NET_ADMIN")):
        if not effective >> bit & 1:
            raise EngineUnavailable(
                f"A docker engine cannot run here: this process is root without {name}, as in an "
                "unprivileged container. Mount an engine's socket into it and name it in "
                "DOCKER_HOST, or start the container with --privileged."
            )
    for program in ("dockerd", "containerd", "runc"):
        if shutil.which(program, path=PATH) is None:
            raise EngineUnavailable(
                f"The docker engine's program {program} is not installed. "
                "Install it: sudo apt-get install docker.io"
            )
    free = shutil.disk_usage(place.root).free
    if free < MIN_FREE_BYTES:
        raise EngineUnavailable(
            f"The disk under {place.root} has {free >> 20} MiB left and a docker engine needs "
            f"{MIN_FREE_BYTES >> 20} MiB. Free some space there."
        )


def _limits(announce: Callable[[str], None]) -> None:
    try:
        cgroups.mount(cgroups.missing(), announce)
    except cgroups.NotMounted as failed:
        raise EngineUnavailable(
            f"Containers cannot be limited here: {failed}. Mount the cgroup file system as this "
            "machine's distribution describes, or name another engine's socket in DOCKER_HOST."
        ) from failed


def _spawn(place: Layout) -> int:
    for stale in (place.pid_file, place.run / "exec/containerd/containerd.pid", place.socket):
        stale.unlink(missing_ok=True)
    settings = place.root / "daemon.json"
    settings.write_text("{}\n", "ascii")  # the machine's own daemon.json is for its own engine
    argv = [
        "dockerd",
        f"--config-file={settings}",
        f"--data-root={place.data}",
        f"--exec-root={place.run / 'exec'}",
        f"--pidfile={place.pid_file}",
        f"--host={place.url}",
        "--group=0",
        f"--containerd-namespace=nostrclaw-{place.name}",
        f"--containerd-plugins-namespace=nostrclaw-{place.name}-plugins",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--shutdown-timeout=10",
        "--log-level=warn",
    ]
    program = shutil.which("dockerd", path=PATH) or "dockerd"
    environment = {k: v for k, v in os.environ.items() if k.upper() in _PASSED_ON}
    with _ready_socket(place) as ready:
        environment |= {"PATH": PATH, "NOTIFY_SOCKET": str(place.run / "ready")}
        # Its own session: Ctrl-C on our terminal must not end it before our containers are gone.
        pid = os.posix_spawn(program, argv, environment, setsid=True, file_actions=_io(place))
        outcome = _first(ready.fileno(), pid, START_TIMEOUT_S)
    if outcome == "ready":
        return pid
    if outcome == "late":
        _end(pid)
    raise EngineUnavailable(
        f"The private docker engine did not start ({outcome}): {_last_words(place.log)} "
        f"Read {place.log}; an engine of your own works too: name its socket in DOCKER_HOST."
    )


_FileAction = tuple[int, int, str, int, int] | tuple[int, int, int] | tuple[int, int]


def _io(place: Layout) -> list[_FileAction]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    # It outlives us: a lock or a passphrase that we were handed open would stay open in it.
    inherited = [int(one.name) for one in Path("/proc/self/fd").iterdir()]
    return [
        *((os.POSIX_SPAWN_CLOSE, number) for number in inherited if number > 2),
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(place.log), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]


@contextlib.contextmanager
def _ready_socket(place: Layout) -> Iterator[socket.socket]:
    """dockerd says READY=1 on this socket (sd_notify) as soon as it serves: no polling."""
    path = place.run / "ready"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(path))
        try:
            yield ready
        finally:
            path.unlink(missing_ok=True)


def _first(ready_fd: int, pid: int, timeout_s: float) -> str:
    """Which came first: `ready`, `ended` (the process exited) or `late` (the time limit)."""
    pid_fd = os.pidfd_open(pid)
    try:
        seen = {fd for fd, _ in _poll((ready_fd, pid_fd), timeout_s)}
    finally:
        os.close(pid_fd)
    if pid_fd in seen:
        os.waitpid(pid, 0)
        return "ended"
    return "ready" if ready_fd in seen else "late"


def _poll(fds: tuple[int, ...], timeout_s: float) -> list[tuple[int, int]]:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return poll.poll(timeout_s * 1000)


def _stop(place: Layout) -> bool:
    pid = running(place)
    if pid is not None:
        _end(pid)
    for left in (place.pid_file, place.socket):
        left.unlink(missing_ok=True)
    _unmount_below(place.data)
    return pid is not None


def _unmount_below(folder: Path) -> None:
    """A killed engine leaves mounts, and its folder could not be removed before a restart."""
    table = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines()
    for line in reversed(table):
        # The kernel writes a space, a tab, a newline and a backslash as octal numbers.
        target = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split()[1])
        if Path(target).is_relative_to(folder):
            argv = ["umount", "--lazy", target]
            subprocess.run(argv, env={"PATH": PATH}, check=False)


def _end(pid: int) -> None:
    """SIGTERM (it stops its containers itself), then SIGKILL; through a pidfd, so that the
    signal can never reach another process that was given the number meanwhile."""
    try:
        pid_fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pid_fd, number)
            if _poll((pid_fd,), STOP_TIMEOUT_S):
                break
    finally:
        os.close(pid_fd)
    with contextlib.suppress(ChildProcessError):  # a sibling's child is not ours to reap
        os.waitpid(pid, os.WNOHANG)


@contextlib.contextmanager
def _guard(place: Layout) -> Iterator[None]:
    """One caller at a time decides about starting and stopping."""
    fd = os.open(place.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _own_folder(path: Path) -> None:
    """A folder of mode 0700 that is ours.

    Attack: another user makes it first, in /tmp, and so owns the socket we hand our work to.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EngineUnavailable(
            f"{path} is not a folder of this user's, so nothing is trusted to it. "
            "Remove it or choose another folder."
        )
    path.chmod(0o700)


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing."
