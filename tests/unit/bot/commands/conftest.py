"""The stage that the tests here share, with a router on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.bot.commands.stage import Stage, a_stage


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made, made.router(("qwen3", "claude")):
        yield made
