"""The bot is stopped and started again and again: what it has answered stays answered, once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_bytes

from bot.engine.host import Engine
from bot.operate.assembly import SOURCE_TREE
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from tests.figures import dice, figure
from tests.unit.bot.bridges.nostr.stage import Person, Stage, a_person, a_stage

OWNER = SecretKey.generate(token_bytes)
READY_S = 60.0


class Bot:
    """The bot's own process on a stage, started here: a supervisor would wait longer each time."""

    def __init__(self, stage: Stage, engine: Engine, image: str) -> None:
        self._argv = (
            sys.executable, "-m", "bot", "run",
            "--data", str(stage.place.data), "--run", str(stage.place.run),
            "--image", image, "--engine-root", str(SOURCE_TREE / ".engine"),
        )  # fmt: skip
        self._environ = os.environ | {"DOCKER_HOST": engine.url}
        self._log = stage.place.data / "bot.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                cwd=SOURCE_TREE,
                env=self._environ,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_S):
            line = await self._process.stdout.readline()
        assert line == b"bot: ready\n", self._log.read_text(errors="replace")[-3000:]

    async def end(self, by: signal.Signals) -> None:
        """End it and wait for its end."""
        assert self._process is not None
        if self._process.returncode is not None:
            return
        self._process.send_signal(by)
        status = await asyncio.wait_for(self._process.wait(), READY_S)
        assert status == (0 if by == signal.SIGTERM else -by)


@asynccontextmanager
async def a_bot(engine: Engine, image: str) -> AsyncIterator[tuple[Stage, Bot, Person]]:
    """A running bot, everything it needs, and its owner, who has been welcomed."""
    async with a_stage(OWNER.public) as stage, a_person(stage.public, OWNER) as owner:
        bot = Bot(stage, engine, image)
        await owner.announce()
        await bot.start()
        try:
            yield stage, bot, owner
        finally:
            await bot.end(signal.SIGTERM)


async def test_a_restart_repeats_no_reply(
    engine: Engine, agent_image: str, record_property: Callable[[str, object], None]
) -> None:
    restarts, chance = figure("restarts"), dice("restarts")
    heard: dict[str, str] = {}

    async with a_bot(engine, agent_image) as (stage, bot, owner):

        async def hear(text: str) -> None:
            """Hear messages until this one comes. One rumor in two wraps is one message."""
            while text not in heard.values():
                rumor = await owner.hear(90)
                heard[rumor.id] = rumor.content

        for number in range(restarts):
            answered_before = chance.random() < 0.5
            if answered_before:
                await owner.say(stage.roles.bot, f"/say {number}")
                await hear(str(number))
            await bot.end(chance.choice([signal.SIGTERM, signal.SIGKILL]))
            if not answered_before:  # it waits at the public relays
                await owner.say(stage.roles.bot, f"/say {number}")
            await bot.start()
            if not answered_before:
                await hear(str(number))
        # Whatever a repetition would be, it comes before the answer to what is said last.
        await owner.say(stage.roles.bot, "/say last")
        await hear("last")

        expected = [*map(str, range(restarts)), "last"]
        welcome, *replies = heard.values()
        assert "owner" in welcome
        assert sorted(replies) == sorted(expected)
        wanted = Filter(
            kinds=frozenset({int(Kind.CHAT)}), authors=frozenset({stage.roles.bot}), limit=5_000
        )
        said = [event.content for event in await stage.link.fetch([wanted])]
        assert sorted(said) == sorted(expected)
    record_property("restarts", restarts)
    record_property("replies, each once", len(expected))
