from collections.abc import AsyncIterator

import pytest

from tests.unit.bot.bridges.signal.inbound_stage import Stage, a_stage


@pytest.fixture(scope="session")
async def inward_stage() -> AsyncIterator[Stage]:
    """A relay, the stand-in of Signal's service, and the inward half of the bridge between them."""
    async with a_stage() as made:
        yield made


@pytest.fixture
async def inward(inward_stage: Stage) -> Stage:
    """The same, running, whatever the test before it did to it."""
    if not inward_stage.tasks:
        inward_stage.batches = None
        await inward_stage.start()
    return inward_stage
