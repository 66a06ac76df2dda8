"""The whole path with real processes: a direct message becomes a container becomes a reply."""

from __future__ import annotations

from contextlib import AsyncExitStack

import docker

from bot.operate.assembly import SOURCE_TREE
from bot.operate.house import house
from bot.operate.person import person


async def test_first_light(docker_client: docker.DockerClient, agent_image: str) -> None:
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(
            house(image=agent_image, engine_root=SOURCE_TREE / ".engine")
        )
        bot = there.roles.bot
        owner = await stack.enter_async_context(person(there.public_relays))
        stranger = await stack.enter_async_context(person(there.public_relays))
        assert there.code is not None

        # Nobody owns it yet: nothing is routed, signed or run, whoever writes first.
        await stranger.say(bot, "hello?")
        await stranger.say(bot, "AAAA-AAAA")

        await owner.say(bot, there.code)
        assert "owner" in (await owner.hear()).text

        await owner.say(bot, "/say the first light 🌅")
        answer = await owner.hear()
        assert answer.sender == bot
        assert answer.text == "the first light 🌅"

        # The code is spent: a second person who learns it gets nothing.
        await stranger.say(bot, there.code)
        await owner.say(bot, "What can you do?")
        assert "No model is configured" in (await owner.hear()).text

        await owner.say(bot, '/sign 0 {"name":"Mallory"}')
        assert "kind 0" in (await owner.hear()).text
        profiles = await owner.fetch(kinds=[0], authors=[bot])
        assert all("Mallory" not in str(found["content"]) for found in profiles)

        assert await stranger.stored_wraps() == 0
        assert stranger.unheard() == 0
        assert owner.unheard() == 0
    left = docker_client.containers.list(all=True, filters={"label": "nostrclaw.installation"})
    assert not left
