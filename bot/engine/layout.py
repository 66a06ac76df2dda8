"""Shell: where a private docker engine keeps its files; only their names, nothing is touched."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

# A Unix socket's path ends at 107 bytes; containerd's lies deepest below the run folder.
_LONGEST_SOCKET = "exec/containerd/containerd.sock.ttrpc"
_MAX_SOCKET_BYTES = 99


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a private engine keeps its things: `root` persists, `run` has short paths."""

    root: Path
    run: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "dockerd.log"

    @property
    def keep(self) -> Path:
        return self.root / "keep"

    @property
    def socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def pid_file(self) -> Path:
        return self.run / "dockerd.pid"

    @property
    def name(self) -> str:
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"


def layout(root: Path) -> Layout:
    """The layout below the absolute path `root`; if that is too long, the sockets lie in /run."""
    if len(os.fsencode(root / _LONGEST_SOCKET)) <= _MAX_SOCKET_BYTES:
        return Layout(root, root)
    return Layout(root, Path("/run") / f"nostrclaw-{Layout(root, root).name}")
