"""What the tests of the way out to Signal share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.bot.bridges.signal.outbound_stage import Stage, a_stage


@pytest.fixture(scope="session")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made:
        yield made
