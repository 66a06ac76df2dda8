"""Real containers and a model of OpenAI's dialect, with the real model proxy between them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from time import time
from typing import Any

import docker
import pytest

from bot.backends import Backends, ConfiguredModel
from bot.engine.host import Engine
from nips.event import Event, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.backend_name import parse_all
from nips.own.model_scope import ModelScope
from tests.image.stage import Stage, a_stage
from tests.image.test_costs import Scene, job_of
from tests.image.with_models import with_models
from tests.provider import a_provider
from tests.unit.signer.models import API_KEY

SCOPE = ModelScope(("gpt", "ollama"), 100, 10_000_000, 10_000_000)
THERE = tuple(ConfiguredModel(name, "openai") for name in SCOPE.names)


def chosen(*backends: str) -> Backends:
    return Backends(parse_all(backends), THERE)


@pytest.fixture(scope="module")
async def scene(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str, tmp_path_factory: Any
) -> AsyncIterator[Scene]:
    log: Path = tmp_path_factory.mktemp("openai") / "api.log"
    async with (
        a_stage(engine, docker_client, agent_image) as stage,
        a_provider("tests.openai_api", log, API_KEY) as provider,
        with_models(stage, provider, "openai", SCOPE.names),
    ):
        yield Scene(stage, provider)


async def replies(stage: Stage, text: str) -> list[str]:
    """What the bot says to the owner's message, when its job has ended well."""
    message = await stage.say(text)
    await job_of(stage, message)
    return [reply.content for reply in await stage.replies(message)]


def prompts(scene: Scene) -> list[str]:
    """What the model was shown in the last request, message by message."""
    asked = [one["fields"] for one in scene.provider.seen() if "fields" in one]
    return [str(message["content"]) for message in asked[-1]["messages"]]


def bad(scene: Scene) -> list[dict[str, Any]]:
    return [one for one in scene.provider.seen() if "bad" in one]


async def test_a_conversation_with_a_tool_through_the_proxy(scene: Scene) -> None:
    stage = scene.stage
    await called(stage, "Carol")
    async with stage.router(models=SCOPE, backends=chosen()):
        text = "[[tool remember text=the cat is Mia]] [[then]] [[say I keep it]]"
        message = await stage.say(text)
        job = await job_of(stage, message)
        (reply,) = await stage.replies(message)
        assert (reply.content, reply.pubkey) == ("I keep it", stage.roles.bot)
        memory = stage.place.data / "groups/main/MEMORY.md"
        assert "the cat is Mia" in memory.read_text()

        # The next job is told of the first, by whom it was asked, and of what was remembered.
        (stage.place.data / "groups/main/CLAUDE.md").write_text("Be brief.\n")
        second = await say_after(reply, stage, "[[say good]]")
        await job_of(stage, second)
        assert [one.content for one in await stage.replies(second)] == ["good"]
        system, user = prompts(scene)
        assert "\n│ Be brief." in system
        assert "the cat is Mia" in system
        assert f'"Carol" (key {stage.owner.public[:8]}), the owner, message {message.id}' in user
        assert f", you, message {reply.id}:\n│ I keep it\n" in user
        assert user.endswith("\n│ [[say good]]")

        # Two questions of the first job are one cost, told once.
        cost = await scene.cost(job)
        assert cost["model"] == "gpt"
        assert cost["turn"]["outputTokens"] == 14
    told = [one for one in await scene.costs() if one["turnId"] == job]
    assert len(told) == 1
    assert bad(scene) == []
    assert all(one["has_key"] for one in scene.provider.seen() if "has_key" in one)


async def say_after(earlier: Event, stage: Stage, text: str) -> Event:
    """A message of the owner's that is later than another by the second that clients show."""
    at = max(int(time()), earlier.created_at + 1)
    made = Template(stage.owner.public, at, Kind.CHAT, (("h", stage.roles.main),), text)
    event = made.sign(stage.owner, bytes(32))
    ok = await stage.client.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
    return event


async def called(stage: Stage, name: str) -> None:
    """The owner's own client publishes their profile."""
    content = json.dumps({"name": name})
    made = Template(stage.owner.public, 1_700_000_000, Kind.PROFILE, (), content)
    ok = await stage.client.publish(made.sign(stage.owner, bytes(32)), deadline_s=10)
    assert ok.accepted, ok.message


async def test_a_limit_of_rate_is_waited_out(scene: Scene) -> None:
    stage = scene.stage
    async with stage.router(models=SCOPE, backends=chosen("openai:ollama")):
        assert await replies(stage, "[[429 2 0]] [[say at last]]") == ["at last"]
    assert bad(scene) == []


async def test_a_model_that_falls_silent_gives_way_to_the_next_backend(scene: Scene) -> None:
    stage = scene.stage
    async with stage.router(models=SCOPE, backends=chosen("openai:gpt", "openai:ollama")):
        message = await stage.say("[[stall]] [[then]] [[say never]]")
        lines = await progress(stage, await job_of(stage, message))
        (reply,) = await stage.replies(message)
    assert "The language model ollama gave no answer" in reply.content
    assert "was silent for 1 s" in reply.content
    assert any("openai could not: The language model gpt gave no answer" in one for one in lines)


async def progress(stage: Stage, job: str) -> list[str]:
    wanted = Filter(kinds=frozenset({int(Kind.JOB_PROGRESS)}), tags={"e": frozenset({job})})
    found: list[Event] = await stage.client.fetch([wanted])
    return [event.content for event in found]
