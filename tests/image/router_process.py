"""A router as a process, to be killed.

python -m tests.image.router_process DATA IMAGE [PROGRAM MODEL…]
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import docker

from bot.attempt import Runner
from bot.author import Author
from bot.engine.sandbox import Sandbox
from bot.engine.spare_rules import Bounds
from bot.operate import assembly
from bot.router import Router
from bot.run_folders import Layout
from config.roles import load, read_key
from nips.own.model_scope import ModelScope
from relay_local.client import connect
from tests.image.stage import LIMITS


async def main(data: Path, image: str, program: str = "", *models: str) -> None:
    scope = ModelScope(models, 1_000, 1_000_000, 1_000_000) if models else None
    command = ("python3", "-c", program) if program else None
    place = assembly.installation(data)
    roles, key = load(place.roles_file), read_key(place.key("router"))
    sandbox = Sandbox(docker.from_env(), image=image, installation=roles.router[:16])
    async with connect(place.relay_address, [key]) as link:
        bounds = Bounds(int(os.environ.get("SPARES", "0")), free_bytes=0)
        runner = Runner(
            Author(link, key), roles, sandbox, Layout(data, place.run), LIMITS, command, scope,
            bounds=bounds,
        )  # fmt: skip
        router = Router(link, key, roles, runner, print, pauses_s=(0.1, 0.2))
        serving = asyncio.create_task(router.serve())
        await router.ready.wait()
        print("router: ready", flush=True)
        await serving


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
