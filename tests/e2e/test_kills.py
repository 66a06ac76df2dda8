"""kill -9 of each process in the middle of a conversation: restarted, the reply arrives once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable

import docker
import pytest

from nips.filter import Filter
from nips.kinds import Kind
from relay_local.client import Caught, Delivery
from tests.e2e.conftest import Scene, a_scene
from tests.e2e.rounds import rounds
from tests.figures import dice

Count = Callable[[str, object], None]
# The moments of a conversation that can be seen from outside, by the event that begins them.
MOMENTS = (Kind.CHAT, Kind.JOB_REQUEST, Kind.JOB_ACCEPTED, Kind.JOB_PROGRESS)


@pytest.fixture(scope="module")
async def mortal(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Scene]:
    """An installation of its own, whose processes are killed; another one every few rounds."""
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


@rounds("relay-kills")
async def test_a_killed_relay_costs_no_reply(
    mortal: Scene, round_: int, record_property: Count
) -> None:
    await the_reply_arrives_once(mortal, "relay", round_, record_property)


@rounds("signer-kills")
async def test_a_killed_signer_costs_no_reply(
    mortal: Scene, round_: int, record_property: Count
) -> None:
    await the_reply_arrives_once(mortal, "signer", round_, record_property)


@rounds("bot-kills")
async def test_a_killed_bot_costs_no_reply(
    mortal: Scene, round_: int, record_property: Count
) -> None:
    await the_reply_arrives_once(mortal, "bot", round_, record_property)


@rounds("public-relay-kills")
async def test_a_killed_public_relay_costs_no_reply(
    mortal: Scene, round_: int, record_property: Count
) -> None:
    await the_reply_arrives_once(mortal, "public-1", round_, record_property)


async def the_reply_arrives_once(
    scene: Scene, program: str, round_: int, record_property: Count
) -> None:
    """Kill the program at a moment drawn by dice while a message is worked on."""
    chance = dice("kills", program, round_)
    while (pid := scene.house.pid(program)) is None:  # a reply can outrun a start
        await asyncio.sleep(0.05)
    moment = chance.choice(MOMENTS)
    laid = asyncio.Event()
    waiting = asyncio.create_task(seen(scene, moment, laid))
    await laid.wait()
    marker = f"{program}-{round_}-{chance.randrange(10**9)}"
    await scene.owner.say(
        scene.house.roles.bot, f"/run sleep 0.{chance.randrange(10)}; echo {marker}"
    )
    await asyncio.wait_for(waiting, 30)
    os.kill(pid, signal.SIGKILL)

    assert marker in (await scene.owner.hear(90)).text
    # Whatever a second delivery would be, it comes before the answer to the next message.
    fence = f"fence {marker}"
    heard: list[str] = []
    await scene.owner.say(scene.house.roles.bot, f"/say {fence}")
    while not heard or heard[-1] != fence:
        heard.append((await scene.owner.hear(90)).text)
    assert [text for text in heard[:-1] if marker in text] == []
    record_property(f"killed at {moment.name}", 1)
    record_property("replies, each once", 2)


@rounds("request-kills")
async def test_a_killed_bot_does_what_an_agent_asked_of_it_once(
    mortal: Scene, round_: int, record_property: Count
) -> None:
    chance = dice("kills", "requests", round_)
    name, marker = f"room{round_}", f"word-{round_}-{chance.randrange(10**9)}"
    bot = mortal.house.roles.bot
    assert (await mortal.ask(f"/group new {name} trigger none", 90)).startswith("✅")
    while (pid := mortal.house.pid("bot")) is None:
        await asyncio.sleep(0.05)
    await mortal.owner.say(bot, f"/tell {name} {marker}")
    # From before the container has started to after it has ended.
    await asyncio.sleep(chance.uniform(0.0, 0.6))
    os.kill(pid, signal.SIGKILL)

    told = [await mortal.hear(90, "word of what was asked")]
    await mortal.owner.say(bot, f"/say fence {marker}")
    while told[-1] != f"fence {marker}":
        told.append(await mortal.hear(90, "the fence"))
    assert len(told) == 2, told
    said = await mortal.own_client.fetch([Filter(kinds=frozenset({int(Kind.CHAT)}), limit=500)])
    there = [event for event in said if event.content == marker]
    # Where it was not done, the owner was told that it was not.
    assert len(there) == 1 or (not there and told[0].startswith("I could not")), told
    record_property("asked for, done once", len(there))
