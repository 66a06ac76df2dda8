"""What is told to the router, however it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from bot.bridges.signal import troubles
from bot.bridges.signal.troubles import MAX_TRIES, Topic, Troubles
from bot.requests.callers import Bridge
from bot.requests.methods import Asked, Method, table
from nips.refusal import Prefix, refused
from tests.unit.bot.requests.stage import House, a_house

EVENT = "ab" * 32


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@asynccontextmanager
async def telling(
    house: House, refusals: Sequence[Prefix] = ()
) -> AsyncIterator[tuple[Troubles, list[tuple[str, ...]]]]:
    """A router that refuses as often first, and what it was asked."""
    asked, left = [], list(refusals)

    async def trouble(request: Asked) -> str:
        asked.append(request.params)
        if left:
            raise refused(left.pop(0), "not so")
        return "told"

    async with (
        house.reception(table([Method("trouble", (Bridge,), trouble)])),
        house.asking(house.role("bridge-signal")) as caller,
    ):
        yield Troubles(caller), asked


async def test_it_is_told_once(house: House) -> None:
    async with telling(house) as (made, asked):
        for _ in range(2):
            await made.tell(Topic.FAILED, EVENT, "no such person")
            await made.tell(Topic.UNCERTAIN, EVENT)
    assert asked == [
        ("signal", "failed", EVENT, "no such person"), ("signal", "uncertain", EVENT, "")
    ]  # fmt: skip


async def test_a_limit_without_a_token_is_told_whenever_there_is_one(house: House) -> None:
    """The router says it once a day."""
    async with telling(house) as (made, asked):
        for _ in range(2):
            await made.tell(Topic.CHALLENGE)
    assert asked == [("signal", "challenge", "", "")] * 2


@pytest.mark.parametrize(
    ("refusals", "tries"),
    [
        ([Prefix.ERROR], 2),  # it may be told later
        ([Prefix.INVALID], 1),  # it will never be
        ([Prefix.ERROR] * (MAX_TRIES + 1), MAX_TRIES),
    ],
)
async def test_a_router_that_refuses(
    house: House, refusals: list[Prefix], tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with telling(house, refusals) as (made, asked):
        await made.tell(Topic.AWAY, "1767225600", "gone")
    assert len(asked) == tries


async def test_a_router_that_does_not_answer_holds_nothing_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(troubles, "TELL_DEADLINE_S", 0.05)
    async with house.asking(house.role("bridge-signal")) as caller:
        await Troubles(caller).tell(Topic.BACK, "1767225600")


async def test_only_the_last_are_remembered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troubles, "MAX_REMEMBERED", 2)
    async with telling(house) as (made, asked):
        for token in ("a", "b", "c", "a", "c"):
            await made.tell(Topic.CHALLENGE, token)
    assert [params[2] for params in asked] == ["a", "b", "c", "a"]
