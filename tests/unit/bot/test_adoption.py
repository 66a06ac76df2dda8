"""What the owner's own client makes and deletes, with a real relay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from secrets import token_bytes
from uuid import uuid4

import pytest

from bot import adoption as adoption_module
from bot import registration
from bot.adoption import Adoption
from bot.beginning import make_main
from bot.bridges import puppets
from bot.bridges.nostr.puppets import counterpart
from bot.directory import Directory
from bot.groups import MEMBERSHIP_KINDS
from nips import nip29
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.nip29 import Metadata
from nips.own import binding as bindings
from nips.own.binding import Binding
from relay_local.client import Delivery, Link, connect
from tests.unit.bot.requests.stage import House, a_house
from tests.unit.nips.own.test_signal_id import ACI, GROUP


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        await make_main(made.author, made.roles, made.owner.public, made.directory)
        yield made


class Watch:
    """Whoever follows the groups as the router does, one event after another."""

    def __init__(self, house: House, adoption: Adoption, own: Link) -> None:
        self._house, self._adoption, self._own = house, adoption, own

    async def follow(self) -> None:
        wanted = Filter(kinds=frozenset(map(int, MEMBERSHIP_KINDS)))
        async with self._house.link.subscribe([wanted], after_seq=0) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    self._house.directory.learn(item.event)
                    await self._adoption.saw(item.event)

    async def put(self, template: Template, key: SecretKey | None = None) -> Event:
        """Publish as the owner's client does."""
        event = template.sign(key or self._house.owner, token_bytes(32))
        ok = await self._own.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    async def binding(self, group: str) -> Binding:
        """Wait until the group is registered."""
        async with asyncio.timeout(10):
            while True:
                found = self._house.directory.group(group)
                if found is not None and found.binding is not None:
                    return found.binding
                await asyncio.sleep(0.02)  # its binding is learnt from no event

    async def until(self, n_stopped: int) -> None:
        async with asyncio.timeout(10):
            while len(self._house.stopped) < n_stopped:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def watching(house: House) -> AsyncIterator[Watch]:
    registry = house.registry()
    adoption = Adoption(
        house.author, house.roles, house.owner.public, house.directory.now, registry
    )  # fmt: skip
    await house.directory.load()
    await adoption.start()
    async with connect(house.place.relay_address, [house.owner]) as own:
        watch = Watch(house, adoption, own)
        following = asyncio.create_task(watch.follow())
        try:
            yield watch
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def now_s() -> int:
    return int(time.time())


def made(house: House, group: str) -> Template:
    return nip29.create_group(house.owner.public, group, now_s())


def named(house: House, group: str, name: str) -> Template:
    return nip29.edit_metadata(house.owner.public, group, Metadata(name), now_s())


async def test_the_owners_group_is_registered_when_it_has_a_name(house: House) -> None:
    async with watching(house) as watch:
        group = str(uuid4())
        await watch.put(made(house, group))
        await watch.put(named(house, group, "Holiday 2027"))
        assert await watch.binding(group) == Binding(group, "holiday-2027", (), "")
        assert house.group(group).has(house.roles.bot, "member")


async def test_a_group_without_a_name_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption_module, "PATIENCE_S", 0.1)
    async with watching(house) as watch:
        group = str(uuid4())
        await watch.put(made(house, group))
        assert (await watch.binding(group)).folder == "group"


async def test_a_group_is_registered_before_its_first_message_is_looked_at(house: House) -> None:
    async with watching(house) as watch:
        group = str(uuid4())
        event = await watch.put(made(house, group))
        house.directory.learn(event)
        registry = house.registry()
        adoption = Adoption(
            house.author, house.roles, house.owner.public, house.directory.now, registry
        )  # fmt: skip
        await adoption.saw(event)
        await adoption.ensure(group)
        assert house.group(group).binding == Binding(group, "group", (), "")


async def test_what_was_made_and_deleted_while_the_bot_was_down(house: House) -> None:
    one, two = str(uuid4()), str(uuid4())
    async with watching(house) as watch:
        await watch.put(made(house, one))
        await watch.put(named(house, one, "One"))
        await watch.binding(one)
    async with connect(house.place.relay_address, [house.owner]) as own:
        for template in (
            nip29.delete_group(house.owner.public, one, now_s()),
            made(house, two),
            named(house, two, "Two"),
        ):
            assert (await own.publish(template.sign(house.owner, token_bytes(32)))).accepted
    house.directory = type(house.directory)(house.author)
    async with watching(house) as watch:
        assert (await watch.binding(two)).folder == "two"
        assert house.stopped == [one]
        (kept,) = [e for e in await house.records("group/") if one in (e.tag("d") or "")]
        assert '"archived":true' in kept.content


