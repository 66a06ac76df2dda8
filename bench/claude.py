"""Shell: what the `claude` backend adds to a turn, in a container that waited for it.

A whole installation, the real program, and a process that stands in for its provider on loopback
and answers at once. The peer in the same run is the `builtin` backend, whose turn goes the same
way, from wrap to wrap, and asks no model. One conversation grows with every turn, as a person's
does: the program reads all of it and sends all of it each time.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import nostr_sdk as sdk
from rich.table import Table

from bench.figures import Figures, summarise
from bench.tables import a_row_each
from bench.warmth import turns_ms
from bot.engine.host import Engine
from bot.engine.host import engine as found_engine
from bot.operate.assembly import SOURCE_TREE
from bot.operate.house import house
from bot.operate.image import ensure_image
from bot.operate.person import person
from bot.operate.stand_ins.model import stand_in

ENGINE_ROOT = SOURCE_TREE / ".engine"
WARM_UP = 50
AGENT = {"backends": ["builtin"]}


def run(turns: int, announce: Callable[[str], None]) -> list[Figures]:
    """Measure `turns` with each backend after some to warm up. Raises EngineUnavailable,
    RuntimeError, StandInError."""
    with found_engine(ENGINE_ROOT, install=True, announce=announce) as engine:
        return asyncio.run(_measure(engine, turns, announce))


async def _measure(engine: Engine, turns: int, announce: Callable[[str], None]) -> list[Figures]:
    image = await asyncio.to_thread(ensure_image, engine, announce)
    os.environ["DOCKER_HOST"] = engine.url
    keys = sdk.Keys.generate()
    warm_up = min(WARM_UP, turns)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nostrclaw-bench-"))
        model = await stack.enter_async_context(stand_in(Path(folder)))
        there = await stack.enter_async_context(
            house(
                image=image,
                engine_root=ENGINE_ROOT,
                owner=keys.public_key().to_hex(),
                prepared=lambda place: model.configure(place.signer),
                agent=AGENT,
            )
        )
        owner = await stack.enter_async_context(person(there.public_relays, keys))
        await owner.hear()  # the welcome
        announce(f"{turns} turns with builtin, after {warm_up} to warm up")
        plain = await turns_ms(there, owner, turns, warm_up, _plainly, announce)
        await owner.say(there.roles.bot, "/group main backend claude")
        await owner.hear()
        announce(f"{turns} turns with claude, after {warm_up} to warm up")
        asked = await turns_ms(there, owner, turns, warm_up, _asked, announce)
    return [
        summarise("wrap in to wrap out, claude, warm container", "ms", asked),
        summarise("peer: the same, builtin", "ms", plain),
    ]


def added_ms(figures: list[Figures]) -> dict[str, float]:
    """What the backend adds to the peer's median turn: at its own median, and at its p99."""
    asked, plain = figures
    return {"p50": asked.p50 - plain.p50, "p99": asked.p99 - plain.p50}


def table(figures: list[Figures]) -> Table:
    """A row a figure, and what is added."""
    shown = a_row_each("claude", figures)
    p50, p99 = (f"[bold]{value:.0f}[/]" for value in added_ms(figures).values())
    shown.add_row("added by claude", "ms", "", "", p50, p99, "")
    return shown


def _plainly(number: int) -> tuple[str, str]:
    return f"/say {number}", str(number)


def _asked(number: int) -> tuple[str, str]:
    return f"[[say number {number}]]", f"number {number}"
