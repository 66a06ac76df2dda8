"""Who was bound as of a reader's place, on a real relay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.bridges.bindings import Bound
from bot.bridges.standing import Standing
from bot.place import Place
from nips.own.binding import Binding
from relay_local.client import connect
from tests.unit.bot.requests.stage import House, a_house

GROUP, OTHER = (f"{n}f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4" for n in range(2))


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@asynccontextmanager
async def reader(house: House, name: str, *now: Bound) -> AsyncIterator[Standing]:
    """What a reader begins with while these are the bindings."""
    key = house.role("bridge-signal")
    async with connect(house.place.relay_address, [key]) as link:
        made = Standing(link, key, "signal", Place(link, key, name), name)
        await made.load({bound.binding.group: bound for bound in now})
        yield made


def bound(*people: str, group: str = GROUP, trigger: str | None = None) -> Bound:
    return Bound(Binding(group, "folder", people, trigger), "ab" * 32, "signal")


def people_of(standing: Standing, group: str = GROUP) -> tuple[str, ...]:
    found = standing.of(group)
    return found.people if found else ()


async def test_nobody_is_bound_until_the_reader_comes_to_it(house: House) -> None:
    async with reader(house, "first", bound("signal:a", "nostr:n")) as standing:
        assert people_of(standing) == ()
        await standing.learn(bound("signal:a", "nostr:n"))
        assert people_of(standing) == ("a",)
        assert people_of(standing, OTHER) == ()


async def test_it_is_remembered_and_whoever_is_new_waits(house: House) -> None:
    async with reader(house, "second") as standing:
        await standing.learn(bound("signal:a", "signal:b"))
        await standing.learn(bound("signal:c", group=OTHER))
        assert people_of(standing) == ("a", "b")
    now = bound("signal:b", "signal:new", trigger="claw")
    async with reader(house, "second", now, bound("signal:c", group=OTHER)) as standing:
        # Who is unbound is so at once, and what else a binding says counts at once.
        assert people_of(standing) == ("b",)
        assert (found := standing.of(GROUP)) is not None
        assert found.binding.trigger == "claw"
        assert people_of(standing, OTHER) == ("c",)
        await standing.learn(now)
        assert people_of(standing) == ("b", "new")
    async with reader(house, "second", now) as standing:
        assert people_of(standing) == ("b", "new")
    async with reader(house, "another", now) as standing:
        assert people_of(standing) == ()
