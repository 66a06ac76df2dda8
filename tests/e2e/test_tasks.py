"""Tasks in a whole installation: planned in the owner's calendar, done in a container, edited,
paused, cancelled; a run that fails is tried again and told of, and the series goes on."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_bytes
from time import time

import docker
import httpx
import nostr_sdk as sdk
import pytest

from bot.operate.house import free_ports
from bot.operate.person import person
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import task as tasks
from nips.own.task import Task
from relay_local.client import Delivery
from tests.e2e.conftest import Scene, a_scene, cli, containers_of

OF_A_RUN = (Kind.JOB_REQUEST, Kind.JOB_ACCEPTED, Kind.JOB_PROGRESS, Kind.JOB_RESULT)
EVERY_S = 15


@dataclass
class Calendar:
    """The owner's calendar client, at the private relay."""

    scene: Scene
    latest: int = field(default_factory=lambda: int(time()))

    async def publish(self, kind: int, text: str, *tags: Tag) -> Event:
        owner = SecretKey(bytes.fromhex(self.scene.owner.keys.secret_key().to_hex()))
        self.latest = max(self.latest + 1, int(time()))  # of two in one second the lower id wins
        event = Template(owner.public, self.latest, kind, tags, text).sign(owner, token_bytes(32))
        ok = await self.scene.own_client.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    async def plan(self, name: str, text: str, start: int, *tags: Tag) -> Task:
        """Publish an event, or a new version; the task once it follows that."""
        every = (("d", name), ("title", name), ("start", str(start)), *tags)
        event = await self.publish(Kind.CALENDAR_EVENT, text, *every)
        async for planned in self._stream(Kind.CALENDAR_EVENT):
            task = tasks.parse(planned, self.scene.house.roles.router)
            if task.source and task.source.version == event.id:
                return task
        raise AssertionError("the stream ended")

    async def of_run(self, *kinds: Kind, task: Task, count: int = 1) -> list[Event]:
        """So many events of these kinds that name the task, oldest first."""
        address = task.address(self.scene.house.roles.router)
        found = []
        async for event in self._stream(*kinds):
            if event.tag("a") == address:
                found.append(event)
                if len(found) == count:
                    # What is stored comes newest first.
                    return sorted(found, key=lambda one: one.created_at)
        raise AssertionError("the stream ended")

    async def _stream(self, *kinds: Kind) -> AsyncIterator[Event]:
        wanted = Filter(kinds=frozenset(map(int, kinds)))
        async with asyncio.timeout(60), self.scene.own_client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and (
                    item.event.pubkey != self.scene.owner.public_key
                ):
                    yield item.event

    async def standing(self, task: Task) -> Task | None:
        """The task as it is by now."""
        router = self.scene.house.roles.router
        wanted = Filter(
            authors=frozenset({router}),
            kinds=frozenset({int(Kind.CALENDAR_EVENT)}),
            tags={"d": frozenset({task.name})},
        )
        found = await self.scene.own_client.fetch([wanted])
        return tasks.parse(found[0], router) if found else None


@pytest.fixture(scope="module")
async def calendar(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Calendar]:
    (port,) = free_ports(1)
    webhooks = {"listen": f"127.0.0.1:{port}"}
    often = {"min_interval_s": EVERY_S}
    async with a_scene(agent_image, tasks=often, webhooks=webhooks) as scene:
        yield Calendar(scene)


async def test_it_runs_in_a_container_and_is_told_its_owner(calendar: Calendar) -> None:
    soon = int(time()) + 2
    task = await calendar.plan("plants", "/say They want water.", soon, ("schedule", "once"))
    assert await calendar.scene.hear() == "They want water."
    (end,) = await calendar.of_run(Kind.JOB_RESULT, task=task)
    request, *_ = await calendar.of_run(Kind.JOB_REQUEST, task=task)
    assert request.tag("slot") == str(soon)
    assert end.tag("e") == request.id
    about = await calendar.of_run(*OF_A_RUN, task=task, count=4)
    assert {event.kind for event in about} == set(map(int, OF_A_RUN))
    done = await calendar.standing(task)
    assert done is not None
    assert (done.status, done.last) == ("done", soon)


async def test_planned_by_a_command_it_runs_as_well(calendar: Calendar) -> None:
    planned = await calendar.scene.ask("/task new in 2s /say The tea is ready.")
    assert planned.startswith("✅")
    assert await calendar.scene.hear() == "The tea is ready."


async def planned_when(scene: Scene, when: str) -> dict[str, str]:
    """The task that runs then, as the command line lists it."""
    _, listed = await cli(scene, "task", "list", "--json")
    (task,) = [one for one in json.loads(listed)["data"] if one["when"] == when]
    return dict(task)


