"""A router as a process, to be killed: `python -m tests.image.router_process DATA IMAGE`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import docker

from bot.attempt import Layout, Runner
from bot.author import Author
from bot.engine.sandbox import Sandbox
from bot.operate import assembly
from bot.router import Router
from config.roles import load, read_key
from relay_local.client import connect
from tests.image.stage import LIMITS


async def main(data: Path, image: str) -> None:
    place = assembly.installation(data)
    roles, key = load(place.roles_file), read_key(place.key("router"))
    sandbox = Sandbox(docker.from_env(), image=image, installation=roles.router[:16])
    async with connect(place.relay_address, [key]) as link:
        runner = Runner(Author(link, key), roles, sandbox, Layout(data, place.run), LIMITS)
        router = Router(link, key, roles, runner, pauses_s=(0.1, 0.2))
        serving = asyncio.create_task(router.serve())
        await router.ready.wait()
        print("router: ready", flush=True)
        await serving


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
