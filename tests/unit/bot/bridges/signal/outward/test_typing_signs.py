"""People on Signal see that the assistant is at work, for as long as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_bytes

import pytest

from bot.bridges.bindings import Bindings
from bot.bridges.signal.outward.typing_signs import TypingSigns
from bot.bridges.signal.service.rest import Service
from bot.operate.stand_ins.signal_faults import refuses
from nips.kinds import Kind
from nips.own import job
from relay_local.client import connect
from tests.signal_service import NUMBER
from tests.unit.bot.bridges.signal.outbound_stage import Stage, a_bridge, a_person, ended, seen


@asynccontextmanager
async def signs(
    stage: Stage, *, there: bool = True, refresh_s: float = 60.0, silent_s: float = 60.0
) -> AsyncIterator[TypingSigns]:
    await stage.signal.faults()
    roles = stage.house.roles
    async with (
        connect(stage.house.place.relay_address, [stage.bridge]) as link,
        Service(stage.signal.url) as service,
    ):
        bindings = Bindings(link, roles, "signal")
        following = asyncio.create_task(bindings.run())
        await bindings.caught.wait()
        made = TypingSigns(
            link, service, NUMBER, roles, bindings, lambda: there,
            refresh_s=refresh_s, silent_s=silent_s,
        )  # fmt: skip
        running = asyncio.create_task(made.run())
        await made.caught.wait()
        try:
            yield made
        finally:
            await ended(running, following)


async def works(stage: Stage, group: str) -> None:
    """What the router says every three seconds."""
    await stage.say(group, "", kind=Kind.TYPING)


async def shown(stage: Stage, person: str, n: int) -> list[bool]:
    return [one["on"] for one in await stage.got(person, n, "typing")]


@pytest.mark.parametrize("how", ["result", "error", "answer"])
async def test_it_is_shown_until_the_work_ends(stage: Stage, how: str) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    router, work = stage.house.key.public, token_bytes(32).hex()
    async with signs(stage) as made:
        await works(stage, group)
        await works(stage, group)
        assert await shown(stage, alice, 1) == [True]
        now_s = stage.house.author.now_s()  # of what it follows, not of before
        match how:
            case "result":
                await stage.house.author.require(job.result(router, group, work, now_s, "done"))
            case "error":
                await stage.house.author.require(job.error(router, group, work, "no", now_s))
            case _:
                made.end(group)
        assert await shown(stage, alice, 2) == [True, False]
        await works(stage, group)
        assert await shown(stage, alice, 3) == [True, False, True]


async def test_it_is_shown_anew_before_signal_forgets_it(stage: Stage) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    async with signs(stage, refresh_s=0.05):
        await works(stage, group)
        assert await shown(stage, alice, 4) == [True] * 4


async def test_it_ends_with_the_router_s_silence(stage: Stage) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    async with signs(stage, silent_s=0.3):
        await works(stage, group)
        assert await shown(stage, alice, 2) == [True, False]


async def test_nothing_is_shown_where_nobody_is_or_the_service_is_away(stage: Stage) -> None:
    alice, bob = a_person(), a_person()
    group = (await stage.group(alice)).group
    async with signs(stage, there=False):
        await works(stage, group)
        await works(stage, (await stage.group()).group)
    async with signs(stage):
        await works(stage, (await stage.group()).group)
        await works(stage, (await stage.group(bob)).group)
        assert await shown(stage, bob, 1) == [True]
    assert await shown(stage, alice, 0) == []


async def test_what_cannot_be_shown_holds_nothing_up(stage: Stage) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    async with a_bridge(stage), signs(stage):
        await stage.signal.faults(refuses("sendTyping", times=None))
        await works(stage, group)
        await stage.say(group, "the answer")
        assert seen(await stage.got(alice, 1)) == ["the answer"]


async def test_an_answer_takes_the_sign_away(stage: Stage) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    await stage.signal.faults()
    async with a_bridge(stage) as bridge:
        await bridge._signs.caught.wait()
        await works(stage, group)
        assert await shown(stage, alice, 1) == [True]
        await stage.say(group, "the answer")
        assert await shown(stage, alice, 2) == [True, False]
