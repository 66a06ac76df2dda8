"""Who has spoken in our groups, remembered over a start and in bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.bridges.puppets import puppet_key
from bot.bridges.signal.inward import known as module
from bot.bridges.signal.inward.known import Known
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from relay_local.client import Link, connect
from tests.unit.bot.requests.stage import House, a_house

ALICE = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa"
BOB = "1b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa"


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@pytest.fixture
async def link(house: House) -> AsyncIterator[Link]:
    async with connect(house.place.relay_address, [house.role("bridge-signal")]) as made:
        yield made


def puppet_of(aci: str) -> str:
    return puppet_key(SecretKey(bytes([7]) * 32), f"signal:{aci}").public


async def loaded(house: House, link: Link) -> Known:
    known = Known(link, house.role("bridge-signal"), puppet_of)
    await known.load()
    return known


async def written(house: House, link: Link) -> list[Event]:
    wanted = Filter(
        kinds=frozenset({30078}), authors=frozenset({house.role("bridge-signal").public})
    )
    return [event for event in await link.fetch([wanted]) if event.tag("t") == "signal-person"]


async def test_who_spoke_is_known_after_a_start(house: House, link: Link) -> None:
    known = await loaded(house, link)
    assert ALICE not in known
    assert known.aci_of(puppet_of(ALICE)) is None
    assert known.name_of(ALICE) == "0b1c2d3e… (Signal)"
    for name in ("Alice", "Alice B.", None):
        known.learn(ALICE, name)
        await known.keep(ALICE)
    for one in (known, await loaded(house, link)):
        assert ALICE in one
        assert one.aci_of(puppet_of(ALICE)) == ALICE
        assert one.name_of(ALICE) == "Alice B. (Signal)"
        assert one.plain_name_of(ALICE) == "Alice B."
    # One version, and written no more often than it changes.
    (event,) = await written(house, link)
    again = await loaded(house, link)
    again.learn(ALICE, "Alice B.")
    await again.keep(ALICE)
    assert await written(house, link) == [event]


async def test_a_record_that_is_none_is_passed_over(house: House, link: Link) -> None:
    key = house.role("bridge-signal")
    for content in ("", "[]", '{"aci":7,"name":"x"}', '{"aci":"+49","name":"x"}', '{"name":"x"}'):
        tags = (("d", f"signal/person/{puppet_of(BOB)}"), ("t", "signal-person"))
        former = max((event.created_at for event in await written(house, link)), default=1)
        made = Template(key.public, former + 1, 30078, tags, content).sign(key, bytes(32))
        assert (await link.publish(made)).accepted
        assert BOB not in await loaded(house, link)


async def test_a_crowd_is_held_in_bounds(
    house: House, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a group that anybody may join, and everybody does."""
    monkeypatch.setattr(module, "MAX_KNOWN", 3)
    known = await loaded(house, link)
    people = [f"{number:08x}-4f50-6172-8394-a5b6c7d8e9fa" for number in range(10)]
    for person in people:
        known.learn(person, "x")
        await known.keep(person)
    assert [person in known for person in people] == [False] * 7 + [True] * 3
    assert known.aci_of(puppet_of(people[0])) is None
    assert known.aci_of(puppet_of(people[9])) == people[9]
    assert len(known._by_puppet) == len(known._written) == 3
