"""The inward half with the service before it, and killed in the middle of its work."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.bridges.signal.service.receiving import Receiving
from bot.bridges.signal.service.rest import Service
from bot.operate.assembly import SOURCE_TREE
from bot.operate.stand_ins import signal_faults as faults
from bot.operate.stand_ins.signal_envelopes import edited, said
from tests.figures import dice
from tests.signal_service import ALICE, FRIENDS, NUMBER, a_service
from tests.unit.bot.bridges.signal.inbound_stage import WAIT_S, Stage, at_ms, item
from tests.unit.bot.bridges.signal.inward.test_forwarding import new

PROCESS = Path(__file__).with_name("inbound_process.py")
KILLS, BATCH = 3, 12


@pytest.mark.parametrize("mode", ["normal", "json-rpc"])
async def test_what_the_service_receives_is_said_in_its_order(inward: Stage, mode: str) -> None:
    one, other = new(ALICE), await inward.alone_with(new(ALICE))
    talk = await inward.registered(f"service-{mode}-{at_ms()}", FRIENDS.id)
    await inward.stop()
    async with a_service(mode) as service, Service(service.url) as client:
        inward.batches = Receiving(client, NUMBER, poll_s=0.01)
        inward.client, former = client, inward.client
        try:
            await inward.start()
            if mode == "normal":
                # What a line of noise spoils, and what a failure hides, is salvaged.
                await service.faults(faults.noise("receive"), faults.exits("receive"))
            else:
                await service.wait_for(listening=1)
            for tens in range(6):
                times = [at_ms() for _ in range(10)]
                await service.push(*(
                    said(one, f"{10 * tens + n}", at, group=FRIENDS) for n, at in enumerate(times)
                ))  # fmt: skip
                if tens == 3:
                    await service.push(edited(one, "thirty", times[0], at_ms(), group=FRIENDS))
            await service.push(said(other.who, "aside", at_ms()))
            await other.heard("aside")
            expected = [str(n) for n in range(60) if n != 30]
            assert await talk.texts() == [*expected[:39], "thirty", *expected[39:]]
            assert inward.inbound is not None
            assert inward.inbound.own_aci == await service.aci()
        finally:
            await talk.change(counterparts=())
            await inward.stop()
            inward.batches, inward.client = None, former


@asynccontextmanager
async def a_process(inward: Stage) -> AsyncIterator[asyncio.subprocess.Process]:
    place = inward.house.place
    argv = (place.relay_address, place.key("bridge-signal"), place.roles_file, place.data)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        PROCESS,
        *map(str, argv),
        cwd=SOURCE_TREE,
        env={"PYTHONPATH": str(SOURCE_TREE), "PATH": "/usr/bin:/bin"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asked(process)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def asked(process: asyncio.subprocess.Process) -> None:
    """Wait until a batch is asked for: the one before is written down."""
    assert process.stdout is not None
    async with asyncio.timeout(WAIT_S):
        assert await process.stdout.readline() == b"asked\n"


async def test_killed_at_any_time_what_was_written_down_is_said_once(inward: Stage) -> None:
    """And of what was being written down, nothing twice and nothing out of order."""
    talk, chance = await inward.alone_with(new(ALICE)), dice("signal-inbound")
    await inward.stop()
    sure: list[str] = []
    perhaps: set[str] = set()

    def a_batch(name: str, n: int = BATCH) -> tuple[list[str], bytes]:
        texts = [f"{name}.{index}" for index in range(n)]
        items = [item(said(talk.who, text, at_ms())) for text in texts]
        return texts, json.dumps(items).encode() + b"\n"

    for kill in range(KILLS):
        async with a_process(inward) as process:
            assert process.stdin is not None
            for number in range(chance.randrange(1, 4)):
                texts, line = a_batch(f"kill {kill}.{number}")
                process.stdin.write(line)
                await asked(process)
                sure += texts
            texts, line = a_batch(f"perhaps {kill}")
            process.stdin.write(line)
            await process.stdin.drain()
            perhaps |= set(texts)
            await asyncio.sleep(chance.uniform(0, 0.03))  # somewhere in the middle of it
            process.kill()
    await inward.start()
    await inward.give(said(talk.who, "the end", at_ms()))
    await talk.heard("the end")
    texts = (await talk.texts())[:-1]
    assert [text for text in texts if text not in perhaps] == sure
    assert len(set(texts)) == len(texts)
    assert set(texts) <= perhaps | set(sure)
    for kill in range(KILLS):
        some = [text for text in texts if text.startswith(f"perhaps {kill}.")]
        assert some == sorted(some, key=lambda text: int(text.rpartition(".")[2]))
    await inward.settled()
    assert not any(record.content for record in await inward.records())
