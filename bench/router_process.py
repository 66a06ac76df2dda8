"""Shell: a router as a process, to be measured.

python -m bench.router_process DATA IMAGE PLACES [SPARES PROGRAM]

With no places its jobs wait for ever: then it is measured alone, without containers beside it.
PROGRAM: what its containers run instead of the agent's program, with the same arguments.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import docker
import structlog

from bot.attempt import Runner
from bot.author import Author
from bot.engine.outcome import Limits
from bot.engine.sandbox import Sandbox
from bot.engine.spare_rules import Bounds
from bot.operate import assembly
from bot.router import Router
from bot.run_folders import Layout
from config.roles import load, read_key
from relay_local.client import connect

READY = "router: ready"


async def main(data: Path, image: str, places: int, spares: int, program: str) -> None:
    """Serve until SIGTERM."""
    place = assembly.installation(data)
    roles, key = load(place.roles_file), read_key(place.key("router"))
    sandbox = Sandbox(
        docker.from_env(),
        image=image,
        installation=roles.router[:16],
        at_once=max(1, places + spares),
    )
    async with connect(place.relay_address, [key]) as link:
        said = ("--signer", roles.signer, "--seconds", "600")
        command = ("python3", "-c", program, *said) if program else None
        bounds = Bounds(spares, free_bytes=0)
        runner = Runner(
            Author(link, key), roles, sandbox, Layout(data, place.run), Limits(), command,
            bounds=bounds,
        )  # fmt: skip
        router = Router(link, key, roles, runner, print, places=places)
        serving = asyncio.create_task(router.serve())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        ready = asyncio.create_task(router.ready.wait())
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        print(READY, flush=True)
        await asyncio.gather(serving, return_exceptions=True)


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),  # as it is by default
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    given = [*sys.argv[1:], "0", ""][:5]
    asyncio.run(main(Path(given[0]), given[1], int(given[2]), int(given[3]), given[4]))
    sys.stdout.flush()
    os._exit(0)
