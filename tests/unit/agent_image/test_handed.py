"""agent_image/agent/handed.py: messages that come while a session works, over a real relay."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import pytest

from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import handed as handed_events
from nips.own import job
from relay_local.client import Delivery
from tests.unit.agent_image.stage import Process, Stage, a_stage

SLOW = "/run sleep 1; echo slow"


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made:
        yield made


async def hand(stage: Stage, request: Event, message: Event, position: int) -> Event:
    """The router hands a message to a job."""
    template = handed_events.handed(
        stage.router.public, stage.group, request.id, message.id, int(time.time()),
        position=position,
    )  # fmt: skip
    return await stage.put(template, stage.router)


async def begin(stage: Stage, text: str) -> tuple[Event, Process]:
    """A job that is under way: its first line of progress is there."""
    request = await stage.job(await stage.ask(text))
    session = SecretKey.generate(secrets.token_bytes)
    await stage.grant(session, request, (7, 9))
    await stage.attempt(session, request)
    lines = Filter(kinds=frozenset({int(Kind.JOB_PROGRESS)}), tags={"e": frozenset({request.id})})
    async with stage.link.subscribe([lines]) as stream:
        agent = await stage.agent(session)
        async with asyncio.timeout(20):
            async for item in stream:
                if isinstance(item, Delivery):
                    break
    return request, agent


async def reports(stage: Stage, request: Event) -> tuple[list[str], list[str]]:
    """What the session said that it began with, and that it had dealt with."""
    said = [job.parse_progress(event) for event in await stage.progress(request)
            if event.pubkey != stage.router.public]  # fmt: skip
    begun = [message for one in said if not one.done for message in one.messages]
    (done,) = [one for one in said if one.done]
    return begun, list(done.messages)


async def test_each_is_answered_by_itself_in_the_order_of_the_router(stage: Stage) -> None:
    request, agent = await begin(stage, SLOW)
    first, second = await stage.ask("/say first"), await stage.ask("/say second")
    await hand(stage, request, second, 2)
    await hand(stage, request, first, 1)
    assert await agent.ended() == (0, "")
    said = await stage.published(request)
    assert [event.content for event in said] == ["exit code 0\nslow", "first", "second"]
    assert [event.tag("q") for event in said[1:]] == [first.id, second.id]
    begun, dealt = await reports(stage, request)
    assert sorted(begun) == sorted(dealt) == sorted([first.id, second.id])


async def test_what_was_handed_over_before_it_began_is_answered_too(stage: Stage) -> None:
    request = await stage.job(await stage.ask("/say one"))
    two = await stage.ask("/say two")
    await hand(stage, request, two, 1)
    assert await stage.run(request) == (0, "")
    assert [event.content for event in await stage.published(request)] == ["one", "two"]
    # Another attempt says nothing twice.
    assert await stage.run(request, number=2) == (0, "")
    assert len(await stage.published(request)) == 2


async def test_what_is_taken_back_is_left_out(stage: Stage) -> None:
    request, agent = await begin(stage, SLOW)
    unwanted, wanted = await stage.ask("/say unwanted"), await stage.ask("/say wanted")
    await hand(stage, request, unwanted, 1)
    await hand(stage, request, wanted, 2)
    template = handed_events.withdrawn(
        stage.router.public, stage.group, request.id, unwanted.id, int(time.time())
    )
    await stage.put(template, stage.router)
    assert await agent.ended() == (0, "")
    said = [event.content for event in await stage.published(request)]
    assert said == ["exit code 0\nslow", "wanted"]


async def test_a_message_that_was_deleted_meanwhile_ends_nothing(stage: Stage) -> None:
    request, agent = await begin(stage, SLOW)
    regretted, kept = await stage.ask("/say regretted"), await stage.ask("/say kept")
    await hand(stage, request, regretted, 1)
    await hand(stage, request, kept, 2)
    tags = (("h", stage.group), ("e", regretted.id), ("k", "9"))
    await stage.put(
        Template(stage.owner.public, int(time.time()), Kind.DELETION, tags, ""), stage.owner
    )
    assert await agent.ended() == (0, "")
    said = [event.content for event in await stage.published(request)]
    assert said == ["exit code 0\nslow", "kept"]


async def test_a_run_leaves_what_comes_late_in_its_time_to_another(stage: Stage) -> None:
    request = await stage.job(await stage.ask("/run sleep 2"))
    session = SecretKey.generate(secrets.token_bytes)
    await stage.grant(session, request, (9,))
    await stage.attempt(session, request)
    late = await stage.ask("/say late")
    await hand(stage, request, late, 1)
    agent = await stage.agent(session, seconds=4)
    assert await agent.ended() == (0, "")
    assert await reports(stage, request) == ([], [])
    assert len(await stage.published(request)) == 1
