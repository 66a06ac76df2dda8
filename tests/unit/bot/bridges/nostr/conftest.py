from collections.abc import AsyncIterator
from secrets import token_bytes

import pytest

from nips.key import SecretKey
from tests.unit.bot.bridges.nostr.stage import Person, Stage, a_person, a_stage

OWNER = SecretKey.generate(token_bytes)


@pytest.fixture(scope="session")
async def stage() -> AsyncIterator[Stage]:
    """The whole stage with the bridge running, and main bound to the owner."""
    async with a_stage(OWNER.public) as made:
        await made.make_main(OWNER.public)
        await made.start("bridge")
        yield made


@pytest.fixture(scope="session")
async def owner(stage: Stage) -> AsyncIterator[Person]:
    async with a_person(stage.public, OWNER) as made:
        await made.announce()
        yield made


@pytest.fixture
async def stranger(stage: Stage) -> AsyncIterator[Person]:
    async with a_person(stage.public) as made:
        await made.announce()
        yield made


@pytest.fixture
async def ann(stage: Stage) -> AsyncIterator[Person]:
    async with a_person(stage.public) as made:
        await made.announce()
        yield made


@pytest.fixture
async def bob(stage: Stage) -> AsyncIterator[Person]:
    async with a_person(stage.public) as made:
        await made.announce()
        yield made
