"""The container engine goes and returns, a private one of this test's own: jobs end, or wait."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest

from bot import absence, engine_watch
from bot.engine import dockerd
from bot.engine.host import Engine
from bot.engine.layout import Layout, layout
from bot.engine.spare_rules import Bounds
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from relay_local.client import Delivery
from tests.figures import dice, figure
from tests.image.stage import Stage, a_stage

SPARES = Bounds(most=1, free_bytes=0)


@dataclass
class Private:
    """An engine that is killed and started anew."""

    place: Layout
    leases: list[int] = field(default_factory=list)

    def start(self) -> None:
        _, lease = dockerd.start(self.place, lambda _: None)
        self.leases.append(lease)

    def kill(self, number: int) -> None:
        """End it and wait until it is gone: SIGTERM takes its containers along, SIGKILL not."""
        pid = dockerd.running(self.place)
        assert pid is not None
        os.kill(pid, number)
        os.waitpid(pid, 0)

    def close(self) -> None:
        if dockerd.running(self.place) is None:
            self.start()  # what a killed one left running ends with the next one
        dockerd.stop(self.place)
        for lease in self.leases:
            os.close(lease)


@pytest.fixture(scope="module")
def private(docker_client: docker.DockerClient, agent_image: str) -> Iterator[Private]:
    folder = Path(tempfile.mkdtemp(prefix="nc-", dir="/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        made = Private(layout(folder / "e"))
        stack.callback(made.close)
        made.start()
        client = docker.DockerClient(base_url=made.place.url, timeout=120)
        stack.callback(client.close)
        client.images.load(docker_client.images.get(agent_image).save(named=True))
        yield made


@pytest.fixture(scope="module")
async def stage(private: Private, agent_image: str) -> AsyncIterator[Stage]:
    client = docker.DockerClient(base_url=private.place.url, timeout=60)
    try:
        engine = Engine(private.place.url, version="")
        async with a_stage(engine, client, agent_image) as made:
            yield made
    finally:
        client.close()


async def told(stage: Stage, words: str, timeout_s: float = 30) -> Event:
    """Wait for the router's notice in main that has these words."""
    said = Filter(kinds=frozenset({int(Kind.CHAT)}), authors=frozenset({stage.roles.router}))
    async with asyncio.timeout(timeout_s), stage.client.subscribe([said]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and words in item.event.content:
                return item.event
    raise AssertionError("the subscription ended")


async def test_a_restarted_engine_leaves_no_job_without_its_end(
    stage: Stage, private: Private, record_property: Callable[[str, object], None]
) -> None:
    chance = dice("engine-restarts")
    async with stage.router(spares=SPARES):
        for number in range(figure("engine-restarts")):
            message = await stage.say(f"/run sleep {chance.uniform(0, 1):.2f}; echo {number}")
            await asyncio.sleep(chance.uniform(0.0, 1.5))
            how = chance.choice([signal.SIGKILL, signal.SIGTERM])
            await asyncio.to_thread(private.kill, how)
            await asyncio.to_thread(private.start)
            sign = await stage.dealt_with(message, 120)
            replies = [reply.content for reply in await stage.replies(message)]
            assert len(replies) <= 1
            if sign == "✅":
                assert replies == [f"exit code 0\n{number}"]
            else:
                assert sign == "❌"
                assert len(await stage.notices(message)) == 1
            record_property("answered" if sign == "✅" else "ended and told", 1)
            assert (await stage.end(message)).kind in (Kind.JOB_RESULT, Kind.JOB_ERROR)
    assert await stage.live_sessions() == []


async def test_while_it_is_away_jobs_wait_and_the_owner_is_told_once_each_way(
    stage: Stage, private: Private, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_watch, "PERIOD_S", 0.3)
    monkeypatch.setattr(engine_watch, "RETRY_S", 0.2)
    monkeypatch.setattr(absence, "AWAY_AFTER_S", 1.0)
    monkeypatch.setattr(absence, "FIRST_HOLD_S", 1.0)
    async with stage.router():
        await asyncio.to_thread(private.kill, signal.SIGTERM)
        message = await stage.say("/say at last")
        await told(stage, "No agent can work")
        (request,) = await stage.find(Kind.JOB_REQUEST, e=message.id)
        assert await stage.find(Kind.JOB_ACCEPTED, e=request.id) == []
        await asyncio.to_thread(private.start)
        assert await stage.dealt_with(message, 60) == "✅"
        assert [reply.content for reply in await stage.replies(message)] == ["at last"]
        (attempt,) = await stage.find(Kind.JOB_ACCEPTED, e=request.id)
        assert ("attempt", "1") in attempt.tags
        await told(stage, "Agents can work again")
    for words in ("No agent can work", "Agents can work again"):
        said = await stage.as_router([Kind.CHAT])
        assert len([event for event in said if words in event.content]) == 1
