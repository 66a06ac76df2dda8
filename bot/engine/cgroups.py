"""Shell: the kernel's cgroup controllers, which memory, process and CPU limits need.

A machine whose init is bare has nobody who mounts them, and without them a container would run
without limits or not at all.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids")
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class NotMounted(Exception):
    """The machine: a mount was refused; says which."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system to mount: its type, the folder, and the mount option."""

    kind: str
    target: Path
    option: str


def missing(mounts: str | None = None, known: str | None = None) -> list[Mount]:
    """What has to be mounted, in order; nothing where a version 1 or version 2 tree stands.

    `mounts` and `known` are the texts of /proc/self/mounts and /proc/cgroups.
    """
    mounts = Path("/proc/self/mounts").read_text("utf-8") if mounts is None else mounts
    known = Path("/proc/cgroups").read_text("ascii") if known is None else known
    at = {(kind, Path(target)) for _, target, kind, *_ in map(str.split, mounts.splitlines())}
    if ("cgroup2", ROOT) in at:
        return []
    # Name, hierarchy (0: free, which version 2 offers), …
    offered = dict(line.split()[:2] for line in known.splitlines() if not line.startswith("#"))
    present = {
        word
        for _, _, kind, options, *_ in map(str.split, mounts.splitlines())
        if kind == "cgroup"
        for word in options.split(",")
    }
    wanted = [name for name in CONTROLLERS if name in offered and name not in present]
    if not present.intersection(CONTROLLERS) and all(offered[name] == "0" for name in wanted):
        return [Mount("cgroup2", ROOT, "rw")]
    folder = [] if any(target == ROOT for _, target in at) else [Mount("tmpfs", ROOT, "mode=755")]
    return [*(folder if wanted else []), *(Mount("cgroup", ROOT / w, w) for w in wanted)]


def mount(mounts: list[Mount], announce: Callable[[str], None]) -> None:
    """Mount them, each said aloud; they last until the machine restarts. Raises NotMounted."""
    for item in mounts:
        announce(f"mounting {item.kind} at {item.target}, which is missing on this machine")
        item.target.mkdir(exist_ok=True)
        argv = ["mount", "-t", item.kind, "-o", item.option, item.kind, str(item.target)]
        done = subprocess.run(
            argv, env={"PATH": _PATH}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise NotMounted(done.stderr.strip() or f"{item.target} could not be mounted")
