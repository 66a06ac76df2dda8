"""A router as a process, to be killed, while no container can start:
`python -m tests.unit.bot.commands.router_process DATA`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import docker

from bot.attempt import Runner
from bot.author import Author
from bot.engine.outcome import Limits
from bot.engine.sandbox import Sandbox
from bot.operate import assembly
from bot.router import Router
from bot.run_folders import Layout
from config.roles import load, read_key
from relay_local.client import connect
from tests.unit.bot.commands.stage import NO_ENGINE


async def main(data: Path) -> None:
    place = assembly.installation(data)
    roles, key = load(place.roles_file), read_key(place.key("router"))
    engine = docker.DockerClient(base_url=NO_ENGINE, version="1.41", timeout=5)
    sandbox = Sandbox(engine, image="none:0", installation=roles.router[:16])
    async with connect(place.relay_address, [key]) as link:
        runner = Runner(Author(link, key), roles, sandbox, Layout(data, place.run), Limits())
        router = Router(link, key, roles, runner, print)
        serving = asyncio.create_task(router.serve())
        await router.ready.wait()
        print("router: ready", flush=True)
        await serving


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
