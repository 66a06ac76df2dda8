"""Orders through the real processes: on the relay before the bridge has the text, and only once."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from nips import nip17, nip59
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import order
from nips.refusal import Prefix
from relay_local.client import Caller, Link
from tests.figures import dice
from tests.unit.signer.house import House, text
from tests.unit.signer.processes import Installation, installation, short_folder

KILLS = 6
WANTED = [Filter(kinds=frozenset({int(Kind.APP_DATA)}))]


@dataclass
class Stage:
    """A running relay and signer, a bridge with its grant, and the router's eyes."""

    place: Installation
    bridge: Caller
    carrier: Link
    router: Link

    def message(self, words: str) -> Template:
        owner = self.place.house.owner.public
        return nip17.message_template(owner, [self.place.bot], words, int(time.time()))

    def wrap(self, rumor: Template) -> str:
        owner, bot = self.place.house.owner, self.place.bot
        seal = nip59.seal(rumor, owner, bot, rumor.created_at, secrets.token_bytes(32), bytes(32))
        once = SecretKey.generate(secrets.token_bytes)
        made = nip59.wrap(seal, once, bot, rumor.created_at, secrets.token_bytes(32), bytes(32))
        return text(made)

    async def orders(self) -> list[Event]:
        records = await self.router.fetch(WANTED)
        return [one for one in records if (one.tag("d") or "").startswith(order.D_PREFIX)]


@pytest.fixture
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = short_folder(tmp_path_factory.mktemp("o"))
    async with installation(folder, House()) as place:
        await place.start_relay()
        await place.start_signer()
        house = place.house
        router = await place.link(house.router)
        await place.grant(router, house.bridge_grant(now=int(time.time())))
        carrier = await place.link(house.bridge)
        yield Stage(place, await place.caller(house.bridge), carrier, router)


async def test_who_has_the_text_finds_the_order(stage: Stage) -> None:
    for n in range(10):
        rumor = stage.message(f"/allow ghkmw{'ghkmnpqrst'[n]}")
        opened = json.loads(await stage.bridge.call("unwrap", stage.wrap(rumor), deadline_s=20))
        assert opened["author"] == rumor.pubkey
        [event] = [one for one in await stage.orders() if one.content == rumor.content]
        told = order.parse(event, stage.place.house.signer.public)
        assert (told.rumor_id, told.text) == (rumor.id, rumor.content)
    await stage.bridge.call("unwrap", stage.wrap(stage.message("hello")), deadline_s=20)
    assert len(await stage.orders()) == 10


async def test_a_bridge_invents_no_order(stage: Stage) -> None:
    """Attack: a bridge, a router or the owner's puppet writes the record itself, or brings one in
    the signer's name that it has not signed."""
    house = stage.place.house
    given = order.Order("ab" * 32, house.owner.public, "/allow ghkmwz", int(time.time()))
    for key, link in ((house.bridge, stage.carrier), (house.router, stage.router)):
        event = order.template(given, key.public).sign(key, secrets.token_bytes(32))
        ok = await link.publish(event, deadline_s=10)
        assert ok.refusal is not None
        assert ok.refusal.prefix is Prefix.RESTRICTED
    named = order.template(given, house.signer.public)
    forged = named.with_sig(named.sign(house.bridge, secrets.token_bytes(32)).sig)
    ok = await stage.carrier.publish(forged, deadline_s=10)
    assert not ok.accepted
    real = named.sign(house.signer, secrets.token_bytes(32))  # and not even what it might have got
    ok = await stage.carrier.publish(real, deadline_s=10)
    assert not ok.accepted
    assert await stage.orders() == []


async def test_a_kill_at_any_moment_leaves_one_order(stage: Stage) -> None:
    """The bridge asks until it is answered; whenever the signer dies there is the order, once."""
    draw = dice("orders", "kills")
    for n in range(KILLS):
        rumor = stage.message(f"/budget main runs {n}")
        wrap = stage.wrap(rumor)
        asking = asyncio.create_task(stage.bridge.call("unwrap", wrap, deadline_s=60))
        await asyncio.sleep(draw.uniform(0, 0.02))  # a moment drawn by lot, not a wait
        assert stage.place.signer is not None
        await stage.place.signer.kill()
        await stage.place.start_signer()
        assert json.loads(await asking)["rumor"]["content"] == rumor.content
        assert [one.content for one in await stage.orders()].count(rumor.content) == 1
    assert len(await stage.orders()) == KILLS
