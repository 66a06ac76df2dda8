"""What runs in real containers cost: told to the owner, and never more than a day's budget."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import nostr_sdk as sdk
import pytest

from bot.budgets import Budgets
from bot.engine.host import Engine
from nips.event import Event, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.binding import Budget
from nips.own.model_scope import ModelScope
from relay_local.client import Delivery
from tests.figures import dice, figure
from tests.image.stage import Stage, a_stage
from tests.image.with_models import with_models
from tests.provider import Provider, a_provider
from tests.unit.signer.models import API_KEY

SCOPE = ModelScope(("echo",), 100, 1_000_000, 1_000_000)
# It asks a model so often, notes the answers, and then is the agent: it answers and says `done`.
PROGRAM = """
import asyncio, json, os, sys, time
from agent_image.agent.model import Models, ModelRefused
from nips.key import SecretKey

async def main(key):
    models = Models(key, time.time)
    found = []
    for n in range({calls}):
        try:
            answer = await models.ask("/v1/messages", {{
                "model": "echo", "max_tokens": 50,
                "messages": [{{"role": "user", "content": "good morning"}}]}})
            found.append("answered")
        except ModelRefused as error:
            found.append(error.sentence)
    with open("/workspace/group/found.json", "w") as file:
        json.dump(found, file)

line = sys.stdin.readline()
asyncio.run(main(SecretKey(bytes.fromhex(line.strip()))))
reads, writes = os.pipe()
os.write(writes, line.encode())
os.close(writes)
os.dup2(reads, 0)
os.execv(sys.executable, [sys.executable, "-m", "agent_image.agent", "--signer", "{signer}"])
"""


@dataclass
class Scene:
    stage: Stage
    provider: Provider

    def program(self, calls: int) -> str:
        return PROGRAM.format(calls=calls, signer=self.stage.roles.signer)

    def found(self, folder: str = "main") -> list[str]:
        """How the last run's calls ended."""
        path = self.stage.place.data / "groups" / folder / "found.json"
        found: list[str] = json.loads(path.read_text())
        return found

    async def cost(self, job: str) -> dict[str, Any]:
        """Wait for a job's cost, and read it as the owner's client does."""
        wanted = Filter(
            kinds=frozenset({int(Kind.COST)}), tags={"p": frozenset({self.stage.owner.public})}
        )
        async with asyncio.timeout(60), self.stage.client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and (read := self.read(item.event))["turnId"] == job:
                    return read
        raise AssertionError("the subscription ended")

    def read(self, event: Event) -> dict[str, Any]:
        """By another implementation of NIP-44."""
        secret = sdk.SecretKey.parse(self.stage.owner.raw.hex())
        author = sdk.PublicKey.parse(event.pubkey)
        read: dict[str, Any] = json.loads(sdk.nip44_decrypt(secret, author, event.content))
        return read

    async def costs(self) -> list[dict[str, Any]]:
        events = await self.stage.find(Kind.COST, p=self.stage.owner.public)
        return [self.read(event) for event in events]

    async def all_told(self) -> None:
        """Wait until each job that was paid for has its cost told."""
        wanted = Filter(
            kinds=frozenset({int(Kind.COST)}), tags={"p": frozenset({self.stage.owner.public})}
        )
        told: set[str] = set()
        async with asyncio.timeout(120), self.stage.client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    told.add(self.read(item.event)["turnId"])
                if told == {job for job, _ in paid(self.stage)}:
                    return

    async def told(self, words: str) -> str:
        """Wait for a notice of the router's in main."""
        wanted = Filter(
            kinds=frozenset({int(Kind.CHAT)}), authors=frozenset({self.stage.roles.router})
        )
        async with asyncio.timeout(30), self.stage.client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and words in item.event.content:
                    return item.event.content
        raise AssertionError("the subscription ended")


@pytest.fixture
async def scene(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str, tmp_path: Path
) -> AsyncIterator[Scene]:
    async with (
        a_stage(engine, docker_client, agent_image) as stage,
        a_provider("tests.model_provider", tmp_path / "provider.log", API_KEY) as provider,
        with_models(stage, provider, "anthropic", SCOPE.names),
    ):
        yield Scene(stage, provider)


async def job_of(stage: Stage, message: Event) -> str:
    """Wait until a message's job has its end; its id."""
    end = await stage.end(message)
    assert end.kind == Kind.JOB_RESULT, end.content
    return str(end.tag("e"))


async def test_a_run_costs_what_the_provider_says_and_its_owner_reads_it(scene: Scene) -> None:
    stage = scene.stage
    async with stage.router(scene.program(2), models=SCOPE):
        first = await job_of(stage, await stage.say("one"))
        cost = await scene.cost(first)
        # The provider says 11 tokens read and 2 made, of each call; no price is configured.
        assert cost["turn"] == {
            "inputTokens": 22, "outputTokens": 4, "totalTokens": None,
            "cacheReadTokens": 0, "cacheWriteTokens": 0, "costUsd": 0,
        }  # fmt: skip
        assert (cost["harness"], cost["model"], cost["stopReason"]) == (
            "nostrclaw", "echo", "end_turn",
        )  # fmt: skip
        assert cost["channelId"] == stage.roles.main
        second = await job_of(stage, await stage.say("two"))
        later = await scene.cost(second)
    assert (cost["turnSeq"], later["turnSeq"]) == (1, 2)
    assert cost["sessionId"] == later["sessionId"]
    assert later["cumulative"]["inputTokens"] == 44
    # Another router, to which everything is told again, adds none.
    async with stage.router(scene.program(1), models=SCOPE):
        third = await job_of(stage, await stage.say("three"))
        await scene.cost(third)
    assert sorted(one["turnId"] for one in await scene.costs()) == sorted([first, second, third])


