"""Shell: from a wrap at a public relay on loopback to the answer's wrap there, and idle memory.

The peer in the same run is the engine alone: the same image, as bare as the engine starts it, and
Python that does nothing. What a reply costs beyond that is ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import docker
import nostr_sdk as sdk
from rich.table import Table

from bench.figures import Figures, summarise
from bench.pss import pss_mib
from bench.tables import a_row_each
from bench.warmth import turn_ms, turns_ms
from bot.engine.host import Engine, connect
from bot.engine.host import engine as found_engine
from bot.operate.assembly import SOURCE_TREE
from bot.operate.house import House, house
from bot.operate.image import ensure_image
from bot.operate.person import person

ENGINE_ROOT = SOURCE_TREE / ".engine"
IDLE_S = 10.0
WARM_UP = 50


def run(messages: int, announce: Callable[[str], None]) -> list[Figures]:
    """Find or start an engine and measure. Raises EngineUnavailable."""
    with found_engine(ENGINE_ROOT, install=True, announce=announce) as engine:
        return asyncio.run(measure(engine, messages, announce))


def table(figures: list[Figures]) -> Table:
    """A row a figure."""
    return a_row_each("first light", figures)


async def measure(engine: Engine, messages: int, announce: Callable[[str], None]) -> list[Figures]:
    """Run a whole installation and return its figures."""
    image = await asyncio.to_thread(ensure_image, engine, announce)
    os.environ["DOCKER_HOST"] = engine.url
    keys = sdk.Keys.generate()
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(
            house(image=image, engine_root=ENGINE_ROOT, owner=keys.public_key().to_hex())
        )
        owner = await stack.enter_async_context(person(there.public_relays, keys))
        await owner.hear()  # the welcome
        announce("three messages to warm up")
        for number in range(3):
            await turn_ms(there, owner, *_words(number))
        announce(f"{messages} messages, one after the other, each as soon as the last is answered")
        replies = [await turn_ms(there, owner, *_words(number)) for number in range(messages)]
        warm_up = min(WARM_UP, messages)
        announce(f"{messages} messages after {warm_up}, each when a spare waits for it")
        warm = await turns_ms(there, owner, messages, warm_up, _words, announce)
        announce(f"idle for {IDLE_S:g} s, then the memory of every process")
        await asyncio.sleep(IDLE_S)
        memory = idle_mib(there)
    announce("the engine alone")
    bare = await asyncio.to_thread(bare_container_ms, engine, image, min(messages, 20))
    return [
        summarise("wrap in to wrap out, without a pause", "ms", replies),
        summarise("wrap in to wrap out, warm container", "ms", warm),
        summarise("peer: engine alone, same image, python that does nothing", "ms", bare),
        *(summarise(f"idle memory (Pss): {name}", "MiB", [mib]) for name, mib in memory.items()),
        summarise("idle memory (Pss): all", "MiB", [sum(memory.values())]),
    ]


def _words(number: int) -> tuple[str, str]:
    return f"/say {number}", str(number)


def bare_container_ms(engine: Engine, image: str, runs: int) -> list[float]:
    """Milliseconds of create, start, end of a container that runs `python3 -c pass`."""
    client = connect(engine)
    try:
        return [_one(client, image) for _ in range(runs)]
    finally:
        client.close()


def _one(client: docker.DockerClient, image: str) -> float:
    began = time.perf_counter()
    container = client.containers.create(
        image, entrypoint=["python3", "-c", "pass"], network_mode="none", user="1000:1000"
    )
    try:
        container.start()
        container.wait()
        return (time.perf_counter() - began) * 1000
    finally:
        container.remove(force=True)


def idle_mib(there: House) -> dict[str, float]:
    """Proportional set size of the supervisor and each of its programs, public relays left out."""
    status = json.loads(there.place.status_file.read_text())
    pids = {"supervisor": status["pid"]} | {
        name: program["pid"]
        for name, program in status["programs"].items()
        if not name.startswith("public")
    }
    return {name: pss_mib(pid) for name, pid in pids.items()}
