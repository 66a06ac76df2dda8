"""kill -9 of each process in the middle of a conversation: restarted, the reply arrives once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator

import docker
import pytest

from nips.filter import Filter
from nips.kinds import Kind
from relay_local.client import Caught, Delivery
from tests.e2e.conftest import Scene, a_scene

ROUNDS = int(os.environ.get("NOSTRCLAW_KILLS", "2"))
SEED = int(os.environ.get("NOSTRCLAW_SEED", "20261122"))
# The moments of a conversation that can be seen from outside, by the event that begins them.
MOMENTS = (Kind.CHAT, Kind.JOB_REQUEST, Kind.JOB_ACCEPTED, Kind.JOB_PROGRESS)


@pytest.fixture(scope="module")
async def mortal(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Scene]:
    """An installation of its own, whose processes are killed."""
    async with a_scene(agent_image) as made:
        yield made


async def seen(scene: Scene, kind: Kind, laid: asyncio.Event) -> None:
    """Wait until an event of this kind is new in the main group, as the owner's client sees it."""
    wanted = Filter(kinds=frozenset({int(kind)}), tags={"h": frozenset({scene.house.roles.main})})
    async with scene.own_client.subscribe([wanted]) as stream:
        async for item in stream:
            match item:
                case Caught():
                    laid.set()
                case Delivery() if laid.is_set():
                    return


@pytest.mark.parametrize("program", ["relay", "signer", "bot", "public-1"])
@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_the_reply_arrives_once(mortal: Scene, program: str, round_: int) -> None:
    chance = random.Random(f"{SEED}/{program}/{round_}")
    moment = chance.choice(MOMENTS)
    laid = asyncio.Event()
    waiting = asyncio.create_task(seen(mortal, moment, laid))
    await laid.wait()
    marker = f"{program}-{round_}-{chance.randrange(10**9)}"
    await mortal.owner.say(
        mortal.house.roles.bot, f"/run sleep 0.{chance.randrange(10)}; echo {marker}"
    )
    await asyncio.wait_for(waiting, 30)
    pid = mortal.house.pid(program)
    assert pid is not None, f"{program} is down before it was killed"
    os.kill(pid, signal.SIGKILL)

    assert marker in (await mortal.owner.hear(90)).text
    # Whatever a second delivery would be, it comes before the answer to the next message.
    fence = f"fence {marker}"
    heard: list[str] = []
    await mortal.owner.say(mortal.house.roles.bot, f"/say {fence}")
    while not heard or heard[-1] != fence:
        heard.append((await mortal.owner.hear(90)).text)
    assert [text for text in heard[:-1] if marker in text] == []
