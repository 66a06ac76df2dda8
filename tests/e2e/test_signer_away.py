"""The signer stops, and is killed: what needs it waits both ways, and its owner is told of it."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import docker
import pytest

from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from relay_local.client import Delivery
from tests.e2e.conftest import Scene, a_scene
from tests.figures import figure

TOLD_WITHIN_S = 60


@pytest.fixture(scope="module")
async def bereft(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Scene]:
    """An installation of its own, whose signer goes away."""
    async with a_scene(agent_image) as made:
        yield made


async def in_main(scene: Scene, kind: Kind, words: str = "", timeout_s: float = 90) -> Event:
    """Wait for an event of main as the owner's own client on the private relay sees it."""
    wanted = Filter(kinds=frozenset({int(kind)}), tags={"h": frozenset({scene.house.roles.main})})
    async with asyncio.timeout(timeout_s), scene.own_client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and words in item.event.content:
                return item.event
    raise AssertionError("the stream ended")


def said_in_terminal(scene: Scene) -> str:
    state = json.loads(scene.house.place.status_file.read_text())["programs"]["bot"]
    return str(state.get("said", ""))


async def test_nothing_is_lost_while_the_signer_is_away(
    bereft: Scene, record_property: Callable[[str, object], None]
) -> None:
    n, house, owner = figure("signer-away"), bereft.house, bereft.owner
    bot = house.roles.bot
    # A run under way, whose time is over before the signer is back.
    running = asyncio.create_task(in_main(bereft, Kind.JOB_PROGRESS))
    await owner.say(bot, "/run sleep 3; echo nobody will sign this")
    await running
    pid = house.pid("signer")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    stopped_s = time.monotonic()

    # Inward: from outside, where the signer must open it, and typed in the owner's own client.
    for number in range(n):
        await owner.say(bot, f"/say from outside {number}")
    gone = await in_main(bereft, Kind.CHAT, "I cannot speak since")
    told_s = time.monotonic() - stopped_s
    assert told_s <= TOLD_WITHIN_S
    assert gone.pubkey == house.roles.router
    assert said_in_terminal(bereft) == gone.content
    await typed(bereft, "/say typed here")
    # Outward: the end of the run that could not speak waits to be sealed.
    failed = await in_main(bereft, Kind.CHAT, "I could not finish that")
    assert "did not answer until the time for it was over" in failed.content
    end = await in_main(bereft, Kind.JOB_ERROR)
    assert end.content == failed.content
    assert owner.unheard() == 0, "nothing could be sealed"

    os.kill(pid, signal.SIGKILL)  # a stopped process returns as another one
    killed_s = time.monotonic()
    back = await in_main(bereft, Kind.CHAT, "I can speak again")
    returned_s = time.monotonic() - killed_s
    assert returned_s <= TOLD_WITHIN_S

    expected = [f"from outside {number}" for number in range(n)]
    heard: list[str] = []
    while not {*expected, "typed here", back.content, failed.content} <= set(heard):
        heard.append((await owner.hear(120)).text)
    # Whatever a second delivery would be, it comes before the answer to what is said last.
    await owner.say(bot, "/say fence")
    while heard[-1] != "fence":
        heard.append((await owner.hear(90)).text)
    assert sorted(heard) == sorted(
        [*expected, "typed here", back.content, failed.content, "fence"]
    ), "each once; and that it was gone is not told when it is back"
    assert [text for text in heard if text in expected] == expected, "in the order of their arrival"
    record_property("messages in, each answered once", n + 1)
    record_property("seconds until told that it is gone", math.ceil(told_s))
    record_property("seconds until told that it is back", math.ceil(returned_s))


async def typed(scene: Scene, text: str) -> None:
    """The owner types in main, in their own client."""
    key = SecretKey(bytes.fromhex(scene.owner.keys.secret_key().to_hex()))
    tags = (("h", scene.house.roles.main),)
    event = Template(key.public, int(time.time()), Kind.CHAT, tags, text).sign(key, os.urandom(32))
    ok = await scene.own_client.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
