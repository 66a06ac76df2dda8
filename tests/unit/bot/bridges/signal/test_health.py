"""How Signal's service is doing, as it is written down, and as the owner is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bot.bridges.signal.health import Health, Outgoing
from bot.bridges.signal.service.receiving import Receiving, State
from bot.bridges.signal.service.rest import Service
from bot.bridges.signal.service.shapes import About
from bot.bridges.signal.troubles import Troubles
from nips.filter import Filter
from nips.kinds import Kind
from relay_local.client import Caller, Delivery, connect
from tests.signal_service import NUMBER
from tests.unit.bot.bridges.signal.outbound_stage import WAIT_S, Stage, ended

ABOUT = About("normal", "0.98", 2, ("v1", "v2"), {})


@asynccontextmanager
async def health(stage: Stage, away_s: float = 3600) -> AsyncIterator[Receiving]:
    key, house = stage.bridge, stage.house
    async with (
        connect(house.place.relay_address, [key]) as link, Service(stage.signal.url) as service
    ):  # fmt: skip
        receiving = Receiving(service, NUMBER)
        made = Health(
            link, key, receiving, lambda: {"forwarded": 3}, lambda: Outgoing(1, 2, 3),
            Troubles(Caller(link, key, house.roles.router)), away_s=away_s,
        )  # fmt: skip
        running = asyncio.create_task(made.run())
        try:
            yield receiving
        finally:
            await ended(running)


async def written(stage: Stage, holds: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
    """What is written down, once something holds of it."""
    wanted = Filter(
        kinds=frozenset({int(Kind.APP_DATA)}),
        authors=frozenset({stage.bridge.public}),
        tags={"d": frozenset({"health"})},
    )
    async with asyncio.timeout(WAIT_S), stage.house.link.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery):
                found: Mapping[str, Any] = json.loads(item.event.content)
                if holds(found):
                    return found
    raise AssertionError("the stream ended")


def state_is(state: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda found: found["service"]["state"] == state


async def test_each_change_is_written_down(stage: Stage) -> None:
    async with health(stage) as receiving:
        first = await written(stage, state_is("waiting"))
        assert (first["counts"], first["outgoing"]) == (
            {"forwarded": 3}, {"pending": 1, "uncertain": 2, "failed": 3}
        )  # fmt: skip
        receiving._to(State.LISTENING, "", ABOUT)
        found = await written(stage, state_is("listening"))
        assert found["service"] == {
            "state": "listening", "reason": "", "since_s": receiving.health.since_s,
            "mode": "normal", "version": "0.98",
        }  # fmt: skip
        receiving._to(State.AWAY, "It is gone.", ABOUT)
    # At the end too, whatever the pause between two versions.
    assert (await written(stage, state_is("away")))["service"]["reason"] == "It is gone."


async def test_the_owner_is_told_that_it_is_away_and_that_it_is_back(stage: Stage) -> None:
    async with health(stage) as receiving:  # whatever was before
        receiving._to(State.LISTENING, "", ABOUT)
        await written(stage, state_is("listening"))
    async with health(stage, away_s=0) as receiving:
        receiving._to(State.AWAY, "Nobody answers.", ABOUT)
        await until_told(stage, "Nobody answers.")
    # A start later it is away since the same moment, of which the owner knows.
    away = await written(stage, state_is("away"))
    async with health(stage, away_s=0) as receiving:
        receiving._to(State.AWAY, "Still nobody.", ABOUT)
        again = await written(stage, lambda found: found["service"]["reason"] == "Still nobody.")
        assert again["service"]["since_s"] == away["service"]["since_s"]
        receiving._to(State.LISTENING, "", ABOUT)
        await until_told(stage, "Signal is back")
    assert await stage.told("Still nobody.") == []
    assert len(await stage.told("Signal is back")) == 1


async def test_what_is_away_for_a_moment_is_not_told(stage: Stage) -> None:
    before = len(await stage.told(""))
    async with health(stage) as receiving:
        receiving._to(State.AWAY, "For a moment.", ABOUT)
        await written(stage, lambda found: found["service"]["reason"] == "For a moment.")
        receiving._to(State.LISTENING, "", ABOUT)
        await written(stage, state_is("listening"))
    assert len(await stage.told("")) == before


async def until_told(stage: Stage, words: str) -> None:
    wanted = Filter(
        kinds=frozenset({int(Kind.CHAT)}),
        tags={"t": frozenset({"trouble/signal"})},
        since=int(time.time()) - 60,
    )
    async with asyncio.timeout(WAIT_S), stage.house.link.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and words in item.event.content:
                return
