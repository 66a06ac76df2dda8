"""Whose the processes of a whole installation are, and that a new identity is one for all of it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import docker
import nostr_sdk as sdk
import pytest

from bot.operate import assembly
from bot.operate.assembly import SOURCE_TREE
from bot.operate.house import house
from bot.operate.person import person
from config import settings
from config.roles import load
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import encode_npub
from nips.own.roles import Roles
from relay_local.client import connect
from tests.e2e.conftest import LIMITS, Scene

ROOT = os.geteuid() == 0


def users_of(pid: int) -> set[int]:
    """Real, effective, saved and file system uid."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("Uid:"))
    return {int(uid) for uid in line.split()[1:]}


async def test_the_signer_is_a_user_of_its_own(scene: Scene) -> None:
    assert await scene.ask("/say whose are you?") == "whose are you?"
    users = {}
    for name in ("relay", "signer", "bot"):
        pid = scene.house.pid(name)
        assert pid is not None
        (users[name],) = users_of(pid)
    assert users["relay"] == users["bot"] == os.geteuid()
    place = scene.house.place
    owner = place.signer.stat()
    assert users["signer"] == owner.st_uid
    assert stat.S_IMODE(owner.st_mode) == 0o700
    assert (users["signer"] != users["bot"]) == ROOT
    said = "the signer is a user of its own" if ROOT else "stays the user it was started as"
    assert said in scene.house.log("signer")
    # Its way to the relay is open to it and closed to all others.
    own = place.signer_socket
    for path in (own.parent, own):
        assert path.stat().st_uid == users["signer"]
        assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(place.run.stat().st_mode) == 0o700


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For an installation that is stopped and started again."""
    return tmp_path_factory.mktemp("rotate")


async def key_command(action: str, data: Path, *options: str, **given: str) -> str:
    """Run `nostrclaw key ACTION`; each of `given` comes through a descriptor. What it printed."""
    argv = [sys.executable, "-m", "bot.cli", "key", action, "--data", str(data), *options]
    descriptors = []
    for name, text in given.items():
        reads, writes = os.pipe()
        os.write(writes, text.encode())
        os.close(writes)
        descriptors.append(reads)
        argv += [f"--{name.replace('_', '-')}", str(reads)]
    process = await asyncio.create_subprocess_exec(
        *argv, pass_fds=descriptors, cwd=SOURCE_TREE, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    for reads in descriptors:
        os.close(reads)
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return out.decode()


async def test_what_is_said_to_a_locked_signer_is_answered_once_it_is_unlocked(
    docker_client: docker.DockerClient, agent_image: str, folder: Path
) -> None:
    keys = sdk.Keys.generate()
    secret = SecretKey(bytes.fromhex(keys.secret_key().to_hex()))
    place = assembly.installation(folder / "data")
    await asyncio.to_thread(assembly.prepare, place, settings.load(place.data), secret.public)
    await key_command("passphrase", place.data, new_passphrase_fd="tulips")
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(
            house(
                image=agent_image, engine_root=SOURCE_TREE / ".engine", owner=secret.public,
                folder=folder, agent=LIMITS,
            )
        )  # fmt: skip
        owner = await stack.enter_async_context(person(there.public_relays, keys))
        await owner.say(there.roles.bot, "/say while you were locked")
        assert "the signer is locked" in there.log("signer")
        said = json.loads(await key_command("unlock", place.data, "--json", passphrase_fd="tulips"))
        assert said == {"locked": False}
        heard = [(await owner.hear(90)).text]
        while heard[-1] != "while you were locked":
            heard.append((await owner.hear(90)).text)
        assert heard.count("while you were locked") == 1


async def test_a_new_identity_is_one_for_the_whole_installation(
    docker_client: docker.DockerClient, agent_image: str, folder: Path
) -> None:
    keys = sdk.Keys.generate()
    secret = SecretKey(bytes.fromhex(keys.secret_key().to_hex()))
    place = assembly.installation(folder / "data")

    async def converse(text: str) -> Roles:
        async with AsyncExitStack() as stack:
            there = await stack.enter_async_context(
                house(
                    image=agent_image, engine_root=SOURCE_TREE / ".engine", owner=secret.public,
                    folder=folder, agent=LIMITS,
                )
            )  # fmt: skip
            owner = await stack.enter_async_context(person(there.public_relays, keys))
            await owner.say(there.roles.bot, f"/say {text}")
            heard = await owner.hear(90)
            while heard.text != text:
                heard = await owner.hear(90)
            assert heard.sender == there.roles.bot
            link = await stack.enter_async_context(connect(f"ws://{there.listen}", [secret]))
            members = Filter(
                kinds=frozenset({int(Kind.GROUP_MEMBERS)}),
                tags={"d": frozenset({there.roles.main})},
            )
            (roster,) = await link.fetch([members])
            assert there.roles.bot in roster.values("p")
            assert not set(there.roles.former) & set(roster.values("p"))
            return there.roles

    before = await converse("as the first")
    said = json.loads(await key_command("rotate", place.data, "--json"))
    after = load(place.roles_file)
    assert after.bot != before.bot
    assert after.former == (before.bot,)
    assert (said["npub"], said["before"]) == (encode_npub(after.bot), encode_npub(before.bot))
    assert (after.main, after.owner, after.router) == (before.main, before.owner, before.router)
    assert await converse("as the second") == after
