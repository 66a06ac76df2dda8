"""The house that the tests here share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.bot.requests.stage import House, a_house


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made
