"""Spares with a real relay, a real signer and real containers: what waits, and what never does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from secrets import token_bytes
from typing import Any
from uuid import uuid4

import docker
import pytest

from bot.engine.host import Engine
from bot.engine.spare_rules import Bounds
from bot.router import Router
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.model_scope import ModelScope
from tests.image.spare_programs import IMPATIENT, LITTER
from tests.image.stage import LIMITS, Stage, a_stage, first

BOUNDS = Bounds(most=2, idle_s=60, free_bytes=0)
MODELS = ModelScope(("some-model",), 10, 10_000, 10_000)


@pytest.fixture(scope="module")
async def stage(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str
) -> AsyncIterator[Stage]:
    async with a_stage(engine, docker_client, agent_image) as made:
        yield made


async def waiting(router: Router, group: str, timeout_s: float = 30) -> str:
    """Wait until the group's spare is ready; its session's key."""
    async with asyncio.timeout(timeout_s):
        spare = await router.spares.ready(group)
        await spare.container.spoke.wait()
    return spare.session.public


async def a_group(stage: Stage, name: str) -> str:
    """A conversation, made in the owner's client, that the router has registered."""
    group = str(uuid4())
    bound = Filter(
        authors=frozenset({stage.roles.router}),
        kinds=frozenset({int(Kind.APP_DATA)}),
        tags={"d": frozenset({f"group/{group}"})},
    )
    await put(stage, Kind.CREATE_GROUP, ("h", group), ("name", name))
    async with asyncio.timeout(20):
        await first(stage.client, bound)
    return group


async def put(stage: Stage, kind: int, *tags: Tag, text: str = "") -> Event:
    nonce = (*tags, ("nonce", token_bytes(4).hex()))
    event = Template(stage.owner.public, int(time.time()), kind, nonce, text).sign(
        stage.owner, token_bytes(32)
    )
    ok = await stage.client.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
    return event


async def ask(stage: Stage, group: str, text: str) -> Event:
    return await put(stage, Kind.CHAT, ("h", group), ("p", stage.roles.bot), text=text)


async def session_of(stage: Stage, message: Event) -> str | None:
    return (await stage.begun(message)).tag("p")


async def job_of(stage: Stage, message: Event) -> Event:
    (request,) = await stage.find(Kind.JOB_REQUEST, e=message.id)
    return request


async def until(holds: Callable[[], bool], timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.02)  # of another program: there is no event to wait for


async def test_a_job_runs_in_the_spare_and_another_takes_its_place(stage: Stage) -> None:
    async with stage.router(spares=BOUNDS) as router:
        main = stage.roles.main
        key = await waiting(router, main)
        message = await stage.say("/say good morning")
        assert (await stage.end(message)).kind == Kind.JOB_RESULT
        assert [reply.content for reply in await stage.replies(message)] == ["good morning"]
        assert await session_of(stage, message) == key
        next_key = await waiting(router, main)
        assert next_key != key
        again = await stage.say("/say good evening")
        assert (await stage.end(again)).kind == Kind.JOB_RESULT
        assert await session_of(stage, again) == next_key
    assert stage.containers() == []
    assert await stage.live_sessions() == []
    assert list((stage.place.data / "ipc").iterdir()) == []
    await until(lambda: list((stage.place.run / "s").iterdir()) == [])


async def test_one_that_waits_may_do_nothing_and_then_its_own_job(stage: Stage) -> None:
    """Attack: a program that does not wait for its job, with its session's own key."""
    async with stage.router():
        other = await a_group(stage, "the others")
        theirs = await ask(stage, other, "/say a secret")
        assert (await stage.end(theirs)).kind == Kind.JOB_RESULT
        mine = await stage.say("/say mine")
        assert (await stage.end(mine)).kind == Kind.JOB_RESULT
        (their_job,) = await stage.find(Kind.JOB_REQUEST, e=theirs.id)
        (my_job,) = await stage.find(Kind.JOB_REQUEST, e=mine.id)
    folder = stage.place.data / "groups" / "main"
    known = {
        "bot": stage.roles.bot, "signer": stage.roles.signer, "router": stage.roles.router,
        "group": stage.roles.main, "mine": my_job.id, "other": other, "theirs": their_job.id,
    }  # fmt: skip
    (folder / "known.json").write_text(json.dumps(known))
    limits = replace(LIMITS, wall_clock_s=60)
    async with stage.router(IMPATIENT, limits, models=MODELS, spares=BOUNDS) as router:
        key = await waiting(router, stage.roles.main, 60)
        message = await stage.say("go")
        assert await session_of(stage, message) == key
        await until((folder / "report.json").exists, 60)
        report: dict[str, Any] = json.loads((folder / "report.json").read_text())
        await router.spares.drop(stage.roles.main)
    assert report["key"] == key

    before, after = report["waiting"], report["working"]
    for kind in (1, 7, 9, 30023):
        assert "restricted" in before[f"sign {kind}"], before
    assert before["router"] == "silence" or "restricted" in before["router"], before
    for name in ("unwrap", "progress", "done", "chat", "grant"):
        assert "restricted" in before[name] or "invalid" in before[name], (name, before)
    assert before["jobs of others"] in ([], "restricted: this key is no member here"), before
    assert before["a job of others"] == []
    assert before["models"] is False
    assert before["sockets"] == ["relay.sock"]
    # The control: with its job the same is granted, and what is others' stays theirs.
    assert after["sign 9"].startswith("granted"), after
    assert after["progress"] == "accepted", after
    assert after["router"].startswith("granted"), after
    assert after["chat"] != "accepted"
    assert after["jobs of others"] == before["jobs of others"]


