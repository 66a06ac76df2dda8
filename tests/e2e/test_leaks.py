"""The bot's key and its passphrase are looked for in a whole installation that converses: every
process, file, log and database of it, its containers and their image."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import suppress

import docker
import docker.errors
import pytest
from docker.models.containers import Container

from bot.__main__ import installation_name
from bot.engine.hardening import INSTALLATION_LABEL
from signer.keystore import Keystore
from tests import leaks
from tests.e2e.conftest import Scene
from tests.leaks import Needles

ROOT = os.geteuid() == 0


def needles_of(scene: Scene) -> Needles:
    """The bot's key and passphrase, which besides the signer only a test sees."""
    store = Keystore(scene.house.place.signer)
    (passphrase,) = store.kept()
    return Needles.of_key(store.open((passphrase,)).raw) | Needles.of_text("passphrase", passphrase)


def processes_of(scene: Scene, supervisor: int) -> Iterator[tuple[str, int]]:
    yield "supervisor", supervisor
    for name in ("relay", "signer", "bot"):
        pid = scene.house.pid(name)
        assert pid is not None
        yield name, pid


async def look_at_containers(scene: Scene, client: docker.DockerClient, needles: Needles) -> None:
    """What the engine shows of this installation's containers, and their processes' memory."""
    label = f"{INSTALLATION_LABEL}={installation_name(scene.house.place.data)}"
    looked_at = 0
    async with asyncio.timeout(30):
        while not looked_at:
            await asyncio.sleep(0.1)
            for container in client.containers.list(filters={"label": label}):
                with suppress(docker.errors.APIError):  # one of before that is ending
                    looked_at += look_at(container, needles)


def look_at(container: Container, needles: Needles) -> int:
    """How many processes were looked into, of a container at work; none of another."""
    assert needles.in_bytes(json.dumps(container.attrs).encode()) == []
    processes = container.top(ps_args="-o pid,args")["Processes"]
    if not any("sleep 8" in arguments for _, arguments in processes):
        return 0
    for pid, _ in processes:
        if ROOT:
            in_memory = leaks.in_memory(needles, int(pid))
            assert (in_memory.dumped, in_memory.kept) == ([], [])
            assert in_memory.read_bytes > 0
    return len(processes)


async def test_the_key_is_nowhere_in_a_whole_installation(
    scene: Scene, docker_client: docker.DockerClient, agent_image: str
) -> None:
    needles = needles_of(scene)
    place = scene.house.place
    # A container says what it sees of itself; another is looked at from outside while it runs.
    sees = "cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'; find /run /workspace -type f"
    shown = await scene.ask(f"/run {sees}")
    assert "exit code 0" in shown
    assert needles.in_bytes(shown.encode()) == []
    working = asyncio.create_task(scene.ask("/run sleep 8; echo slept"))
    await look_at_containers(scene, docker_client, needles)
    assert "slept" in await working

    found, read = leaks.in_arguments_and_environments(needles)
    assert found == set()
    assert read > 4
    supervisor = json.loads(place.status_file.read_text())["pid"]
    for name, pid in processes_of(scene, supervisor):
        if name == "signer" and not ROOT:
            with pytest.raises(PermissionError):
                leaks.in_memory(needles, pid)
            continue
        in_memory = leaks.in_memory(needles, pid)
        assert (in_memory.dumped, in_memory.kept) == ([], []), name
        assert in_memory.hidden == (name == "signer")

    beside = {f"{place.signer / 'passphrase'}: passphrase"}
    assert leaks.in_files(needles, place.data, place.run) == beside

    image = docker_client.images.get(agent_image)
    assert needles.in_bytes(json.dumps([image.attrs, image.history()]).encode()) == []
    assert needles.in_stream(image.save(chunk_size=8 << 20)) == set()
