"""Who is answered in a group of several people, in a whole installation: calls, answers to the
assistant, members, other agents, a pause, quiet hours; each set by the owner's own commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from uuid import uuid4

import docker
import nostr_sdk as sdk
import pytest

from bot.operate.person import person
from nips import nip29
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import encode_npub
from nips.nip29 import Metadata
from relay_local.client import Delivery, Link, connect
from tests.e2e.conftest import Scene, a_scene

ENDS = ("✅", "❌", "🚫")


@dataclass(slots=True)
class Garden:
    """A group made by the owner's own client, with a member and another agent in it."""

    scene: Scene
    id: str
    owner: SecretKey
    links: dict[SecretKey, Link]
    member: SecretKey
    robot: SecretKey

    async def put(self, by: SecretKey, template: Template) -> Event:
        event = template.sign(by, token_bytes(32))
        ok = await self.links[by].publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    async def say(self, by: SecretKey, text: str, *tags: Tag, h: str | None = None) -> Event:
        every = (("h", h or self.id), ("nonce", token_bytes(4).hex()), *tags)
        return await self.put(by, Template(by.public, int(time.time()), Kind.CHAT, every, text))

    async def first(self, wanted: Filter) -> Event:
        async with asyncio.timeout(60), self.links[self.owner].subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    return item.event
        raise AssertionError("the stream ended")

    async def command(self, text: str) -> str:
        """A command of the owner's in main; the router's answer."""
        said = await self.say(self.owner, text, h=self.scene.house.roles.main)
        answer = await self.first(
            Filter(
                kinds=frozenset({int(Kind.CHAT)}),
                authors=frozenset({self.scene.house.roles.router}),
                tags={"q": frozenset({said.id})},
            )
        )
        assert answer.content.startswith("✅"), answer.content
        return answer.content

    async def dealt_with(self, message: Event) -> None:
        """Wait until a message is done, in a job of its own or handed to one."""
        wanted = Filter(
            kinds=frozenset({int(Kind.REACTION)}),
            authors=frozenset({self.scene.house.roles.router}),
            tags={"e": frozenset({message.id})},
        )
        async with asyncio.timeout(60), self.links[self.owner].subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and item.event.content in ENDS:
                    return
        raise AssertionError("the stream ended")

    async def answer(self, message: Event) -> Event:
        """What the assistant said to it."""
        return await self.first(
            Filter(
                kinds=frozenset({int(Kind.CHAT)}),
                authors=frozenset({self.scene.house.roles.bot}),
                tags={"q": frozenset({message.id})},
            )
        )

    async def heard(self, text: str) -> Event:
        """A message with this text, in whatever group of the owner's."""
        wanted = Filter(kinds=frozenset({int(Kind.CHAT)}))
        async with asyncio.timeout(60), self.links[self.owner].subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and item.event.content == text:
                    return item.event
        raise AssertionError("the stream ended")

    async def worked_on(self, *messages: Event, h: str | None = None) -> set[str]:
        """Which of these became work. A message of the owner's that calls comes last, so that all
        before it have been judged when it is done."""
        last = await self.say(self.owner, "@nostrclaw are you there?", h=h)
        await self.dealt_with(last)
        wanted = Filter(
            authors=frozenset({self.scene.house.roles.router}),
            kinds=frozenset({int(Kind.JOB_REQUEST), int(Kind.JOB_PROGRESS)}),
            tags={"h": frozenset({h or self.id})},
        )
        work = await self.links[self.owner].fetch([wanted])
        named = {value for event in work for name in ("e", "q") for value in event.values(name)}
        return {message.id for message in messages} & named


@pytest.fixture(scope="module")
async def garden(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Garden]:
    async with a_scene(agent_image) as scene, AsyncExitStack() as stack:
        owner = SecretKey(bytes.fromhex(scene.owner.keys.secret_key().to_hex()))
        keys = [owner, *(SecretKey.generate(token_bytes) for _ in range(2))]
        links = {
            key: await stack.enter_async_context(connect(f"ws://{scene.house.listen}", [key]))
            for key in keys
        }
        made = Garden(scene, str(uuid4()), owner, links, *keys[1:])
        now_s, me = int(time.time()), owner.public
        await made.put(owner, nip29.create_group(me, made.id, now_s))
        await made.put(owner, nip29.edit_metadata(me, made.id, Metadata("Garden"), now_s))
        people = {scene.house.roles.bot: "member", made.member.public: "member",
                  made.robot.public: "agent"}  # fmt: skip
        for key, role in people.items():
            await made.put(owner, nip29.put_user(me, made.id, key, (role,), now_s))
        yield made