async def test_a_group_that_the_owner_deletes_is_stopped_and_nobodys(house: House) -> None:
    async with watching(house) as watch:
        group = str(uuid4())
        await watch.put(made(house, group))
        await watch.put(named(house, group, "Short"))
        await watch.binding(group)
        folder = house.place.data / "groups" / "short"
        folder.mkdir(parents=True)
        await watch.put(nip29.delete_group(house.owner.public, group, now_s()))
        await watch.until(1)
        assert house.stopped == [group]
        assert folder.is_dir()
        assert house.directory.group(group) is None


async def test_nobody_elses_group_is_taken_for_the_owners(house: House) -> None:
    """Attack: a router's own group that was cut off, or one of before the owner was named, is
    taken into the folder of somebody who did not ask for it."""
    async with watching(house) as watch:
        group = str(uuid4())
        await house.author.require(registration.opening(group, "Cut off", house.roles, now_s()))
        mine = str(uuid4())
        await watch.put(made(house, mine))
        await watch.put(named(house, mine, "Mine"))
        await watch.binding(mine)
        assert house.group(group).binding is None


async def a_puppet(house: House, group: str, person: str) -> str:
    """Do as the bridge does when somebody is bound."""
    key = house.role("bridge-nostr")
    puppet = puppets.puppet_key(key, counterpart(person)).public
    (event,) = [e for e in await house.records("group/") if group in (e.tag("d") or "")]
    template = puppets.membership_template(
        key.public, group, puppet, event.id, counterpart(person), now_s()
    )
    async with connect(house.place.relay_address, [key]) as link:
        assert (await link.publish(template.sign(key, token_bytes(32)))).accepted
    return puppet


async def bound(house: House, group: str) -> tuple[Binding, str]:
    # A record that is replaced while it is looked for is answered in both versions.
    found = [e for e in await house.records("group/") if group in (e.tag("d") or "")]
    event = max(found, key=lambda each: each.created_at)
    return bindings.parse(event, house.roles.router), event.id


async def test_whom_the_owners_client_removes_is_unbound(house: House) -> None:
    ann, bob = (SecretKey.generate(token_bytes).public for _ in range(2))
    async with watching(house) as watch:
        people = [f"nostr:{ann}", f"nostr:{bob}"]
        made = await house.registry().register("Both", people)
        puppet = await a_puppet(house, made.group, ann)
        await a_puppet(house, made.group, bob)
        await watch.put(nip29.remove_user(house.owner.public, made.group, puppet, now_s()))
        async with asyncio.timeout(10):
            while (await bound(house, made.group))[0].counterparts != (f"nostr:{bob}",):
                await asyncio.sleep(0.02)


async def test_a_signal_group_stays_bound_without_one_of_its_people(house: House) -> None:
    """Whoever stands there is no counterpart themselves: they are out, and their bridge leaves
    them out; what the others write comes all the same."""
    key, puppet = house.role("bridge-signal"), SecretKey.generate(token_bytes).public
    async with watching(house) as watch:
        made = await house.registry().register("Chess", [f"signal:{GROUP}"])
        before = await bound(house, made.group)
        put = nip29.put_user(key.public, made.group, puppet, ("puppet",), now_s())
        mark = ("for", bindings.mark(made.group, f"signal:{ACI}"))
        put = replace(put, tags=(*put.tags, mark))
        async with connect(house.place.relay_address, [key]) as link:
            assert (await link.publish(put.sign(key, token_bytes(32)))).accepted
        await watch.put(nip29.remove_user(house.owner.public, made.group, puppet, now_s()))
        # What comes next is looked at after that.
        other = str(uuid4())
        await watch.put(nip29.create_group(house.owner.public, other, now_s()))
        await watch.put(named(house, other, "Behind it"))
        await watch.binding(other)
        assert await bound(house, made.group) == before
        assert puppet not in house.group(made.group).members


async def test_the_owner_does_not_lock_themselves_out(house: House) -> None:
    """Removed from main, the owner's puppet is bound anew: it is how they write to me."""
    main, owner = house.roles.main, house.owner.public
    async with watching(house) as watch:
        puppet = await a_puppet(house, main, owner)
        before = await bound(house, main)
        await watch.put(nip29.remove_user(owner, main, puppet, now_s()))
        async with asyncio.timeout(10):
            while (after := await bound(house, main))[1] == before[1]:
                await asyncio.sleep(0.02)
        assert after[0] == before[0]


async def test_main_outlives_a_slip_of_the_owners_client(house: House) -> None:
    """Its id is never used again: deleted, the bot would not start any more."""
    main = house.roles.main
    async with watching(house) as watch:
        with pytest.raises(AssertionError, match="main"):
            await watch.put(nip29.delete_group(house.owner.public, main, now_s()))
    house.directory = Directory(house.author)  # and at the next start
    await make_main(house.author, house.roles, house.owner.public, house.directory)
    assert house.directory.group(main) is not None
