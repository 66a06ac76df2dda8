"""Shell: the inward half alone, as a process that may be killed.

    inbound_process.py RELAY KEY_FILE ROLES_FILE DATA

A line of its stdin is a batch, a JSON array; `asked` stands on its stdout for each that it asks
for, and so says that the one before is written down.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import structlog

from bot.bridges.bindings import Bindings
from bot.bridges.incoming import Incoming
from bot.bridges.signal.inward.inbound import Inbound
from bot.bridges.signal.service.rest import Service
from bot.place import Place
from config.roles import load, read_key
from relay_local.client import connect
from tests.signal_service import NUMBER


async def batches() -> AsyncIterator[list[Any]]:
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        sys.stdout.write("asked\n")
        sys.stdout.flush()
        line = await reader.readline()
        if not line:
            await asyncio.Event().wait()
        yield json.loads(line)


async def main(relay: str, key_file: Path, roles_file: Path, data: Path) -> None:
    key, roles = read_key(key_file), load(roles_file)
    async with connect(relay, [key]) as link, Service("http://127.0.0.1:9") as service:
        place = Place(link, key, "signal-inbox")
        bindings = Bindings(link, roles, "signal", place)
        inbound = Inbound(
            link,
            key,
            roles,
            service,
            NUMBER,
            batches(),
            bindings,
            place,
            Incoming(data / "groups", 64 << 20),
            assistant=lambda _: "claw",
            receipts=False,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bindings.run())
            await bindings.caught.wait()
            await inbound.load()
            tasks.create_task(inbound.run())


structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
asyncio.run(main(sys.argv[1], *map(Path, sys.argv[2:])))