def signed(secret: str, body: bytes) -> dict[str, str]:
    """The header that the README has a program send."""
    now = int(time())
    mac = hmac.new(bytes.fromhex(secret), b"%d." % now + body, hashlib.sha256).hexdigest()
    return {"X-Nostrclaw-Signature": f"t={now},v1={mac}", "Content-Type": "application/json"}


async def test_a_program_calls_it_and_the_run_is_one_across_a_kill(calendar: Calendar) -> None:
    scene = calendar.scene
    planned = await scene.ask("/task new on call /say Somebody is at the door.")
    assert planned.startswith("✅")
    task = await planned_when(scene, "on call")
    _, made = await cli(scene, "task", "hook", task["id"], "--json")
    hook = json.loads(made)
    url, body, once = f"http://{hook['listen']}{hook['path']}", b"{}", {"Idempotency-Key": "bell-1"}
    async with httpx.AsyncClient() as program:
        forged = await program.post(url, content=body, headers=signed("00" * 32, body))
        assert forged.status_code == 401
        answer = await program.post(url, content=body, headers=signed(hook["secret"], body) | once)
        assert (answer.status_code, answer.json()["new"]) == (202, True)
        assert await scene.hear() == "Somebody is at the door."
        pid = scene.house.pid("bot")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            while True:
                with suppress(httpx.TransportError):
                    again = await program.post(
                        url, content=body, headers=signed(hook["secret"], body) | once
                    )
                    break
                await asyncio.sleep(0.1)
    assert (again.status_code, again.json()) == (202, answer.json() | {"new": False})
    _, shown = await cli(scene, "task", "runs", task["id"], "--json")
    assert len(json.loads(shown)["data"]) == 1
    assert scene.owner.unheard() == 0


async def test_a_public_mention_sets_it_off_once(calendar: Calendar) -> None:
    scene, bot = calendar.scene, calendar.scene.house.roles.bot
    planned = await scene.ask("/task new times 2 on mention /say Somebody speaks of me.")
    assert planned.startswith("✅")
    async with person(scene.house.public_relays) as stranger:
        # It comes from two relays, and is one event.
        await stranger.publish(1, "What does it do?", [sdk.Tag.parse(["p", bot])])
        assert await scene.hear() == "Somebody speaks of me."
        task = await planned_when(scene, "on mention")
        assert task["status"] == "active", "once, though it came twice"
        await stranger.publish(1, "And this?", [sdk.Tag.parse(["p", bot])])
        assert await scene.hear() == "Somebody speaks of me."
        assert (await planned_when(scene, "on mention"))["status"] == "done"
    assert scene.owner.unheard() == 0


async def test_edited_paused_and_cancelled_in_the_calendar(calendar: Calendar) -> None:
    daily, start = ("schedule", "cron", "0 16 * * *"), int(time())
    task = await calendar.plan("tea", "/say Tea.", start, daily, ("start_tzid", "Europe/Berlin"))
    assert (task.status, task.prompt, task.zone) == ("active", "/say Tea.", "Europe/Berlin")
    edited = await calendar.plan("tea", "/say Green tea.", start, daily, ("status", "paused"))
    assert (edited.name, edited.status, edited.prompt) == (task.name, "paused", "/say Green tea.")
    assert "paused" in await calendar.scene.ask("/tasks")
    again = await calendar.plan("tea", "/say Green tea.", start, daily)
    assert (again.status, again.start) == ("active", task.start)
    address = f"31923:{calendar.scene.owner.public_key}:tea"
    await calendar.publish(5, "", ("a", address), ("k", "31923"))
    async with asyncio.timeout(20):
        while await calendar.standing(task) is not None:
            await asyncio.sleep(0.05)


async def test_a_run_that_fails_is_tried_again_and_told_and_the_next_one_is_fine(
    calendar: Calendar, docker_client: docker.DockerClient
) -> None:
    data = calendar.scene.house.place.data
    task = await calendar.plan(
        "fragile", "/run sleep 4; echo whole", int(time()) + 2,
        ("schedule", "interval", str(EVERY_S * 1000)), ("count", "2"),
    )  # fmt: skip
    for attempt in (1, 2, 3):
        begun = await calendar.of_run(Kind.JOB_ACCEPTED, task=task, count=attempt)
        assert begun[-1].tag("attempt") == str(attempt)
        for container in containers_of(docker_client, data):
            container.kill()
    told = await calendar.scene.hear()
    assert f"A scheduled task ({task.id[:8]})" in told
    assert "in 3 attempts" in told
    (failed,) = await calendar.of_run(Kind.JOB_ERROR, task=task)
    (done,) = await calendar.of_run(Kind.JOB_RESULT, task=task)
    assert "whole" in await calendar.scene.hear()
    first, second = await calendar.of_run(Kind.JOB_REQUEST, task=task, count=2)
    assert (failed.tag("e"), done.tag("e")) == (first.id, second.id)
    assert int(second.tag("slot") or 0) - int(first.tag("slot") or 0) == EVERY_S
