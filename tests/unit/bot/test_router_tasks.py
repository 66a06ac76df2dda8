"""A calendar event of the owner's client, through a whole router: planned, due, made work once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from secrets import token_bytes
from time import time

import pytest

from nips.event import Template
from nips.kinds import Kind
from nips.own import task as tasks
from nips.own.job import parse_request
from tests.unit.bot.commands.stage import Stage, a_stage


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made:
        yield made


async def test_from_the_calendar_to_the_job(stage: Stage) -> None:
    router = stage.roles.router
    soon = int(time()) + 3
    tags = (("d", "plants"), ("title", "Plants"), ("start", str(soon)), ("schedule", "once"))
    wish = Template(stage.owner.public, int(time()), Kind.CALENDAR_EVENT, tags, "Water them.").sign(
        stage.owner, token_bytes(32)
    )
    async with stage.router():
        assert (await stage.client.publish(wish, deadline_s=10)).accepted
        assert (await stage.first(Kind.REACTION, e=wish.id)).content == "✅"
        planned = tasks.parse(await stage.first(Kind.CALENDAR_EVENT), router)
        assert (planned.start, planned.status, planned.group) == (soon, "active", stage.roles.main)
        made = await stage.first(Kind.JOB_REQUEST, a=planned.address(router))
        assert made.created_at >= soon
        request = parse_request(made)
        assert request.task is not None
        assert request.task.slot == str(soon)
        (now,) = await stage.find(Kind.CALENDAR_EVENT, d=planned.name)
        after = tasks.parse(now, router)
        assert (after.status, after.last) == ("done", soon)
    # Started again, it makes neither task nor job anew.
    async with stage.router():
        assert await stage.find(Kind.JOB_REQUEST, a=planned.address(router)) == [made]
        assert await stage.find(Kind.CALENDAR_EVENT, d=planned.name) == [now]
        shown = await stage.ask("/tasks")
        assert "“Plants”" in shown
        assert "done (main)" in shown
