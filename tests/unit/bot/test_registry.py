"""bot/registry.py and bot/records.py with a real relay: also cut off after any event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_bytes

import pytest

from bot.adoption import Adoption
from bot.author import Author
from bot.beginning import make_main
from bot.directory import Directory
from bot.registry import Registry, RegistryError, Unclear
from bot.run_folders import Layout
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own.binding import Binding, Budget
from nips.refusal import Refused
from relay_local.client import connect
from tests.unit.bot.requests.stage import House, a_house

ANN, BOB = (f"nostr:{SecretKey.generate(token_bytes).public}" for _ in range(2))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        await make_main(made.author, made.roles, made.owner.public, made.directory)
        yield made


class Killed(Exception):
    """The process is gone."""


class Mortal(Author):
    """A pen whose holder dies after so many events, each of which the relay has taken."""

    lives = 10**9

    async def require(self, template: Template) -> Event:
        if self.lives == 0:
            raise Killed
        self.lives -= 1
        return await super().require(template)


@asynccontextmanager
async def a_process(house: House, lives: int = 10**9) -> AsyncIterator[tuple[Registry, Adoption]]:
    """A bot that has just started: it knows what the relay has, and nothing else."""
    async with connect(house.place.relay_address, [house.key]) as link:
        author = Mortal(link, house.key)
        directory = Directory(author)
        await directory.load()

        async def stop(group: str) -> None:
            house.stopped.append(group)

        registry = Registry(
            author, house.roles, house.owner.public, directory.now, directory.learn, stop,
            Layout(house.place.data, house.place.run),
        )  # fmt: skip
        adoption = Adoption(author, house.roles, house.owner.public, directory.now, registry)
        await adoption.start()
        author.lives = lives
        house.directory = directory
        yield registry, adoption


async def state(house: House, group: str) -> set[str]:
    """The members of a group as the relay tells them."""
    wanted = Filter(
        kinds=frozenset({int(Kind.GROUP_MEMBERS)}), tags={"d": frozenset({group})}
    )  # fmt: skip
    return {key for event in await house.link.fetch([wanted]) for key in event.values("p")}


async def test_a_registered_group_is_the_owners_and_the_assistants(house: House) -> None:
    async with a_process(house) as (registry, _):
        made = await registry.register("Ann ✨", [ANN], trigger=None)
        assert made == Binding(made.group, "ann", (ANN,), None)
        assert await state(house, made.group) == {house.owner.public, house.roles.bot}
        assert [group.name for group in registry.all()] == ["Main", "Ann ✨"]
        assert registry.find("ann").binding == made
        with pytest.raises(Unclear):
            registry.find("bob")
    async with a_process(house) as (registry, _):  # and after a restart
        assert registry.find("Ann ✨").binding == made


async def test_a_person_and_a_folder_are_one_groups(house: House) -> None:
    async with a_process(house) as (registry, _):
        first = await registry.register("Ann", [ANN])
        with pytest.raises(RegistryError, match="bound to ann"):
            await registry.register("Another", [ANN])
        second = await registry.register("ann")
        assert second.folder == "ann-2"
        with pytest.raises(RegistryError, match="bound to ann"):
            await registry.bind(second.group, ANN)
        with pytest.raises(RegistryError, match="another"):
            await registry.register("x", folder="ann")
        # The folder of one that was deleted holds what was said there: it is nobody else's.
        (house.place.data / "groups" / "ann").mkdir(parents=True)
        await registry.delete(first.group)
        assert (await registry.register("Ann", [ANN])).folder == "ann-3"


async def test_main_stays_what_it_is(house: House) -> None:
    main = house.roles.main
    async with a_process(house) as (registry, _):
        for work in (
            registry.rename(main, "Mine"),
            registry.bind(main, ANN),
            registry.unbind(main, f"nostr:{house.owner.public}"),
            registry.archive(main),
            registry.delete(main, wipe=True),
            registry.change(main, counterparts=(ANN,)),
            registry.change(main, archived=True),
            registry.change(main, room=True),
            registry.change(main, folder="other"),
        ):
            with pytest.raises(RegistryError):
                await work
        assert (await registry.change(main, paused=True)).paused
        other = await registry.register("Main")
        assert other.folder == "main-2"
        owner = f"nostr:{house.owner.public}"
        with pytest.raises(RegistryError, match="your own conversation"):
            await registry.bind(other.group, owner)


@pytest.mark.parametrize("lives", range(4))
async def test_a_registration_cut_off_anywhere_is_finished_by_the_next(
    house: House, lives: int
) -> None:
    async with a_process(house, lives) as (registry, _):
        try:
            await registry.register("Ann", [ANN], once="message 1")
        except Killed:
            assert lives < 3
        else:
            assert lives == 3
    async with a_process(house) as (registry, adoption):
        again = await registry.register("Ann", [ANN], once="message 1")
        await adoption.tidy()
        assert again.folder == "ann"
        assert [group.name for group in registry.all()] == ["Main", "Ann"]
        assert await state(house, again.group) == {house.owner.public, house.roles.bot}
        assert len(house.directory.now().by_id) == 2


@pytest.mark.parametrize("lives", range(3))
async def test_a_registration_that_nobody_begins_again_leaves_nothing(
    house: House, lives: int
) -> None:
    async with a_process(house, lives) as (registry, _):
        with pytest.raises(Killed):
            await registry.register("Ann", [ANN])
    async with a_process(house) as (registry, adoption):
        await adoption.tidy()
        assert list(house.directory.now().by_id) == [house.roles.main]
        assert (await registry.register("Ann", [ANN])).folder == "ann"


@pytest.mark.parametrize("lives", range(3))
async def test_a_deletion_cut_off_anywhere_binds_nobody(house: House, lives: int) -> None:
    async with a_process(house) as (registry, _):
        made = await registry.register("Ann", [ANN])
    async with a_process(house, lives) as (registry, _):
        try:
            await registry.delete(made.group)
        except Killed:
            assert lives < 2
    async with a_process(house) as (registry, _):
        if made.group in house.directory.now().by_id:
            await registry.delete(made.group)  # the command is read again
        assert [group.id for group in registry.all()] == [house.roles.main]
        stored = [
            bindings.parse(event, house.roles.router) for event in await house.records("group/")
        ]
        (kept,) = [each for each in stored if each.group == made.group]
        assert (kept.counterparts, kept.archived) == ((), True)
        assert made.group in house.stopped


async def test_wiping_removes_the_folders_and_follows_no_link(house: House) -> None:
    data = house.place.data
    outside = data / "outside"
    outside.mkdir(parents=True)
    (outside / "precious").write_text("kept")
    async with a_process(house) as (registry, _):
        made = await registry.register("Ann")
        for parent in ("groups", "sessions"):
            folder = data / parent / "ann"
            (folder / "deep" / "er").mkdir(parents=True)
            (folder / "deep" / "er" / "file").write_text("x")
            (folder / "link").symlink_to(outside)
            (folder / "deep" / "up").symlink_to("../../..")
        other = data / "groups" / "bob"
        other.mkdir()
        await registry.delete(made.group, wipe=True)
    assert sorted(path.name for path in (data / "groups").iterdir()) == ["bob"]
    assert not list((data / "sessions").iterdir())
    assert (outside / "precious").read_text() == "kept"


async def test_a_folder_that_is_a_link_is_not_followed(house: House) -> None:
    """Attack: another program of this user puts a link where the group's folder was."""
    data = house.place.data
    (data / "groups").mkdir(parents=True, exist_ok=True)
    outside = data / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    async with a_process(house) as (registry, _):
        made = await registry.register("Ann")
        (data / "groups" / "ann").symlink_to(outside)
        with pytest.raises(RegistryError, match="as root"):
            await registry.delete(made.group, wipe=True)
        assert (outside / "precious").read_text() == "kept"
        assert registry.find("ann").binding == Binding(made.group, "ann", (), "", archived=True)
        (data / "groups" / "ann").unlink()
        await registry.delete(made.group, wipe=True)
        assert len(registry.all()) == 1


