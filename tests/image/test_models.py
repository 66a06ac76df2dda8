"""A program in a real container asks a language model through its own socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from bot.backends import ConfiguredModel
from bot.engine.host import Engine
from bot.operate import models
from nips.own.model_scope import ModelScope
from tests.image.stage import Stage, a_stage
from tests.image.with_models import with_models
from tests.provider import Provider, a_provider
from tests.unit.signer.models import API_KEY

SCOPE = ModelScope(("echo", "limited", "leaks", "stalls-later"), 100, 1_000_000, 1_000_000)
PROGRAM = """
import asyncio, json, sys, time
from agent_image.agent.model import Models, ModelRefused
from nips.key import SecretKey

async def main():
    key = SecretKey(bytes.fromhex(sys.stdin.readline().strip()))
    models = Models(key, time.time)
    said = lambda model, text: {"model": model, "max_tokens": 50,
                                "messages": [{"role": "user", "content": text}]}
    found = {"names": await models.names()}
    found["answer"] = await models.ask("/v1/messages", said("echo", "good morning"))
    words, times = [], []
    async for event in models.events("/v1/messages", said("echo", "word by word")):
        if event["type"] == "content_block_delta":
            words.append(event["delta"]["text"])
    found["words"] = words
    for model in ("limited", "leaks", "unknown", "stalls-later"):
        try:
            async for _ in models.events("/v1/messages", said(model, "one two")):
                pass
        except ModelRefused as error:
            found[model] = [error.status, error.sentence, error.retry_after_s]
    with open("/workspace/group/found.part", "w") as file:
        json.dump(found, file)
    import os
    os.rename("/workspace/group/found.part", "/workspace/group/found.json")

asyncio.run(main())
time.sleep(600)
"""


@dataclass
class Scene:
    stage: Stage
    provider: Provider


@pytest.fixture(scope="module")
async def scene(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str, tmp_path_factory: Any
) -> AsyncIterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("models")
    async with (
        a_stage(engine, docker_client, agent_image) as stage,
        a_provider("tests.model_provider", folder / "provider.log", API_KEY) as provider,
        with_models(stage, provider, "anthropic", SCOPE.names),
    ):
        assert await asyncio.to_thread(models.configured, stage.place.signer) == tuple(
            ConfiguredModel(name, "anthropic") for name in SCOPE.names
        )
        yield Scene(stage, provider)


async def test_a_container_uses_a_model_and_sees_no_key(scene: Scene) -> None:
    stage = scene.stage
    found = stage.place.data / "groups/main/found.json"
    async with stage.router(PROGRAM, models=SCOPE):
        message = await stage.say("go")
        await stage.begun(message)
        async with asyncio.timeout(40):
            while not found.exists():
                await asyncio.sleep(0.1)
        inspected = await asyncio.to_thread(look_at_containers, stage)
    told = json.loads(found.read_text())
    assert told["names"] == list(SCOPE.names)
    assert told["answer"]["content"] == [{"type": "text", "text": "good morning"}]
    assert told["words"] == ["word", "by", "word"]
    assert told["limited"] == [429, "slow", 7]
    assert told["leaks"][0] == 400
    assert told["unknown"][0] == 403
    assert "silent for 1 s" in told["stalls-later"][1]
    assert scene.provider.seen()[-1]["has_key"]

    assert API_KEY not in json.dumps(inspected)
    for path in [*stage.place.data.rglob("*"), *stage.place.run.rglob("*")]:
        if path.is_file():
            assert API_KEY.encode() not in path.read_bytes(), path


def look_at_containers(stage: Stage) -> list[Any]:
    """What the engine and the kernel show of them."""
    found: list[Any] = []
    for name in stage.containers():
        shown = stage.docker.api.inspect_container(name)
        found += [shown, stage.docker.api.top(name)]
        pid = shown["State"]["Pid"]
        for process in {str(pid), *children_of(pid)}:
            for file in ("environ", "cmdline"):
                found.append(Path(f"/proc/{process}/{file}").read_bytes().decode(errors="replace"))
    assert found
    return found


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
