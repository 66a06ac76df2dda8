"""Thousands who only listen, and a hundred who write, on one relay process."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.figures import figure
from tests.relay_process import relay_process
from tests.unit.relay_local.cast import STRANGER
from tests.unit.relay_local.wire import Wire, signed, wire

BUSY = 100
NOTES = 10  # that each of them writes, one after another
CALL = 7_777
AT_ONCE = 100  # connections being opened
SPARE_FILES = 500


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many descriptors as this process may have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def listeners(stack: AsyncExitStack, url: str, count: int) -> AsyncIterator[Wire]:
    """Clients that wait for a call."""

    async def one() -> Wire:
        client = await stack.enter_async_context(wire(url))
        assert await client.req("call", {"kinds": [CALL]}) == []
        return client

    for start in range(0, count, AT_ONCE):
        for client in await asyncio.gather(*(one() for _ in range(min(AT_ONCE, count - start)))):
            yield client


async def test_thousands_who_listen_leave_room_for_those_who_write(
    tmp_path: Path, many_files: None, record_property: Callable[[str, object], None]
) -> None:
    idle = figure("connections")
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > idle + BUSY + SPARE_FILES
    took_ms: list[float] = []

    async def write(writer: Wire, number: int) -> None:
        for note in range(NOTES):
            new = signed(STRANGER, 1, content=f"{number}/{note}")
            before = time.perf_counter()
            await writer.keep(new)
            took_ms.append(1_000 * (time.perf_counter() - before))

    async with relay_process(tmp_path, "--open") as relay, AsyncExitStack() as stack:
        waiting = [client async for client in listeners(stack, relay.url, idle)]
        writers = [await stack.enter_async_context(wire(relay.url)) for _ in range(BUSY)]
        await asyncio.gather(*(write(writer, n) for n, writer in enumerate(writers)))
        call = signed(STRANGER, CALL)
        await writers[0].keep(call)
        heard = await asyncio.gather(*(client.hear() for client in waiting))
    assert [frame[2]["id"] for frame in heard] == [call.id] * idle
    assert len(took_ms) == BUSY * NOTES
    record_property("connections, none refused", idle + BUSY)
    record_property("p99 of an OK, in ms", round(statistics.quantiles(took_ms, n=100)[98]))
