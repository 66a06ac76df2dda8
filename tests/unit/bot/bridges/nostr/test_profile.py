"""bot/bridges/nostr/announce.py with a real signer and public relays: the profile that a persona
wants is asked about, published on a yes, and stays as it was on a no."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from secrets import token_bytes

import pytest

from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import approval, persona
from nips.own.persona import Persona
from relay_local.client import Delivery, Link, connect
from tests.unit.bot.bridges.nostr.stage import Stage, a_stage

OWNER = SecretKey.generate(token_bytes)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with a_stage(OWNER.public) as made:
        await made.make_main(OWNER.public)
        await made.start("bridge")
        yield made


async def first(link: Link, wanted: Filter, n: int = 1, timeout_s: float = 40) -> Event:
    """The n-th event that matches, stored or to come."""
    async with asyncio.timeout(timeout_s), link.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and (n := n - 1) == 0:
                return item.event
    raise AssertionError("the subscription ended")


async def public_name(stage: Stage, name: str) -> dict[str, str]:
    """Wait until a public relay has a profile of that name; the whole of it."""
    wanted = Filter(kinds=frozenset({0}), authors=frozenset({stage.roles.bot}))
    async with (
        asyncio.timeout(40),
        connect(stage.public[0]) as link,
        link.subscribe([wanted]) as stream,
    ):
        async for item in stream:
            if isinstance(item, Delivery):
                profile: dict[str, str] = json.loads(item.event.content)
                if profile["name"] == name:
                    return profile
    raise AssertionError("the subscription ended")


async def wish(stage: Stage, wanted: Persona, at_s: int | None = None) -> None:
    """Set the persona for everywhere, as the router does."""
    at_s = at_s or int(time.time())
    await stage.put(persona.template(wanted, None, stage.router.public, at_s))


async def answer(stage: Stage, n: int, *, yes: bool) -> None:
    """Say yes or no to the n-th question, with the owner's key."""
    asked = Filter(kinds=frozenset({int(Kind.APPROVAL_ASKED)}))
    async with connect(stage.place.relay_address, [OWNER]) as link:
        gate = approval.parse_gate(await first(link, asked, n))
        said = approval.answer(OWNER.public, gate.run, int(time.time()), yes=yes)
        ok = await link.publish(said.sign(OWNER, token_bytes(32)), deadline_s=10)
        assert ok.accepted, ok.message
        ends = frozenset({int(Kind.RUN_FINISHED), int(Kind.RUN_FAILED)})
        await first(link, Filter(kinds=ends), n)


async def questions(stage: Stage) -> int:
    asked = Filter(kinds=frozenset({int(Kind.APPROVAL_ASKED)}))
    return len(await stage.link.fetch([asked]))


async def test_a_yes_publishes_the_name_and_is_not_asked_for_again(stage: Stage) -> None:
    usual = await public_name(stage, "nostrclaw")
    await wish(stage, Persona("Ada", "https://example.org/ada.png", "Brief."))
    await answer(stage, 1, yes=True)
    ada = await public_name(stage, "Ada")
    assert ada == {**usual, "name": "Ada", "picture": "https://example.org/ada.png"}
    await stage.restart("bridge")
    # What comes after it has been done when this has been.
    await wish(stage, Persona(), int(time.time()) + 1)
    assert await public_name(stage, "nostrclaw") == usual
    assert await questions(stage) == 1


async def test_after_a_no_the_old_name_stays_over_a_restart(stage: Stage) -> None:
    await public_name(stage, "nostrclaw")
    await wish(stage, Persona("Eve"))
    await answer(stage, 1, yes=False)
    await stage.logged("the profile stays as it is")
    await stage.restart("bridge")
    await wish(stage, Persona("Ada"), int(time.time()) + 1)
    await answer(stage, 2, yes=True)
    await public_name(stage, "Ada")
    assert await questions(stage) == 2
    profiles = Filter(kinds=frozenset({0}), authors=frozenset({stage.roles.bot}))
    for url in stage.public:
        async with connect(url) as link:
            said = [event.content for event in await link.fetch([profiles])]
            assert not any("Eve" in content for content in said)


async def test_what_was_wished_long_ago_is_not_asked_for(stage: Stage) -> None:
    """The signer has forgotten its owner's no by then."""
    await wish(stage, Persona("Eve"), int(time.time()) - 90_000)
    await stage.restart("bridge")
    await wish(stage, Persona(None, "https://example.org/p.png"))
    await answer(stage, 1, yes=True)
    assert (await public_name(stage, "nostrclaw"))["name"] == "nostrclaw"
    assert await questions(stage) == 1


async def test_a_persona_of_somebody_else_changes_nothing(stage: Stage) -> None:
    """Attack: the owner's own client, or whoever else writes records, and no router."""
    await public_name(stage, "nostrclaw")
    forged = persona.template(Persona("Eve"), None, OWNER.public, int(time.time()))
    async with connect(stage.place.relay_address, [OWNER]) as link:
        assert (await link.publish(forged.sign(OWNER, token_bytes(32)))).accepted
    await wish(stage, Persona("Ada"))
    await answer(stage, 1, yes=True)
    await public_name(stage, "Ada")
    assert await questions(stage) == 1
