"""The bridge begins: with much that waits for it, and again and again."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Callable
from secrets import token_bytes

from nips.key import SecretKey
from tests.fault_proxy import FaultProxy
from tests.figures import dice, figure
from tests.unit.bot.bridges.nostr.stage import a_person, a_stage
from tests.unit.bot.bridges.nostr.test_inbox_volume import (
    TWO_DAYS_S,
    WAVE,
    each_was_said_once,
    seal_of,
    wrap_of,
)

# What a process says that has died of itself, in C, Rust or Python.
CRASH = re.compile(
    r"segmentation|core dumped|panicked|fatal|traceback|abort|terminate called|exception ignored"
    r"|never retrieved|was never awaited|malloc|corrupt",
    re.IGNORECASE,
)


async def test_what_waits_at_the_start_all_arrives(
    record_property: Callable[[str, object], None],
) -> None:
    """Dated anywhere in two days, each at one relay of the two, stored before the first start."""
    count, chance = figure("burst-at-start"), dice("burst-at-start")
    key = SecretKey.generate(token_bytes)
    texts = [f"waiting {number}" for number in range(count)]
    async with a_stage(key.public) as stage, a_person(stage.public, key) as owner:
        await stage.make_main(key.public)
        for start in range(0, count, WAVE):
            wraps = [
                wrap_of(
                    seal_of(text, owner, stage.roles.bot),
                    stage.roles.bot,
                    chance.randrange(TWO_DAYS_S),
                )
                for text in texts[start : start + WAVE]
            ]
            await asyncio.gather(*(owner.send(wrap, chance.randrange(2)) for wrap in wraps))
        began = time.monotonic()
        await stage.start("bridge")
        await each_was_said_once(stage, owner, texts, "waiting")
        record_property("messages, each once", count)
        record_property("s until all were there", round(time.monotonic() - began))


async def test_it_starts_and_stops_without_a_crash(
    record_property: Callable[[str, object], None],
) -> None:
    """Stopped at any moment: before, while and after it logs in, which is when the SDK calls back
    into Python."""
    times, chance = figure("starts-and-stops"), dice("starts-and-stops")
    logins = 0
    key = SecretKey.generate(token_bytes)
    async with a_stage(key.public, proxied=True) as stage:
        await stage.make_main(key.public)
        for number in range(times):
            await stage.start("bridge")
            if number % 2:
                await logged_in(stage.proxies[0], logins)
            await asyncio.sleep(chance.choice([0, 0, chance.random() / 4, chance.random()]))
            assert await stage.stop("bridge", signal.SIGTERM) == 0, stage.log("bridge")[-3_000:]
            logins = (await stage.proxies[0].stats())["up"].get("AUTH", 0)
        log = stage.log("bridge")
    assert not (found := CRASH.search(log)), log[max(found.start() - 500, 0) :][:2_000]
    assert logins > times // 3
    record_property("starts and stops", times)
    record_property("logins", logins)


async def logged_in(proxy: FaultProxy, before: int) -> None:
    """Wait until the bridge has sent one more login to the first relay."""
    async with asyncio.timeout(30):
        while (await proxy.stats())["up"].get("AUTH", 0) <= before:
            await asyncio.sleep(0.02)
