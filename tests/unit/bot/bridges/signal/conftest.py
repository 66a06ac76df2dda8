from collections.abc import AsyncIterator

import pytest

from tests.unit.bot.bridges.signal import inbound_stage, outbound_stage


@pytest.fixture(scope="session")
async def inward_stage() -> AsyncIterator[inbound_stage.Stage]:
    """A relay, the stand-in of Signal's service, and the inward half of the bridge between them."""
    async with inbound_stage.a_stage() as made:
        yield made


@pytest.fixture
async def inward(inward_stage: inbound_stage.Stage) -> inbound_stage.Stage:
    """The same, running, whatever the test before it did to it."""
    if not inward_stage.tasks:
        inward_stage.batches = None
        await inward_stage.start()
    return inward_stage


@pytest.fixture(scope="session")
async def stage() -> AsyncIterator[outbound_stage.Stage]:
    """A house with the router's hands, and the stand-in, for the way out between them."""
    async with outbound_stage.a_stage() as made:
        yield made
