"""The owner's commands in a whole installation: as direct messages, in main with a client of their
own, at the terminal, on the command line; and what the agent is told goes on to the agent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import docker
import nostr_sdk as sdk
import pytest

from bot.operate.person import Person, person
from tests.e2e.conftest import LIMITS, Scene, a_scene, cli

ANSWER_S = 1.0


@pytest.fixture(scope="module")
async def scene(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Scene]:
    """An installation of its own: these tests make groups, and count them."""
    async with a_scene(agent_image, agent=LIMITS | {"jobs_at_once": 1, "wall_clock_s": 90}) as made:
        yield made


@asynccontextmanager
async def own_client(scene: Scene) -> AsyncIterator[Person]:
    """The owner's key in another implementation's client, on the private relay (NIP-29, 42)."""
    url = f"ws://{scene.house.listen}"
    async with person((url,), scene.owner.keys, inbox=False) as made:
        yield made


async def ask_there(scene: Scene, client: Person, text: str) -> str:
    """Write in main with that client, and read the answer there."""
    main = scene.house.roles.main
    said = await client.publish(9, text, [sdk.Tag.parse(["h", main])])
    async with asyncio.timeout(30):
        while True:
            found = await client.fetch(
                kinds=[9], authors=[scene.house.roles.router], **{"#q": [said.id().to_hex()]}
            )
            if found:
                return str(found[0]["content"])
            await asyncio.sleep(0.05)  # the client asks; it is not told


async def ask_until(scene: Scene, text: str, words: str) -> str:
    """Ask again until the answer holds these words."""
    async with asyncio.timeout(60):
        while words not in (answer := await scene.ask(text)):
            pass
    return answer


async def test_by_direct_message(scene: Scene) -> None:
    assert (await scene.ask("/status")).startswith("✅ nostrclaw is well")
    assert "Did you mean /groups?" in await scene.ask("/gruops")
    # What changes rights has the signer's order, or it would be refused.
    assert await scene.ask("/group new Family trigger none") == (
        "✅ Made family. Every message there wakes me."
    )
    assert "Family" in await scene.ask("/groups")
    assert "50 runs" in await scene.ask("/budget Family runs 50")
    assert "Deleted family." in await scene.ask("/group family delete")
    assert "Family" not in await scene.ask("/groups")


async def test_in_main_by_another_implementations_client(scene: Scene) -> None:
    async with own_client(scene) as client:
        assert "Groups: " in await ask_there(scene, client, "/status")
        assert "Made garden." in await ask_there(scene, client, "/group new Garden")
        assert "A day's limits: none" in await ask_there(scene, client, "/group garden")
        assert "Deleted garden." in await ask_there(scene, client, "/group garden delete wipe")
    # Read where it was asked, and nowhere else.
    assert scene.owner.unheard() == 0


async def test_the_terminal_talks_and_changes_nothing(scene: Scene) -> None:
    status, said = await cli(scene, "chat", "/groups")
    assert (status, said.startswith("✅ ")) == (0, True)
    for text in ("/group new Mine", "/pause", "/persona name Mine", "/allow kmpqrs"):
        status, said = await cli(scene, "chat", text)
        assert said.startswith("❌ This changes rights"), said
    assert "mine" not in (await scene.ask("/groups")).lower()
    assert "nostrclaw" in await scene.ask("/persona")


async def test_the_command_line_is_the_owner(scene: Scene) -> None:
    status, said = await cli(scene, "do", "/status", "--json")
    answer = json.loads(said)
    assert (status, answer["ok"], answer["data"]["signer"]) == (0, True, True)
    status, said = await cli(scene, "group", "new", "Our house", "--trigger", "none")
    assert (status, said) == (0, "✅ Made our-house. Every message there wakes me.\n")
    status, said = await cli(scene, "group", "list", "--json")
    assert "our-house" in {group["folder"] for group in json.loads(said)["data"]}
    status, said = await cli(scene, "group", "delete", "Our house")
    assert (status, said.startswith("✅ Deleted our-house.")) == (0, True)


async def test_the_agents_own_commands_go_on_to_the_agent(scene: Scene) -> None:
    assert await scene.ask("/say /status is a command") == "/status is a command"
    assert "bin" in await scene.ask("/run ls /")
    run = (await scene.ask("/runs 1")).splitlines()[1].split()[1]
    # Its container ends after it has answered.
    shown = await ask_until(scene, f"/run {run}", "done ✅")
    assert "by you" in shown
    # Its own, or the one before it, when it was handed to that one's run.
    assert re.search("What: “/(run ls /|say /status is a command)”", shown)
    assert "Attempts: 1" in shown


async def test_while_every_place_is_busy_and_then_stopped(scene: Scene) -> None:
    async with asyncio.timeout(60):  # a run that ends would be handed what comes
        while "👀" in await scene.ask("/runs 3"):
            pass
    await scene.owner.say(scene.house.roles.bot, "/run sleep 55; echo too late")
    await ask_until(scene, "/runs 2", "👀")
    took_s = []
    for text in ("/status", "/runs", "/stop"):  # within the 55 seconds
        began = time.monotonic()
        status, said = await cli(scene, "do", text, "--json")
        assert status == 0
        took_s.append(time.monotonic() - began)
        assert json.loads(said)["ok"]
    assert "1 at work" not in await scene.ask("/status")
    assert "🚫" in await scene.ask("/runs 1")
    assert max(took_s) < 15
    # It said nothing any more.
    assert await scene.ask("/say still here") == "still here"


async def test_while_main_is_paused(scene: Scene) -> None:
    assert (await scene.ask("/pause")).startswith("✅ Paused everywhere.")
    await scene.owner.say(scene.house.roles.bot, "/say not now")
    assert "1 paused" in await scene.ask("/status")
    assert (await scene.ask("/resume")).startswith("✅ At work again")
    assert await scene.ask("/say now") == "now"


async def test_what_was_left_alone_stays_so_when_the_bot_is_killed_after_the_rules_changed(
    scene: Scene,
) -> None:
    assert (await scene.ask("/pause")).startswith("✅")
    await scene.owner.say(scene.house.roles.bot, "/say while paused")
    assert (await scene.ask("/resume")).startswith("✅")
    pid = scene.house.pid("bot")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert await scene.ask("/say again", 90) == "again"
    assert scene.owner.unheard() == 0


async def test_a_killed_bot_carries_a_command_out_once(scene: Scene) -> None:
    for number in range(5):
        name = f"once{number}"
        await scene.owner.say(scene.house.roles.bot, f"/group new {name} trigger none")
        await asyncio.sleep(0.04 * number)
        pid = scene.house.pid("bot")
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        assert (await scene.hear(90)).startswith(f"✅ Made {name}.")
    shown = await scene.ask("/groups")
    assert [line for line in shown.splitlines() if line.startswith("once")] == [
        f"once{number}" for number in range(5)
    ]
    assert scene.owner.unheard() == 0
