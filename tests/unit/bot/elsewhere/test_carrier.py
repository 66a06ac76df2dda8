"""bot/elsewhere/carrier.py before relays that do not fit, all real; both ways: tests/e2e."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_bytes

import pytest

from bot.elsewhere.carrier import Carrier
from bot.operate.assembly import SOURCE_TREE
from nips.filter import Filter
from nips.key import SecretKey
from relay_local.client import connect
from tests.relay_process import relay_process
from tests.unit.bot.bridges.nostr.stage import Stage, a_stage

OWNER = SecretKey.generate(token_bytes)


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage(OWNER.public) as made:
        await made.make_main(OWNER.public)
        yield made


async def first_words(stage: Stage, url: str) -> str:
    """What the carrier says first of the relay at `url`."""
    words: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def say(line: str) -> None:
        if not words.done():
            words.set_result(line)

    async with (
        connect(stage.place.relay_address, [stage.router]) as inside,
        connect(url, [stage.router]) as outside,
    ):
        carrier = Carrier(inside, outside, stage.router, stage.roles, url, say)
        serving = asyncio.create_task(carrier.serve(OWNER.public))
        try:
            return await asyncio.wait_for(words, 30)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def foreign() -> AsyncIterator[str]:
    """Another implementation's relay, which takes events from everybody and knows no groups."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.relay_peer", cwd=SOURCE_TREE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            yield (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


async def test_another_implementations_relay_without_groups_is_refused(stage: Stage) -> None:
    async with foreign() as url:
        said = await first_words(stage, url)
    assert said.startswith(f"The conversation cannot be on {url}: it ")
    assert "(NIP-29)" in said or "(NIP-11)" in said


async def test_a_public_relay_of_ours_is_refused_and_nothing_is_said_on_it(
    stage: Stage, tmp_path: Path
) -> None:
    async with relay_process(tmp_path, "--open") as relay:
        said = await first_words(stage, relay.url)
        async with connect(relay.url, [OWNER]) as link:
            assert await link.fetch([Filter(limit=10)]) == []
    assert "it does not offer groups (NIP-29)" in said
