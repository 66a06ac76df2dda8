"""bot/persona.py over a real relay: what is in force, here and after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.persona import Personas
from nips.own.persona import Persona
from nips.refusal import Malformed
from tests.unit.bot.requests.stage import House, a_house

GROUP = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4"
OTHER = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d5"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


async def test_a_groups_persona_comes_before_everybodys(house: House) -> None:
    personas = Personas(house.author, "claw")
    await personas.load([GROUP])
    assert (personas.of(None).name, personas.trigger(GROUP)) == ("claw", "@claw")
    await personas.change(None, name="Ada", text="Brief.")
    assert personas.of(GROUP) == Persona("Ada", None, "Brief.")
    assert await personas.change(GROUP, name="Bob") == Persona("Bob", None, "Brief.")
    assert (personas.trigger(GROUP), personas.trigger(OTHER)) == ("@Bob", "@Ada")
    await personas.change(GROUP, name=None)
    assert personas.trigger(GROUP) == "@Ada"


async def test_it_is_there_after_a_restart_whatever_the_second(house: House) -> None:
    personas = Personas(house.author, "claw")
    for name in ("A", "B", "C", "D", "E"):  # of two in a second the lower id would win
        await personas.change(GROUP, name=name)
    again = Personas(house.author, "claw")
    await again.load([OTHER, GROUP])
    assert (again.trigger(GROUP), again.trigger(OTHER)) == ("@E", "@claw")


async def test_changes_at_once_are_both_there(house: House) -> None:
    personas = Personas(house.author, "claw")
    await asyncio.gather(personas.change(None, name="Ada"), personas.change(None, text="Brief."))
    assert personas.own(None) == Persona("Ada", None, "Brief.")


async def test_what_it_may_not_be_changes_nothing(house: House) -> None:
    personas = Personas(house.author, "claw")
    with pytest.raises(Malformed):
        await personas.change(None, name="@everyone")
    assert personas.of(None) == Persona("claw")
    assert await house.records("persona") == []
