"""What a container is given, read off the arguments: nothing of it may go missing unnoticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine.hardening import Mounts, Spec, create_arguments, missing_guards
from bot.engine.outcome import Limits

MOUNTS = Mounts(*(Path("/data") / name for name in ("group", "claude", "in", "out", "sockets")))
SPEC = Spec("ab" * 32, "cd" * 32, MOUNTS, Limits(), ("--signer", "ef" * 32))


def arguments(spec: Spec = SPEC, *, swap: bool = True):  # type: ignore[no-untyped-def]
    return create_arguments(spec, image="agent:1", installation="house", swap_is_accounted=swap)


def test_the_host_configuration_withholds_everything() -> None:
    _, host = arguments()
    wanted = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": "none",
        "ipc_mode": "none",
        "init": True,
        "mem_limit": 512 << 20,
        "memswap_limit": 512 << 20,
        "pids_limit": 128,
        "cpu_period": 1_000_000,
        "cpu_quota": 1_000_000,
    }
    assert {name: host[name] for name in wanted} == wanted
    assert host["log_config"]["Type"] == "none"
    ulimits = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["ulimits"]}
    assert ulimits == {"core": (0, 0), "nofile": (4096, 4096), "fsize": (512 << 20, 512 << 20)}
    for options in host["tmpfs"].values():
        assert {"nosuid", "nodev", "uid=1000", "gid=1000"} <= set(options.split(","))
        assert "size=" in options
    for absent in ("privileged", "cap_add", "devices", "pid_mode", "userns_mode", "binds"):
        assert absent not in host


def test_without_swap_accounting_the_engine_is_not_asked_for_it() -> None:
    assert "memswap_limit" not in arguments(swap=False)[1]


@pytest.mark.parametrize("project", [None, Path("/tree")])
def test_only_its_own_folders_are_mounted(project: Path | None) -> None:
    _, host = arguments(replace(SPEC, mounts=replace(MOUNTS, project=project)))
    seen = {(m["Target"], m["Source"], m["ReadOnly"]) for m in host["mounts"]}
    wanted = {
        ("/workspace/group", "/data/group", False),
        ("/home/agent/.claude", "/data/claude", False),
        ("/workspace/ipc/in", "/data/in", True),
        ("/workspace/ipc/out", "/data/out", False),
        ("/run/nanoclaw", "/data/sockets", True),
    }
    if project is not None:
        wanted.add(("/workspace/project", "/tree", True))
    assert seen == wanted
    assert {m["Type"] for m in host["mounts"]} == {"bind"}


def test_it_runs_as_nobody_with_labels_and_without_an_environment() -> None:
    config, _ = arguments()
    assert config["user"] == "1000:1000"
    assert config["labels"] == {"nostrclaw.installation": "house", "nostrclaw.job": "cd" * 32}
    assert config["command"] == ["--signer", "ef" * 32]
    assert "entrypoint" not in config
    assert "environment" not in config
    assert config["hostname"] == "agent"


def test_another_program_replaces_the_images() -> None:
    config, _ = arguments(replace(SPEC, command=("python3", "-c", "pass")))
    assert (config["entrypoint"], config["command"]) == (["python3"], ["-c", "pass"])


GOOD = {
    "MemoryLimit": True,
    "PidsLimit": True,
    "CpuCfsQuota": True,
    "SecurityOptions": ["name=seccomp,profile=default", "name=cgroupns"],
}


@pytest.mark.parametrize(
    ("info", "missing"),
    [
        (GOOD, []),
        (GOOD | {"SecurityOptions": ["name=rootless", "name=seccomp,profile=builtin"]}, []),
        (GOOD | {"SecurityOptions": ["name=seccomp,profile=unconfined"]}, ["seccomp"]),
        (GOOD | {"SecurityOptions": None}, ["seccomp"]),
        (GOOD | {"PidsLimit": False}, ["process limits"]),
        ({}, ["memory limits", "process limits", "CPU limits", "seccomp"]),
    ],
)
def test_an_engine_without_a_guard_is_found_out(info: dict[str, Any], missing: list[str]) -> None:
    assert missing_guards(info) == missing
