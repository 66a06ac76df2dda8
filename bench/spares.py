"""Shell: how soon the agent's code runs after its job event, in a container that waited for it.

Relay, signer and router are real processes, the containers the agent's own, whose program also
writes down when it is ready and when the first line of its code runs that knows of the job: all by
one clock. The job event counts from when it is stored and has come back to the owner's client.

The peer in the same run is the same without spares: each job's container is made for it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from bench.figures import Figures, summarise
from bench.router_place import Place, place
from bench.tables import a_row_each
from bot.engine.host import engine as found_engine
from bot.operate.assembly import SOURCE_TREE
from bot.operate.image import ensure_image
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from relay_local.client import Delivery

ENGINE_ROOT = SOURCE_TREE / ".engine"
WARM_UP = 50
COLD = 20
SILENCE_S = 120.0  # without any answer: something is wrong
LOOK_S = 0.02
SETTLE_S = 0.2  # after the spare says that it waits: what its start has left to do is not measured

PROGRAM = """
import sys, time
from pathlib import Path
from agent_image.agent import __main__ as agent, session

folder, waited = Path("/workspace/group"), session._started

async def started(link, key, idle):
    async def ready():
        await idle()
        (folder / "ready").write_text(key)
    event = await waited(link, key, ready)
    began = time.time_ns()
    (folder / "began").write_text(f"{key} {began}")
    return event

session._started = started
sys.exit(agent.main(sys.argv[1:]))
"""


def run(jobs: int, announce: Callable[[str], None]) -> list[Figures]:
    """Measure `jobs` warm ones after some to warm up, and a few cold ones. Raises
    EngineUnavailable, RuntimeError."""
    with found_engine(ENGINE_ROOT, install=True, announce=announce) as engine:
        image = ensure_image(engine, announce)
        os.environ["DOCKER_HOST"] = engine.url
        return asyncio.run(_measure(image, jobs, announce))


async def _measure(image: str, jobs: int, announce: Callable[[str], None]) -> list[Figures]:
    announce(f"{jobs} jobs after {WARM_UP} to warm up, each in its group's spare")
    async with place(image, 4, spares=1, program=PROGRAM) as there:
        warm = await to_first_line_ms(there, jobs + WARM_UP, waits=True)
    announce(f"{COLD} jobs, each in a new container")
    async with place(image, 4, program=PROGRAM) as there:
        cold = await to_first_line_ms(there, COLD, waits=False)
    return [
        summarise("job event to first line, warm", "ms", [one for one, _ in warm[WARM_UP:]]),
        summarise("job event to done, warm", "ms", [all_ for _, all_ in warm[WARM_UP:]]),
        summarise("peer: job event to first line, cold", "ms", [one for one, _ in cold]),
        summarise("peer: job event to done, cold", "ms", [all_ for _, all_ in cold]),
    ]


async def to_first_line_ms(there: Place, jobs: int, *, waits: bool) -> list[tuple[float, float]]:
    """Milliseconds from each job's event to the first line, and to its end event; one job after
    the other, in main. waits: each is asked for when a spare is ready."""
    folder = there.data / "groups" / "main"
    events = Filter(
        kinds=frozenset({int(Kind.JOB_REQUEST), int(Kind.JOB_RESULT)}),
        authors=frozenset({there.roles.router}),
        since=int(time.time()) - 1,
    )
    took, ready = [], ""
    async with there.client.subscribe([events]) as stream:

        async def come(kind: Kind, about: str) -> tuple[Event, int]:
            async with asyncio.timeout(SILENCE_S):
                async for item in stream:
                    if isinstance(item, Delivery) and item.event.kind == kind:
                        now = time.time_ns()
                        if about in item.event.values("e"):
                            return item.event, now
            raise RuntimeError("the subscription ended")

        for number in range(jobs):
            if waits:
                ready = await _changed(folder / "ready", ready)
                await asyncio.sleep(SETTLE_S)
            message = there.message(there.roles.main, f"/say {number}")
            await there.publish(message)
            request, asked_ns = await come(Kind.JOB_REQUEST, message.id)
            _, done_ns = await come(Kind.JOB_RESULT, request.id)
            key, began = (folder / "began").read_text().split()
            if waits and key != ready:
                raise RuntimeError("a job did not run in the spare")
            took.append(((int(began) - asked_ns) / 1e6, (done_ns - asked_ns) / 1e6))
    return took


async def _changed(path: Path, before: str) -> str:
    """What a container writes into a file, once it is not what it was."""
    deadline_s = time.monotonic() + SILENCE_S
    while time.monotonic() < deadline_s:
        now = await asyncio.to_thread(_read, path)
        if now not in ("", before):
            return now
        await asyncio.sleep(LOOK_S)  # another process's file: there is no event to wait for
    raise RuntimeError("no spare was ready")


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def table(figures: list[Figures]) -> Table:
    """A row a figure."""
    return a_row_each("spares", figures, 1)