async def test_two_who_change_one_binding_lose_nothing(house: House) -> None:
    async with a_process(house) as (first, _), a_process(house) as (second, _):
        made = await first.register("Ann", [ANN])
        await asyncio.gather(
            first.change(made.group, paused=True),
            second.change(made.group, budget=Budget(runs=3)),
            first.bind(made.group, BOB),
            second.change(made.group, agents=True),
        )
    (event,) = [e for e in await house.records("group/") if made.group in (e.tag("d") or "")]
    found = bindings.parse(event, house.roles.router)
    assert found == Binding(
        made.group, "ann", (ANN, BOB), "", paused=True, agents=True, budget=Budget(runs=3)
    )


async def test_the_relay_refuses_a_binding_made_of_an_older_one(house: House) -> None:
    """Mechanism 3, compare and set: the later writer does not undo the earlier one."""
    async with a_process(house) as (registry, _):
        made = await registry.register("Ann", [ANN])
        (old,) = [e for e in await house.records("group/") if made.group in (e.tag("d") or "")]
        await registry.change(made.group, paused=True)
        late = bindings.template(made, house.roles.router, old.created_at + 50, old.id)
        with pytest.raises(Refused, match="conflict"):
            await house.author.require(late)


async def test_what_no_binding_may_hold_is_said_and_not_written(house: House) -> None:
    async with a_process(house) as (registry, _):
        made = await registry.register("Ann")
        for fields in ({"trigger": "x" * 500}, {"budget": Budget(runs=-1)}, {"senders": "all"}):
            with pytest.raises(RegistryError, match="cannot be"):
                await registry.change(made.group, **fields)
        with pytest.raises(RegistryError, match="keeps its folder"):
            await registry.change(made.group, folder="x")
        with pytest.raises(RegistryError, match="no registered"):
            await registry.change("30000000-0000-4000-8000-000000000001", paused=True)
        assert registry.find("ann").binding == made


async def test_archived_and_restored_where_nobody_took_the_person(house: House) -> None:
    async with a_process(house) as (registry, _):
        made = await registry.register("Ann", [ANN])
        await registry.archive(made.group)
        assert house.stopped == [made.group]
        other = await registry.register("Ann again", [ANN])
        with pytest.raises(RegistryError, match="bound to ann-again"):
            await registry.restore(made.group)
        await registry.unbind(other.group, ANN)
        assert await registry.restore(made.group) == made


async def test_main_is_bound_anew_while_it_is_changed(house: House) -> None:
    """The owner's puppet is put out while they pause everything: neither is in the other's way."""
    main, owner = house.roles.main, f"nostr:{house.owner.public}"
    async with a_process(house) as (registry, _):
        for turn in range(40):
            await asyncio.gather(
                registry.put_out(main, {bindings.mark(main, owner)}),
                registry.change(main, paused=turn % 2 == 0),
            )
            found = house.directory.groups.by_id[main].binding
            assert found is not None
            assert (found.paused, found.counterparts[0]) == (turn % 2 == 0, owner)
