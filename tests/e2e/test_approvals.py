"""The owner is asked by direct message and answers from another implementation's client."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable

import docker
import pytest

from bot.operate.person import Message
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import approval, delivery
from relay_local.client import Delivery
from tests.e2e.conftest import Scene, a_scene

ASKED = "I asked the owner"


@pytest.fixture(scope="module")
async def scene(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Scene]:
    """An installation of their own: its bot gets other names."""
    async with a_scene(agent_image) as made:
        await profile(made, lambda _: True)  # its first
        yield made


async def question(scene: Scene, name: str) -> Message:
    """The owner has the agent ask for a profile; the question as the owner reads it. The present
    one is a second old then, so that what is asked for is newer, as NIP-01 judges it."""
    [present] = await profiles(scene)
    await asyncio.sleep(max(0.0, present.created_at + 1 - time.time()))
    content = json.dumps({"name": name})
    await scene.owner.say(scene.house.roles.bot, f"/sign 0 {content}")
    heard = [await scene.owner.hear(), await scene.owner.hear()]
    [asked] = [message for message in heard if message.text.startswith("❓")]
    assert any(message.text.startswith(ASKED) for message in heard)
    assert f"│ {content}" in asked.text
    return asked


async def profiles(scene: Scene) -> list[Event]:
    wanted = Filter(kinds=frozenset({0}), authors=frozenset({scene.house.roles.bot}))
    return await scene.own_client.fetch([wanted])


async def profile(scene: Scene, wanted: Callable[[str], bool]) -> Event:
    """The bot's profile under a wanted name, once it is on the local relay."""
    asked = Filter(kinds=frozenset({0}), authors=frozenset({scene.house.roles.bot}))
    async with asyncio.timeout(30), scene.own_client.subscribe([asked]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and wanted(json.loads(item.event.content)["name"]):
                return item.event
    raise AssertionError("the subscription ended")


async def carried(scene: Scene, event: Event) -> None:
    """Wait until the bridge has brought an event to the public relays."""
    wanted = Filter(kinds=frozenset({30_078}), tags={"d": frozenset({f"delivery/{event.id}"})})
    async with asyncio.timeout(30), scene.own_client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and delivery.parse(item.event).delivered:
                return


async def test_a_reaction_inside_a_wrap_publishes_the_profile(scene: Scene) -> None:
    asked = await question(scene, "Ada")
    assert all("Ada" not in event.content for event in await profiles(scene))
    await scene.owner.react(scene.house.roles.bot, asked.rumor_id, "✅")
    event = await profile(scene, "Ada".__eq__)
    event.verify()
    assert (await scene.owner.hear()).text.startswith("✅ Published, as you approved: kind 0")
    # The answer was nobody's work: no agent has answered it.
    assert scene.owner.unheard() == 0
    # The world reads it, at the public relays.
    await carried(scene, event)
    public = await scene.owner.fetch(kinds=[0], authors=[scene.house.roles.bot])
    assert event.id in {found["id"] for found in public}


async def test_words_inside_a_wrap_answer_too(scene: Scene) -> None:
    asked = await question(scene, "Bob")
    code = asked.text.splitlines()[-1].removeprefix("deny ")
    await scene.owner.say(scene.house.roles.bot, f"Deny {code}")
    assert (await scene.owner.hear()).text.startswith("❌ Not published, as you said no")
    await scene.owner.say(scene.house.roles.bot, f"approve {code}")
    assert "settled already" in (await scene.owner.hear()).text
    assert all("Bob" not in event.content for event in await profiles(scene))
    assert scene.owner.unheard() == 0


async def test_the_button_of_a_group_client_answers_too(scene: Scene) -> None:
    await question(scene, "Cleo")
    main = scene.house.roles.main
    wanted = Filter(kinds=frozenset({int(Kind.APPROVAL_ASKED)}), tags={"h": frozenset({main})})
    gates = [approval.parse_gate(event) for event in await scene.own_client.fetch([wanted])]
    [gate] = [gate for gate in gates if "Cleo" in gate.note]
    assert gate.approver == scene.owner.public_key
    template = approval.answer(scene.owner.public_key, gate.run, int(time.time()), yes=True)
    key = SecretKey(bytes.fromhex(scene.owner.keys.secret_key().to_hex()))
    answer = template.sign(key, secrets.token_bytes(32))
    ok = await scene.own_client.publish(answer, deadline_s=10)
    assert ok.accepted, ok.message
    event = await profile(scene, "Cleo".__eq__)
    assert event.id == gate.run
    assert (await scene.owner.hear()).text.startswith("✅ Published, as you approved: kind 0")
