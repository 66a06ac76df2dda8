"""The doorbell with a real relay and the router's real reception behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_bytes

import pytest

from bot.bridges import doorbell
from bot.bridges.doorbell import MAX_QUEUED, MAX_REMEMBERED, Doorbell
from bot.requests.house import Others
from bot.strangers import MAX_SHOWN_A_DAY, Strangers
from nips.key import SecretKey
from relay_local.client import Caller, connect
from tests.unit.bot.requests.stage import House, a_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


def somebody() -> frozenset[str]:
    return frozenset({SecretKey.generate(token_bytes).public})


async def named(people: frozenset[str]) -> dict[str, str]:
    return {person: f"{person[:4]} (Nostr)" for person in people}


async def never(*_: str) -> str:
    raise AssertionError("a bridge does not ask this")


@asynccontextmanager
async def at_the_door(house: House) -> AsyncIterator[tuple[Doorbell, Strangers]]:
    """A bridge's doorbell, and the strangers of the router that answers."""
    requests = await house.requests()
    strangers = Strangers(house.author, house.roles, house.owner.public, house.registry())
    await strangers.load()
    answering = asyncio.create_task(requests.serve(Others(strangers.report, never, never)))
    key = house.role("bridge-nostr")
    async with connect(house.place.relay_address, [key]) as link:
        caller = Caller(link, key, house.roles.router)
        bell = Doorbell(caller, "nostr", named, lambda: house.owner.public)
        ringing = asyncio.create_task(bell.run())
        try:
            yield bell, strangers
        finally:
            for task in (ringing, answering):
                task.cancel()
            await asyncio.gather(ringing, answering, return_exceptions=True)


async def until(strangers: Strangers, n: int) -> None:
    async with asyncio.timeout(30):
        while len(strangers.all()) < n:
            await asyncio.sleep(0.02)


async def test_the_router_is_told_who_and_shows_them(house: House) -> None:
    async with at_the_door(house) as (bell, strangers):
        person, room = somebody(), somebody() | somebody() | {house.owner.public}
        for people in (person, person, room, person, room):
            bell.ring(people)
        await until(strangers, 2)
        shown = {frozenset(each.people) for each in strangers.all()}
    assert shown == {person, room}
    said = [event.content for event in await house.said(house.roles.main)]
    assert sum("wrote to me" in text for text in said) == 2


async def test_so_many_are_remembered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a key for each day of a year, none of which is ever forgotten."""
    monkeypatch.setattr(doorbell, "MAX_REMEMBERED", 3)
    async with at_the_door(house) as (bell, strangers):
        for n in range(6):
            bell.ring(somebody())
            await until(strangers, n + 1)
        assert len(bell._rung) <= 3


async def test_ten_thousand_who_ring_leave_little(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a stranger for each message, to fill memory, disk and the owner's conversation."""
    async with at_the_door(house) as (bell, strangers):
        for _ in range(10_000):
            bell.ring(somebody())
        assert bell._queue.qsize() == MAX_QUEUED
        assert len(bell._rung) <= MAX_QUEUED
        await until(strangers, MAX_SHOWN_A_DAY)
        async with asyncio.timeout(30):
            while bell._queue.qsize():
                await asyncio.sleep(0.02)
        bell.ring(late := somebody())
        assert bell._queue.empty()  # it is quiet now: the router shows no more
        assert late not in bell._rung
        assert len(bell._rung) <= MAX_REMEMBERED
        monkeypatch.setattr(bell, "_quiet_until", 0.0)
        bell.ring(late)
        assert late in bell._rung
    assert len(await house.records("stranger/")) == MAX_SHOWN_A_DAY


async def test_a_room_of_too_many_is_nobody(house: House) -> None:
    async with at_the_door(house) as (bell, _):
        bell.ring(frozenset().union(*(somebody() for _ in range(51))))
        assert bell._queue.empty()
