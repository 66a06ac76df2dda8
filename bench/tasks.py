"""Shell: how soon a task runs that is due, how many at once, and what ten thousand cost.

Relay, signer, router are real processes; the owner's client sees the events. Four parts:

    due       from the second at which a task is due until its 43001 is stored and has come to the
              client: by itself in its second, and a few together; then until the first line of the
              agent's code, in a container that waited
    at once   a thousand that are due in one second, of fifty groups: whether their jobs come in the
              order of the tasks, and whether no more containers run than there are places
    many      ten thousand tasks that are due some day: the memory they add to the router, and its
              processor time in a minute
    peer      APScheduler alone with as many jobs in memory
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from rich.table import Table

from bench import tables
from bench.cpu import cpu_s
from bench.figures import Figures, summarise
from bench.pss import pss_mib
from bench.router_place import Place, place
from bench.spares import PROGRAM
from bench.tasks_at_once import IN_FLIGHT, LEAD_S, SILENCE_S, at_once, of_router
from bot.author import Author
from bot.beginning import make_main
from bot.directory import Directory
from bot.engine.host import engine as found_engine
from bot.operate.assembly import SOURCE_TREE
from bot.operate.image import ensure_image
from nips.kinds import Kind
from nips.own import task as tasks
from nips.own.roles import Roles
from nips.own.schedule import Schedule
from nips.own.task import Task
from relay_local.client import Delivery

ENGINE_ROOT = SOURCE_TREE / ".engine"
PLACES = 4
MANY = 10_000
TOGETHER = 5  # due in one second
PEER_DUE = 100
SETTLE_S = 10.0  # after its start
EVERY_S = 4  # of those that a spare waits for
FAR_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Size:
    """due: tasks that are due by themselves and together; warm: of those in spares; at_once: due in
    one second, of whose jobs so many are waited for as `ended` says; idle_s: of `many`."""

    due: int
    warm: int
    at_once: int
    ended: int
    idle_s: float


FULL = Size(1_000, 30, 1_000, 100, 60.0)
QUICK = Size(50, 5, 100, 20, 10.0)


def run(size: Size, announce: Callable[[str], None]) -> tuple[list[Figures], dict[str, object]]:
    """Measure all. Raises EngineUnavailable, RuntimeError."""
    with found_engine(ENGINE_ROOT, install=True, announce=announce) as engine:
        image = ensure_image(engine, announce)
        os.environ["DOCKER_HOST"] = engine.url
        return asyncio.run(_measure(image, size, announce))


async def _measure(
    image: str, size: Size, announce: Callable[[str], None]
) -> tuple[list[Figures], dict[str, object]]:
    alone, a_few = size.due // 4, size.due - size.due // 4
    announce(f"{alone} tasks due one a second, then {a_few} due {TOGETHER} a second")
    late_ms = await due_to_job_ms(image, alone, 1)
    late_few_ms = await due_to_job_ms(image, a_few, TOGETHER)
    announce(f"{size.warm} tasks, each in a spare")
    warm_ms = await due_to_first_line_ms(image, size.warm)
    announce(f"{size.at_once} tasks due in one second, {PLACES} containers")
    async with place(image, PLACES) as there:
        crowd = await at_once(there, size.at_once, size.ended)
    announce(f"{MANY} tasks that wait, {size.idle_s:g} s")
    without_mib, without_s = await many(image, 0, size.idle_s)
    with_mib, with_s = await many(image, MANY, size.idle_s)
    announce("APScheduler alone")
    peer = await _peer(min(alone, PEER_DUE), size.idle_s)
    figures = [
        summarise("due to job event, one a second", "ms", late_ms),
        summarise(f"due to job event, {TOGETHER} a second", "ms", late_few_ms),
        summarise("due to first line, warm", "ms", warm_ms),
        summarise("peer: due to called, one a second", "ms", peer["late_ms"]),
    ]
    return figures, {
        "at_once": crowd.to_json(),
        "many": {
            "tasks": MANY,
            "added_mib": round(with_mib - without_mib, 1),
            "idle_cpu_s": round(with_s, 2),
            "idle_cpu_s_without": round(without_s, 2),
            "idle_s": size.idle_s,
            "peer_added_mib": round(peer["mib"], 1),
            "peer_idle_cpu_s": round(peer["idle_cpu_s"], 2),
        },
    }


# Due


async def due_to_job_ms(image: str, count: int, a_second: int) -> list[float]:
    """Milliseconds from each task's second to its job event at the client; nothing is done with
    the jobs."""
    first_s = 0

    async def prepared(author: Author, roles: Roles) -> None:
        nonlocal first_s
        first_s = int(time.time()) + LEAD_S + count // 200
        await _put(
            author,
            roles,
            [_once(roles.main, first_s + number // a_second) for number in range(count)],
        )

    late_ms: list[float] = []
    async with place(image, 0, prepared=prepared) as there:
        if time.time() >= first_s:
            raise RuntimeError("the router took too long to start")
        async for slot_s, came_ns in _runs(there, count):
            late_ms.append(came_ns / 1e6 - slot_s * 1000)
    return late_ms


async def due_to_first_line_ms(image: str, count: int) -> list[float]:
    """The same to the first line of the agent's code, in main's spare."""
    first_s = 0

    async def prepared(author: Author, roles: Roles) -> None:
        nonlocal first_s
        first_s = int(time.time()) + 2 * LEAD_S
        every = range(first_s, first_s + count * EVERY_S, EVERY_S)
        await _put(author, roles, [_once(roles.main, second) for second in every])

    late_ms: list[float] = []
    async with place(image, PLACES, spares=1, program=PROGRAM, prepared=prepared) as there:
        folder = there.data / "groups" / "main"
        wanted = of_router(there, Kind.JOB_REQUEST, Kind.JOB_RESULT)
        slots: dict[str, tuple[int, str]] = {}  # by a job, its slot and the spare that waits
        async with there.client.subscribe([wanted]) as stream:
            while len(late_ms) < count:
                async with asyncio.timeout(SILENCE_S):
                    item = await anext(aiter(stream))
                if not isinstance(item, Delivery):
                    continue
                if item.event.kind == Kind.JOB_REQUEST:
                    ready = (folder / "ready").read_text()
                    slots[item.event.id] = int(item.event.tag("slot") or 0), ready
                elif (due := slots.get(item.event.tag("e") or "")) is not None:
                    key, began_ns = (folder / "began").read_text().split()
                    if key != due[1]:
                        raise RuntimeError("a task did not run in the spare")
                    late_ms.append(int(began_ns) / 1e6 - due[0] * 1000)
    return late_ms


async def _runs(there: Place, count: int) -> AsyncIterator[tuple[int, int]]:
    """Slot and arrival (nanoseconds) of so many job events."""
    async with there.client.subscribe([of_router(there, Kind.JOB_REQUEST)]) as stream:
        while count:
            async with asyncio.timeout(SILENCE_S):
                item = await anext(aiter(stream))
            if isinstance(item, Delivery) and (slot := item.event.tag("slot")):
                count -= 1
                yield int(slot), time.time_ns()


# Many


async def many(image: str, count: int, idle_s: float) -> tuple[float, float]:
    """Memory of a router with so many tasks (MiB), and its processor seconds while none is due."""

    async def prepared(author: Author, roles: Roles) -> None:
        await _put(author, roles, [_once(roles.main, _far_s(number)) for number in range(count)])

    async with place(image, 0, prepared=prepared) as there:
        await asyncio.sleep(SETTLE_S)
        began = cpu_s(there.router_pid)
        await asyncio.sleep(idle_s)
        return pss_mib(there.router_pid), cpu_s(there.router_pid) - began


async def _peer(due: int, idle_s: float) -> dict[str, Any]:
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.tasks_peer", str(MANY), str(due), "1", str(idle_s),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await running.communicate()
    if running.returncode != 0:
        raise RuntimeError("the peer did not run")
    return dict(json.loads(out))


# Tasks


def _once(group: str, at_s: int) -> Task:
    moment = f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
    prompt = "/say The plants are to be watered, as on every day at this time."
    return Task(
        group, str(uuid4()), "Water the plants", prompt, Schedule("once", moment), "UTC", at_s
    )


def _far_s(number: int) -> int:
    return int(time.time()) + FAR_S + number


async def _put(author: Author, roles: Roles, planned: Sequence[Task]) -> None:
    """Plan tasks in main, as the router does, before there is one."""
    assert roles.owner is not None
    await make_main(author, roles, roles.owner, Directory(author))
    for first in range(0, len(planned), IN_FLIGHT):
        await asyncio.gather(
            *(_put_one(author, task) for task in planned[first : first + IN_FLIGHT])
        )


async def _put_one(author: Author, task: Task) -> None:
    await author.require(tasks.template(task, author.pubkey, author.now_s(), ""))


def table(figures: list[Figures], found: dict[str, object]) -> Table:
    """A row a figure; what is no figure beneath."""
    shown = tables.a_row_each("tasks", figures, 1)
    shown.caption = json.dumps(found)
    return shown
