"""Other makers' clients, each in a process of its own, and what they run on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.operate import debian
from tests.unit.signer.house import House
from tests.unit.signer.processes import Installation, installation, short_folder

HERE = Path(__file__).parent
NODE = HERE / "node"
CLIENT_WAIT_S = 60.0


@pytest.fixture
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """A running relay and signer."""
    folder = short_folder(tmp_path_factory.mktemp("i"))
    async with installation(folder, House()) as place:
        await place.start_relay()
        await place.start_signer()
        yield place


@pytest.fixture(scope="session")
def node(announce: Callable[[str], None]) -> str:
    """The node program, with the packages of node/package-lock.json beside the scripts."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        packages = ("nodejs", "npm")
        if not debian.may_install(os.environ):
            pytest.fail(f"These tests need node and npm: {debian.command(packages)}")
        debian.install(packages, why="nostr-tools, another maker's client", announce=announce)
    stamp = NODE / "node_modules" / ".lock-installed"
    lock = (NODE / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != lock:
        announce("npm ci: nostr-tools")
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=NODE, check=True, timeout=300, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        stamp.write_text(lock)
    found = shutil.which("node")
    assert found is not None
    return found


async def told_by(argv: Sequence[str], asked: dict[str, Any], cwd: Path) -> dict[str, Any]:
    """Run a client that reads one JSON object and prints one."""
    running = await asyncio.create_subprocess_exec(
        *argv, cwd=cwd,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(CLIENT_WAIT_S):
            out, err = await running.communicate(json.dumps(asked).encode())
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0, err.decode()[-2000:]
    told: dict[str, Any] = json.loads(out.decode().strip().splitlines()[-1])
    return told


async def nostr_sdk(asked: dict[str, Any]) -> dict[str, Any]:
    """What nostr-sdk's NostrConnect is told; in a process of its own because of how it ends."""
    argv = [sys.executable, str(HERE / "nostr_sdk_client.py")]
    return await told_by(argv, asked, HERE.parents[1])


async def nostr_tools(node: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What nostr-tools' BunkerSigner is told."""
    return await told_by([node, "login.mjs"], asked, NODE)
