"""The whole path with real processes: a direct message becomes a container becomes a reply."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

import docker
import pytest

from agent_image import base_image, build
from bot.operate.assembly import SOURCE_TREE
from bot.operate.house import house
from bot.operate.person import person
from tests.e2e.conftest import containers_of
from tests.figures import figure

SUITES = {"as usual": "", "trixie": "trixie"}
CODENAME = "/run . /etc/os-release; echo $VERSION_CODENAME"


@pytest.fixture(params=list(SUITES)[: figure("trixie")])
def suite(request: pytest.FixtureRequest) -> str:
    """The Debian suite that the image must be made of, if it must be one."""
    return SUITES[request.param]


@pytest.fixture
def image(suite: str, docker_client: docker.DockerClient, announce: Callable[[str], None]) -> str:
    """The agent's image on that base."""
    chosen = None
    if suite:  # made here from its own packages, whatever a registry offers
        cache = build.PROJECT / ".engine"
        chosen = base_image._debian(docker_client, announce=announce, suite=suite, cache=cache)
    return build.ensure(docker_client, announce=announce, base=chosen)


async def test_first_light(docker_client: docker.DockerClient, image: str, suite: str) -> None:
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(
            house(image=image, engine_root=SOURCE_TREE / ".engine")
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
        assert "/allow" in (await owner.hear()).text
        await owner.say(bot, CODENAME)
        released = (await owner.hear()).text
        assert released.startswith("exit code 0\n")
        assert released.endswith(suite)
        await owner.say(bot, "What can you do?")
        assert "without a language model" in (await owner.hear()).text

        await owner.say(bot, '/sign 0 {"name":"Mallory"}')
        heard = {message.text[:11]: message for message in (await owner.hear(), await owner.hear())}
        assert set(heard) == {"I asked the", "❓ The agent"}
        await owner.react(bot, heard["❓ The agent"].rumor_id, "❌")
        assert "you said no" in (await owner.hear()).text
        profiles = await owner.fetch(kinds=[0], authors=[bot])
        assert all("Mallory" not in str(found["content"]) for found in profiles)

        assert await stranger.stored_wraps() == 0
        assert stranger.unheard() == 0
        assert owner.unheard() == 0
    assert containers_of(docker_client, there.place.data) == []
