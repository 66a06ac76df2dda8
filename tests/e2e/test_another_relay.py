"""The conversation on another relay too: one of another installation, which knows nothing of ours
and gives our parts no more than it gives any member of a group."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from secrets import token_bytes

import docker
import pytest

from bot.operate.house import free_ports
from nips import nip29
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip29 import GroupRole, Metadata
from relay_local.client import Delivery, Link, connect
from tests.e2e.conftest import Scene, a_scene
from tests.relay_process import RelayProcess, relay_process

KEEPER = SecretKey.generate(token_bytes)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The scene, the other relay, its keeper's link and the owner's own client there."""

    scene: Scene
    relay: RelayProcess
    keeper: Link
    owner: Link

    @property
    def main(self) -> str:
        return self.scene.house.roles.main

    async def keep(self, template: Template) -> None:
        ok = await self.keeper.publish(template.sign(KEEPER, token_bytes(32)), deadline_s=10)
        assert ok.accepted, ok.message

    async def join(self, key: str, role: GroupRole) -> None:
        """Its keeper lets somebody in."""
        now_s = int(time.time())
        await self.keep(nip29.put_user(KEEPER.public, self.main, key, [role], now_s))

    async def say(self, text: str) -> Event:
        """The owner says something in the group there."""
        key = owner_key(self.scene)
        tags = (("h", self.main),)
        event = Template(key.public, int(time.time()), Kind.CHAT, tags, text)
        signed = event.sign(key, token_bytes(32))
        ok = await self.owner.publish(signed, deadline_s=10)
        assert ok.accepted, ok.message
        return signed

    async def hear(self, text: str, timeout_s: float = 60, at: Link | None = None) -> Event:
        """Wait for a message of the bot's there, or at another relay."""
        wanted = Filter(
            kinds=frozenset({int(Kind.CHAT)}),
            authors=frozenset({self.scene.house.roles.bot}),
            tags={"h": frozenset({self.main})},
        )
        with suppress(TimeoutError):
            link = at or self.owner
            async with asyncio.timeout(timeout_s), link.subscribe([wanted]) as stream:
                async for item in stream:
                    if isinstance(item, Delivery) and item.event.content == text:
                        return item.event
        raise AssertionError(f"{text!r} did not come: {self.scene.house.log('bot')[-3000:]}")


def owner_key(scene: Scene) -> SecretKey:
    return SecretKey(bytes.fromhex(scene.owner.keys.secret_key().to_hex()))


async def said(scene: Scene, words: str, timeout_s: float = 60) -> None:
    """Wait until the supervisor has passed on a sentence of the bot's."""
    status, heard, until_s = scene.house.place.status_file, "", time.monotonic() + timeout_s
    while words not in heard:
        assert time.monotonic() < until_s, f"it said: {heard} {scene.house.log('bot')[-1500:]}"
        await asyncio.sleep(0.2)
        heard = str(json.loads(status.read_text())["programs"]["bot"].get("said"))


@pytest.fixture(scope="module")
async def elsewhere(
    docker_client: docker.DockerClient, agent_image: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Elsewhere]:
    """Started before its keeper has made the group there."""
    folder = tmp_path_factory.mktemp("other")
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(
            relay_process(folder, owner=KEEPER.public, port=free_ports(1)[0])
        )
        scene = await stack.enter_async_context(a_scene(agent_image, router_relay=relay.url))
        keeper = await stack.enter_async_context(connect(relay.url, [KEEPER]))
        owner = await stack.enter_async_context(connect(relay.url, [owner_key(scene)]))
        yield Elsewhere(scene, relay, keeper, owner)


async def test_what_cannot_be_safe_is_refused_in_a_sentence_until_it_is(
    elsewhere: Elsewhere,
) -> None:
    roles, now_s = elsewhere.scene.house.roles, int(time.time())
    await said(elsewhere.scene, "the group is not there")
    shut = Metadata("assistant", None, frozenset({"closed", "private"}))
    await elsewhere.keep(nip29.create_group(KEEPER.public, elsewhere.main, now_s))
    await elsewhere.keep(nip29.edit_metadata(KEEPER.public, elsewhere.main, shut, now_s + 1))
    await elsewhere.join(roles.router, GroupRole.MEMBER)
    await said(elsewhere.scene, f"the bot ({roles.bot}) must join it")
    await elsewhere.join(roles.bot, GroupRole.MEMBER)
    await elsewhere.join(owner_key(elsewhere.scene).public, GroupRole.MEMBER)
    await said(elsewhere.scene, "is on ws://", 90)


async def test_a_message_there_is_answered_there_by_the_bots_own_key(elsewhere: Elsewhere) -> None:
    asked = await elsewhere.say("/say there")
    reply = await elsewhere.hear("there")
    reply.verify()
    assert reply.values("q") == [asked.id], "both are the same events on both relays"
    inside = await elsewhere.scene.own_client.fetch([Filter(ids=frozenset({asked.id, reply.id}))])
    assert {event.id for event in inside} == {asked.id, reply.id}


async def test_only_the_conversation_is_there(elsewhere: Elsewhere) -> None:
    """Jobs, grants and requests stay at home: whoever keeps the other relay learns none of it."""
    await elsewhere.say("/say fence")
    await elsewhere.hear("fence")
    found = await elsewhere.keeper.fetch([Filter(limit=500)])
    assert {event.kind for event in found} <= {9, 7, 9_000, 9_002, 9_007, 39_000, 39_001, 39_002,
                                               39_003, 8_000, 13_534, 44_100, 44_101}  # fmt: skip


async def test_a_member_who_is_not_at_home_commands_nothing(elsewhere: Elsewhere) -> None:
    """Attack: the other relay's keeper lets in whom they like."""
    await elsewhere.join(KEEPER.public, GroupRole.ADMIN)
    tags = (("h", elsewhere.main),)
    event = Template(KEEPER.public, int(time.time()), Kind.CHAT, tags, "/say intruder")
    await elsewhere.keep(event)
    await elsewhere.say("/say after the intruder")
    await elsewhere.hear("after the intruder")
    inside = await elsewhere.scene.own_client.fetch([Filter(kinds=frozenset({9}))])
    assert [each for each in inside if each.content.removeprefix("/say ") == "intruder"] == []


async def test_what_was_said_while_either_was_away_is_answered_once(elsewhere: Elsewhere) -> None:
    scene = elsewhere.scene
    pid = scene.house.pid("bot")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await elsewhere.say("/say while the bot was away")
    await elsewhere.hear("while the bot was away", 90)
    await elsewhere.relay.end(signal.SIGKILL)
    await scene.owner.say(scene.house.roles.bot, "/say while the relay was away")
    await elsewhere.hear("while the relay was away", at=scene.own_client)  # at home it is said
    await elsewhere.relay.start()
    await elsewhere.hear("while the relay was away", 90)
    await elsewhere.say("/say last")
    await elsewhere.hear("last", 90)
    wanted = Filter(kinds=frozenset({9}), authors=frozenset({scene.house.roles.bot}), limit=500)
    there = [event.content for event in await elsewhere.owner.fetch([wanted])]
    inside = [event.content for event in await scene.own_client.fetch([wanted])]
    assert len(set(there)) == len(there)
    assert sorted(there) == sorted(set(inside))
