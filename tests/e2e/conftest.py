"""A whole installation for end-to-end tests: real processes, a real image, real other clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import nostr_sdk as sdk
import pytest
from docker.models.containers import Container

from bot.__main__ import installation_name
from bot.engine.hardening import INSTALLATION_LABEL
from bot.operate.assembly import SOURCE_TREE
from bot.operate.house import House, house
from bot.operate.person import Person, person
from nips.key import SecretKey
from relay_local.client import Link, connect
from tests.command_line import nostrclaw

LAST_LINES = 60
LIMITS = {"wall_clock_s": 20, "memory_mib": 256, "folder_mib": 64}


@dataclass(frozen=True, slots=True)
class Scene:
    """A house, its owner as a NIP-17 client, and the owner's own client on the private relay."""

    house: House
    owner: Person
    own_client: Link

    async def ask(self, text: str, timeout_s: float = 60) -> str:
        """Say something as the owner and return the next message that comes back."""
        await self.owner.say(self.house.roles.bot, text)
        return await self.hear(timeout_s, f"an answer to {text!r}")

    async def hear(self, timeout_s: float = 60, what: str = "a message") -> str:
        """The next message that comes to the owner."""
        try:
            return (await self.owner.hear(timeout_s)).text
        except TimeoutError:
            last = self.house.log("bot").splitlines()[-LAST_LINES:]
            raise AssertionError(
                "\n".join([f"there was not {what} in {timeout_s:g} s:", *last])
            ) from None


def containers_of(client: docker.DockerClient, data: Path) -> list[Container]:
    """What an installation has in the engine, whether it runs or not. data: its folder."""
    label = f"{INSTALLATION_LABEL}={installation_name(data)}"
    return list(client.containers.list(all=True, filters={"label": label}))


async def cli(scene: Scene, *arguments: str) -> tuple[int, str]:
    """`nostrclaw …`: its exit status, and what it says."""
    return await nostrclaw(scene.house.place.data, *arguments)


@asynccontextmanager
async def a_scene(image: str, folder: Path | None = None, **given: Any) -> AsyncIterator[Scene]:
    """A house whose owner is named beforehand, and who is connected."""
    keys = sdk.Keys.generate()
    secret = SecretKey(bytes.fromhex(keys.secret_key().to_hex()))
    settings = {"agent": LIMITS} | given
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(
            house(
                image=image,
                engine_root=SOURCE_TREE / ".engine",
                owner=secret.public,
                folder=folder,
                **settings,
            )
        )
        owner = await stack.enter_async_context(person(there.public_relays, keys))
        link = await stack.enter_async_context(connect(f"ws://{there.listen}", [secret]))
        assert "owner" in (await owner.hear()).text  # the welcome
        yield Scene(there, owner, link)


@pytest.fixture(scope="session")
async def scene(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Scene]:
    """One installation shared by the tests that leave it as it was."""
    async with a_scene(agent_image) as made:
        yield made