async def test_a_days_tokens_end_inside_a_run_and_its_owner_is_told(scene: Scene) -> None:
    stage = scene.stage
    budgets = Budgets(group=Budget(tokens=200))
    async with stage.router(scene.program(20), models=SCOPE, budgets=budgets):
        job = await job_of(stage, await stage.say("one"))
        found = scene.found()
        n_answered = found.count("answered")
        assert 2 <= n_answered < 16
        assert "this conversation may use 200 tokens today" in found[-1]
        told = await scene.told("a language model was not asked")
        assert "tokens +N" in told
        cost = await scene.cost(job)
    assert cost["turn"]["inputTokens"] == 11 * n_answered
    assert cost["turn"]["inputTokens"] + cost["turn"]["outputTokens"] <= 200
    taken = [one for one in scene.provider.seen() if one.get("path") == "/v1/messages"]
    assert len(taken) == n_answered


async def test_two_containers_at_once_never_pass_a_days_tokens_together(scene: Scene) -> None:
    """One for main, one for a group of the owner's own: what all may use is set aside for both."""
    stage, side = scene.stage, str(uuid4())
    budgets = Budgets(everything=Budget(tokens=300))
    async with stage.router(scene.program(10), models=SCOPE, budgets=budgets):
        await put(stage, Kind.CREATE_GROUP, side, "", ("name", "Side"))
        folder = await bound(stage, side)
        messages = await asyncio.gather(
            stage.say("go"), put(stage, Kind.CHAT, side, "@nostrclaw go")
        )
        for message in messages:
            assert await stage.dealt_with(message) == "✅"
        # Both are told of before the router ends.
        for message in messages:
            (request, *_) = await stage.job(message)
            await scene.cost(request.id)
    found = scene.found() + scene.found(folder)
    refused = {one.split(";")[0] for one in found} - {"answered"}
    assert refused == {"all conversations together may use 300 tokens today"}
    answered = found.count("answered")
    assert answered == len([o for o in scene.provider.seen() if o.get("path") == "/v1/messages"])
    assert 2 <= answered * 13 <= 300
    assert {one["channelId"] for one in await scene.costs()} == {stage.roles.main, side}


async def put(stage: Stage, kind: int, group: str, text: str, *tags: tuple[str, ...]) -> Event:
    """An event of the owner's in a group."""
    made = Template(stage.owner.public, int(time.time()), kind, (("h", group), *tags), text)
    event = made.sign(stage.owner, secrets.token_bytes(32))
    ok = await stage.client.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
    return event


async def bound(stage: Stage, group: str) -> str:
    """Wait until a group is a conversation; its folder."""
    async with asyncio.timeout(30):
        while True:
            for event in await stage.as_router([Kind.APP_DATA]):
                if event.tag("d") == f"group/{group}":
                    return str(json.loads(event.content)["folder"])
            await asyncio.sleep(0.1)


async def test_a_days_runs_end_between_runs_and_a_restart_counts_alike(scene: Scene) -> None:
    stage = scene.stage
    budgets = Budgets(group=Budget(runs=1))
    async with stage.router(budgets=budgets):
        await job_of(stage, await stage.say("/note one"))
    async with stage.router(budgets=budgets):
        left = await stage.say("/note two")
        asked = await scene.told("1 of 1 runs")
        assert "/budget" in asked
        await stage.say("/budget main runs +1")
        await job_of(stage, await stage.say("/note three"))
        assert await stage.job(left) == []


async def test_no_kill_of_the_router_loses_a_cost_or_tells_it_twice(scene: Scene) -> None:
    """At any moment: before the run, in it, at its end, while its cost is being filed."""
    rolled = dice("cost kills")
    stage, messages = scene.stage, []
    for _ in range(figure("cost-kills")):
        router = await stage.router_process(scene.program(1), *SCOPE.names)
        messages.append(await stage.say("hello"))
        await asyncio.sleep(rolled.random() * 4)
        router.kill()
        await router.wait()
    router = await stage.router_process(scene.program(1), *SCOPE.names)
    try:
        for message in messages:
            await stage.dealt_with(message)
        await scene.all_told()
    finally:
        router.terminate()
        await router.wait()
    told = await scene.costs()
    assert len(told) == len({one["turnId"] for one in told})
    assert max(one["cumulative"]["inputTokens"] for one in told) == sum(n for _, n in paid(stage))
    assert [one["turnSeq"] for one in sorted(told, key=lambda one: one["turnSeq"])] == [
        n + 1 for n in range(len(told))
    ]


def paid(stage: Stage) -> list[tuple[str, int]]:
    """The jobs in the proxy's ledger, and the tokens that each has read."""
    path = stage.place.signer / "models/spent.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db:
        return list(db.execute("SELECT job, sum(fresh) FROM calls GROUP BY job"))
