"""The router with a real relay, a real signer and real containers, good ones and bad ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import docker
import pytest

from nips.kinds import Kind
from tests.image.stage import LIMITS, Stage, a_stage


@pytest.fixture(scope="module")
async def stage(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Stage]:
    async with a_stage(docker_client, agent_image) as made:
        yield made


async def test_a_message_is_answered_and_nothing_is_left(stage: Stage) -> None:
    async with stage.router():
        message = await stage.say("/say good morning")
        end = await stage.end(message)
    assert end.kind == Kind.JOB_RESULT, end.content
    assert [reply.content for reply in await stage.replies(message)] == ["good morning"]
    kinds = [event.kind for event in await stage.job(message)]
    assert kinds == [Kind.JOB_REQUEST, Kind.JOB_ACCEPTED, Kind.JOB_RESULT]
    assert stage.containers() == []
    assert list((stage.place.data / "ipc").iterdir()) == []
    assert list((stage.place.run / "s").iterdir()) == []