async def test_nothing_of_the_run_before_is_there(stage: Stage) -> None:
    main = stage.roles.main
    seen = []
    async with stage.router(spares=BOUNDS) as router:
        for _ in range(3):
            key = await waiting(router, main)
            message = await stage.say(LITTER)
            assert (await stage.end(message)).kind == Kind.JOB_RESULT
            assert await session_of(stage, message) == key
            (reply,) = await stage.replies(message)
            seen.append(reply.content)
    # In a fresh home lies what the engine mounts there, and of sockets the session's own.
    assert seen == ["exit code 0\n.claude\nrelay.sock\n0"] * 3


async def test_no_job_runs_in_another_groups_spare(stage: Stage) -> None:
    async with stage.router(spares=BOUNDS) as router:
        groups = [await a_group(stage, f"pair {n}") for n in range(2)]
        for number, group in enumerate(groups):  # in use from now on
            made = await ask(stage, group, f"/run echo {number} > mine; cat mine")
            assert (await stage.end(made)).kind == Kind.JOB_RESULT
        keys = [await waiting(router, group) for group in groups]
        asked = [await ask(stage, group, "/run cat mine") for group in groups]
        for message in asked:
            assert (await stage.end(message)).kind == Kind.JOB_RESULT
        assert [await session_of(stage, message) for message in asked] == keys
        said = [reply.content for message in asked for reply in await stage.replies(message)]
    assert [text.split()[-1] for text in said] == ["0", "1"]


@pytest.mark.parametrize("order", ["archive", "delete wipe", "pause"])
async def test_a_group_that_is_put_away_has_no_spare(stage: Stage, order: str) -> None:
    name = f"away {order.split()[0]}"
    async with stage.router(spares=BOUNDS) as router:
        group = await a_group(stage, name)
        assert (await stage.end(await ask(stage, group, "/say here"))).kind == Kind.JOB_RESULT
        key = await waiting(router, group)
        folder = stage.place.data / "groups" / name.replace(" ", "-")
        assert folder.is_dir()
        command = f'/pause "{name}"' if order == "pause" else f'/group "{name}" {order}'
        await stage.say(command)
        await until(lambda: not any(key[:16] in name for name in container_names(stage)))
        async with asyncio.timeout(10):
            while key in await stage.live_sessions():
                await asyncio.sleep(0.02)
        await until(lambda: folder.exists() == (order != "delete wipe"))
        assert not router.spares.has(group)


async def test_its_time_counts_from_its_job_and_it_says_when_little_is_left(stage: Stage) -> None:
    limits = replace(LIMITS, wall_clock_s=4)
    async with stage.router(limits=limits, spares=BOUNDS) as router:
        key = await waiting(router, stage.roles.main)
        await asyncio.sleep(limits.wall_clock_s + 0.5)
        message = await stage.say("/say in time")
        assert (await stage.end(message)).kind == Kind.JOB_RESULT
        assert await session_of(stage, message) == key
        await waiting(router, stage.roles.main)
        slow = await stage.say("/run sleep 30")
        end = await stage.end(slow)
        assert (end.kind, "longer than 4 seconds" in end.content) == (Kind.JOB_ERROR, True)
        lines = await stage.find(Kind.JOB_PROGRESS, e=(await job_of(stage, slow)).id)
    assert any("nearly over" in line.content for line in lines)


async def test_one_that_died_is_not_used(stage: Stage) -> None:
    async with stage.router(spares=BOUNDS) as router:
        key = await waiting(router, stage.roles.main)
        (container,) = stage.containers()
        spare = await router.spares.ready(stage.roles.main)
        stage.docker.api.kill(container)
        await asyncio.wait({spare.running}, timeout=20)
        message = await stage.say("/say cold")
        assert (await stage.end(message)).kind == Kind.JOB_RESULT
        assert [reply.content for reply in await stage.replies(message)] == ["cold"]
        assert await session_of(stage, message) != key


async def test_an_idle_one_ends(stage: Stage) -> None:
    async with stage.router(spares=replace(BOUNDS, idle_s=3)) as router:
        await waiting(router, stage.roles.main)
        await until(lambda: stage.containers() == [])
        assert not router.spares.has(stage.roles.main)


async def test_a_killed_routers_spares_are_gone_at_the_next_start(stage: Stage) -> None:
    process = await stage.router_process(spares=1)
    await until(lambda: len(stage.containers()) == 1)
    process.kill()
    await process.wait()
    (left,) = stage.containers()
    (session,) = await stage.live_sessions()
    async with stage.router():
        assert left not in stage.containers()
        assert session not in await stage.live_sessions()
    assert list((stage.place.data / "ipc").iterdir()) == []


def container_names(stage: Stage) -> list[str]:
    label = f"nostrclaw.installation={stage.installation}"
    found = stage.docker.api.containers(all=True, filters={"label": label})
    return [name for container in found for name in container["Names"]]