async def test_it_answers_when_it_is_called(garden: Garden) -> None:
    aside = await garden.say(garden.owner, "the tomatoes are red")
    called = await garden.say(garden.owner, "Hey @NostrClaw, hello!")
    await garden.dealt_with(called)
    answered = await garden.answer(called)
    reply = await garden.say(garden.owner, "thank you", ("q", answered.id))
    await garden.dealt_with(reply)
    mention = await garden.say(garden.owner, "and you?", ("p", garden.scene.house.roles.bot))
    await garden.dealt_with(mention)
    near = await garden.say(garden.owner, "x@nostrclaw.example and @nostrclaws")
    assert await garden.worked_on(aside, called, reply, mention, near) == {
        called.id, reply.id, mention.id,
    }  # fmt: skip


async def test_members_call_it_where_the_owner_says_so(garden: Garden) -> None:
    before = await garden.say(garden.member, "@nostrclaw hello")
    assert not await garden.worked_on(before)
    await garden.command("/group Garden senders members")
    after = await garden.say(garden.member, "@nostrclaw hello again")
    await garden.dealt_with(after)
    # What was said before became no work of its own by the change.
    assert await garden.worked_on(before, after) == {after.id}


async def test_agents_call_it_three_times_without_a_person(garden: Garden) -> None:
    before = await garden.say(garden.robot, "@nostrclaw hello")
    assert not await garden.worked_on(before)
    await garden.command("/group Garden agents on")
    calls = []
    for _ in range(5):
        calls.append(await garden.say(garden.robot, "@nostrclaw hello"))
        if len(calls) <= 3:
            await garden.answer(calls[-1])
    assert await garden.worked_on(*calls) == {call.id for call in calls[:3]}
    # The owner has spoken in between: they may again.
    again = await garden.say(garden.robot, "@nostrclaw hello", ("L", "agent"))
    await garden.dealt_with(again)


async def test_while_it_is_paused_nobody_is_answered(garden: Garden) -> None:
    await garden.command("/pause Garden")
    paused = await garden.say(garden.owner, "@nostrclaw hello")
    await garden.command("/resume Garden")
    assert not await garden.worked_on(paused)


async def test_in_quiet_hours_others_wait_and_the_owner_does_not(garden: Garden) -> None:
    await garden.command("/group Garden senders members")
    now = datetime.now(UTC)
    start, end = now - timedelta(hours=1), now + timedelta(hours=2)
    await garden.command(f"/group Garden quiet {start:%H:%M}-{end:%H:%M} UTC")
    waiting = await garden.say(garden.member, "@nostrclaw hello")
    job = await garden.first(
        Filter(kinds=frozenset({int(Kind.JOB_REQUEST)}), tags={"e": frozenset({waiting.id})})
    )
    until = datetime.fromtimestamp(int(job.tag("not_before") or 0), UTC)
    assert until == end.replace(second=0, microsecond=0)
    owners = await garden.say(garden.owner, "@nostrclaw hello")
    await garden.dealt_with(owners)
    begun = Filter(kinds=frozenset({int(Kind.JOB_ACCEPTED)}), tags={"e": frozenset({job.id})})
    assert await garden.links[garden.owner].fetch([begun]) == []


async def test_who_is_muted_by_their_npub_is_muted_as_a_puppet(garden: Garden) -> None:
    """Attack: a bridged person writes under another key than the one that the owner muted."""
    house = garden.scene.house
    async with person(house.public_relays, sdk.Keys.generate()) as friend:
        npub = encode_npub(friend.public_key)
        await garden.command(f"/group new Friends trigger none with {npub}")
        await friend.say(house.roles.bot, "hello from far away")
        assert (await friend.hear()).text
        before = await garden.heard("hello from far away")
        friends = before.tag("h")
        await garden.command(f"/group Friends mute {npub}")
        await friend.say(house.roles.bot, "and now?")
        muted = await garden.heard("and now?")
        assert muted.pubkey == before.pubkey != friend.public_key
        assert await garden.worked_on(before, muted, h=friends) == {before.id}
        await garden.command(f"/group Friends unmute {npub}")
        await friend.say(house.roles.bot, "thank you")
        await garden.dealt_with(await garden.heard("thank you"))
