"""A relay whose disk is full: what came before is answered when there is room again."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.bot.uncontained import House, Sessions, a_house

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


def relay_of(roles_file: Path) -> int:
    """The process of the relay that was started with this file."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            argv = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "relay_local" in argv and str(roles_file) in argv:
            return int(path.parent.name)
    raise AssertionError("no relay runs")


async def test_a_message_that_could_be_no_job_becomes_one(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its 43001 is refused at first; so is whatever the relay would write into its log."""
    group = await house.group("full")
    message = await house.say(group, "/say there is room again")
    relay = relay_of(house.place.roles_file)
    async with house.dispatch(Sessions(house)) as dispatch:
        resource.prlimit(relay, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        beginning = asyncio.create_task(dispatch.intake.begin(group, message.id))
        said = ""
        async with asyncio.timeout(20):
            while "the relay cannot store; again" not in said:
                await asyncio.sleep(0.05)
                said += capsys.readouterr().out
        assert not beginning.done()
        resource.prlimit(relay, resource.RLIMIT_FSIZE, UNLIMITED)
        assert await asyncio.wait_for(beginning, 20) is not None
        assert await house.sign(message) == "✅"
        await house.at_rest(dispatch)
    assert await house.replies(message) == ["there is room again"]
