from collections.abc import AsyncIterator

import pytest

from tests.unit.bot.bridges.signal.inbound_stage import Stage, a_stage


@pytest.fixture(scope="session")
async def inward() -> AsyncIterator[Stage]:
    """A relay, the stand-in of Signal's service, and the inward half of the bridge between them."""
    async with a_stage() as made:
        await made.start()
        yield made
