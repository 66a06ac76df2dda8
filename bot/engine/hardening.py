"""Shell: what a container is given, as arguments to the docker SDK; everything else is withheld.

This file is the specification's "The container": whoever asks what an agent can reach reads it
here. Nothing in it is optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker.types

from bot.engine.outcome import Limits

INSTALLATION_LABEL = "nostrclaw.installation"
JOB_LABEL = "nostrclaw.job"
UID = 1000
# The longest that Linux takes. Of the usual tenth of a second a program with several threads uses
# up its share, and stands still while a person waits for it; within a second it may hurry.
CPU_PERIOD_US = 1_000_000


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
    """One container. The image's program gets `arguments`; `command` replaces it altogether.

    All of it can be read by whoever may use the engine: no secret goes here.
    """

    session: str
    job: str
    mounts: Mounts
    limits: Limits = field(default_factory=Limits)
    arguments: tuple[str, ...] = ()
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
        "cpu_period": CPU_PERIOD_US,
        "cpu_quota": int(limits.cpus * CPU_PERIOD_US),
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
    else:
        config["command"] = list(spec.arguments)
    return config, host


def missing_guards(info: Mapping[str, Any]) -> list[str]:
    """What an engine cannot hold an agent with. info: what it says of itself ("/info").

    An engine may be told to run containers without seccomp where they name no profile, and we
    name none, because the engine's own fits its kernel.
    """
    options = [set(option.split(",")) for option in info.get("SecurityOptions") or []]
    has_seccomp = any("name=seccomp" in o and "profile=unconfined" not in o for o in options)
    guards = {
        "memory limits": info.get("MemoryLimit"),
        "process limits": info.get("PidsLimit"),
        "CPU limits": info.get("CpuCfsQuota"),
        "seccomp": has_seccomp,
    }
    return [name for name, present in guards.items() if not present]
