import asyncio
from collections.abc import AsyncIterator
from secrets import token_bytes

import pytest

from bot import place as place_module
from bot.place import Place, follow
from config.roles import read_key
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from relay_local.client import Delivery, Link, connect
from tests.unit.bot.bridges.nostr.stage import Stage, a_stage

NOTES = Filter(kinds=frozenset({9002}))


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    """A private relay; the reader is the router."""
    async with a_stage(SecretKey.generate(token_bytes).public) as made:
        await made.make_main(made.roles.owner or "")
        yield made


async def renamed(stage: Stage, name: str) -> Event:
    """Something to read: the main group gets another name."""
    tags = (("h", stage.roles.main), ("name", name))
    return await stage.put(Template(stage.router.public, 1_700_000_000, 9002, tags, ""))


async def names(link: Link, place: Place, until: str) -> list[str | None]:
    """Read on from the place and stop after one name, without leaving it behind."""
    found = []
    async for item in follow(link, [NOTES], place):
        if isinstance(item, Delivery):
            found.append(item.event.tag("name"))
            if found[-1] == until:
                return found
    raise AssertionError("the stream ended")


async def test_reading_goes_on_where_it_ended(stage: Stage) -> None:
    for name in ("one", "two", "three"):
        await renamed(stage, name)
    place = Place(stage.link, stage.router, "test-a")
    assert await place.load() is None
    assert (await names(stage.link, place, "two"))[-2:] == ["one", "two"]
    # "two" was being handled when the reader stopped: it comes again, "one" does not.
    await place.save()
    again = Place(stage.link, stage.router, "test-a")
    # Before the first EOSE the store's epoch is not known, and no place is kept.
    assert await again.load() is None
    reader = follow(stage.link, [NOTES], again)
    async with asyncio.timeout(10):
        async for item in reader:
            if isinstance(item, Delivery) and item.event.tag("name") == "four":
                break
            if not isinstance(item, Delivery):
                await renamed(stage, "four")
                await renamed(stage, "five")
    await renamed(stage, "six")
    again.advance(*(await position(stage, "four")))
    await again.save()
    third = Place(stage.link, stage.router, "test-a")
    assert await names(stage.link, third, "six") == ["five", "six"]


async def position(stage: Stage, name: str) -> tuple[str, int]:
    """The epoch and arrival number of a name."""
    seq = 0
    async with stage.link.subscribe([NOTES], after_seq=0) as stream:
        async for item in stream:
            if not isinstance(item, Delivery):
                assert item.epoch is not None  # type: ignore[union-attr]
                return item.epoch, seq  # type: ignore[union-attr]
            if item.event.tag("name") == name:
                seq = item.seq or 0
    raise AssertionError("the stream ended")


async def test_another_store_is_read_from_its_beginning(stage: Stage) -> None:
    await renamed(stage, "seven")
    place = Place(stage.link, stage.router, "test-b")
    place.advance("another-epoch", 1_000_000)
    await place.save()
    again = Place(stage.link, stage.router, "test-b")
    assert await again.load() == ("another-epoch", 1_000_000)
    assert "Main" in await names(stage.link, again, "seven")


async def test_a_place_is_written_at_most_once_a_second(stage: Stage) -> None:
    place = Place(stage.link, stage.router, "test-c")
    for seq in range(1, 200):
        place.advance("epoch", seq)
    d = frozenset({"place/test-c"})
    wanted = Filter(kinds=frozenset({30078}), tags={"d": d})
    written = []
    async with stage.link.subscribe([wanted], after_seq=0) as stream:
        async with asyncio.timeout(10):
            async for item in stream:
                if isinstance(item, Delivery):
                    written.append(item.event)
                    break
    assert '"seq":199' in written[0].content.replace(" ", "")
    assert await Place(stage.link, stage.router, "test-c").load() == ("epoch", 199)


async def test_two_saves_in_one_second_both_count(stage: Stage) -> None:
    place = Place(stage.link, stage.router, "test-d")
    for seq in range(1, 6):
        place.advance("epoch", seq)
        await place.save()
        assert await Place(stage.link, stage.router, "test-d").load() == ("epoch", seq)


async def test_a_relay_that_is_away_costs_only_the_place(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_module, "SAVE_DEADLINE_S", 0.2)
    async with connect("ws://127.0.0.1:1", [read_key(stage.place.key("router"))]) as link:
        place = Place(link, stage.router, "test-e")
        place.advance("epoch", 1)
        async with asyncio.timeout(5):
            await place.save()


async def test_what_is_held_comes_again_before_anything_else(stage: Stage) -> None:
    first, second, third = [await renamed(stage, name) for name in ("held-1", "held-2", "held-3")]
    place = Place(stage.link, stage.router, "test-f")
    place.hold(third.id)
    place.hold(first.id)
    place.hold(second.id)
    place.release(second.id)
    place.advance(*(await position(stage, "held-3")))
    await place.save()
    again = Place(stage.link, stage.router, "test-f")
    found = []
    await renamed(stage, "held-4")
    async with asyncio.timeout(10):
        async for item in follow(stage.link, [NOTES], again):
            if not isinstance(item, Delivery):
                continue
            found.append(item.event.tag("name"))
            if found[-1] == "held-3":
                again.hold(third.id)  # by who goes on with it meanwhile
            if found[-1] == "held-4":
                break
    assert found == ["held-3", "held-1", "held-4"]
    # Dealt with; only what was held once more is still to be done.
    assert again.held == (third.id,)
    await again.save()
    last = Place(stage.link, stage.router, "test-f")
    await last.load()
    assert last.held == (third.id,)


async def test_nothing_held_is_forgotten_before_the_caller_is_done(stage: Stage) -> None:
    """A kill in the middle of what was held must not lose it."""
    event = await renamed(stage, "held-5")
    place = Place(stage.link, stage.router, "test-g")
    place.hold(event.id)
    place.advance(*(await position(stage, "held-5")))
    await place.save()
    again = Place(stage.link, stage.router, "test-g")
    async for _ in follow(stage.link, [NOTES], again):
        break
    assert again.held == (event.id,)
