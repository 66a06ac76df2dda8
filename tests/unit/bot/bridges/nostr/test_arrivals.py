"""The listening part against relays of other people's making: what is stored and new, once."""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack

import pytest

from bot.bridges.nostr.arrivals import size_of
from nips.event import Event
from tests.unit.bot.bridges.nostr.foreign_relay import DAY_S, ForeignRelay, listening, running, wrap


@pytest.mark.parametrize(
    ("ages_s", "cap"),
    [
        ([n // 3 for n in range(60)], 7),  # every page ends in the middle of a second
        ([n if n % 3 else 0 for n in range(2_300)], 5_000),  # 767 of them in one second
        ([n % 2 * DAY_S for n in range(200)], 150),
    ],
)
async def test_everything_stored_is_read_page_by_page(ages_s: list[int], cap: int) -> None:
    relay = ForeignRelay([wrap(age_s) for age_s in ages_s], cap)
    async with running(relay), listening(relay.url) as line:
        got = await line.all_of(len(ages_s))
    assert sorted(got) == sorted(event.id for event in relay.events)
    assert all(request["limit"] <= 1_000 for request in relay.requests)


async def test_what_comes_while_a_page_is_read_does_not_move_its_end() -> None:
    """Attack: a new wrap, backdated as wraps are, makes us skip all that is newer than its date."""
    stored = [wrap(age_s) for age_s in range(0, 90_000, 1_000)]
    new = [wrap(2 * DAY_S - number) for number in range(100)]
    relay = ForeignRelay(list(stored), cap=40, new=list(new))
    async with running(relay), listening(relay.url) as line:
        got = await line.all_of(len(stored) + len(new))
    assert sorted(got) == sorted(event.id for event in stored + new)


async def test_large_wraps_wait_at_the_relay_and_not_in_memory() -> None:
    """Attack: twenty thousand wraps of 400 kB."""
    relay = ForeignRelay([wrap(number, content="x" * 50_000) for number in range(60)])
    async with running(relay), listening(relay.url, probe_s=0.5, queued_bytes="500000") as line:
        got = await line.all_of(60)
    assert sorted(got) == sorted(event.id for event in relay.events)


def test_what_waits_is_counted_as_large_as_it_is() -> None:
    """Attack: a wrap of many tags of one letter."""
    many = Event.from_json(wrap().to_json() | {"tags": [["a"]] * 1_900})
    assert size_of(many) >= sum(map(sys.getsizeof, many.tags)) > 50_000


async def test_backdated_wraps_are_within_the_window() -> None:
    relay = ForeignRelay([wrap(2 * DAY_S), wrap(2 * DAY_S + 3_000)])
    async with running(relay), listening(relay.url) as line:
        assert sorted(await line.all_of(2)) == sorted(event.id for event in relay.events)


async def test_the_time_that_we_were_away_is_asked_for() -> None:
    # Last healthy ten days ago; written then, and backdated by two days.
    relay = ForeignRelay([wrap(12 * DAY_S)])
    healthy = str(int(time.time()) - 10 * DAY_S)
    async with running(relay), listening(relay.url, healthy=healthy) as line:
        assert await line() == relay.events[0].id


async def test_a_wrap_of_five_relays_is_taken_in_once() -> None:
    same, last = wrap(10), wrap(0)
    relays = [ForeignRelay([same]) for _ in range(5)]
    async with AsyncExitStack() as stack:
        for relay in relays:
            await stack.enter_async_context(running(relay))
        line = await stack.enter_async_context(listening(*(relay.url for relay in relays)))
        assert await line() == same.id
        for relay in relays:
            await relay.asked()
        await relays[4].send_live(last)
        assert await line() == last.id


async def test_what_was_not_asked_for_goes_no_further() -> None:
    relay = ForeignRelay()
    async with running(relay), listening(relay.url) as line:
        await relay.asked()
        good = wrap()
        forged = Event.from_json(wrap().to_json() | {"content": "changed"})
        for event in (wrap(to="ab" * 32), wrap(kind=14), wrap(kind=1), forged, good):
            await relay.send_live(event)
        got = await line()
        assert got == good.id


async def test_a_forged_copy_does_not_displace_the_wrap() -> None:
    """Attack: one relay of five sends a changed copy first, and the wrap is taken for known."""
    liar, honest, good, last = ForeignRelay(), ForeignRelay(), wrap(), wrap()
    changes: list[dict[str, object]] = [{"content": "changed"}, {"sig": "00" * 64}]
    async with running(liar), running(honest), listening(liar.url, honest.url) as line:
        await liar.asked()
        await honest.asked()
        for change in changes:
            await liar.send_live(Event.from_json(good.to_json() | change))
        await liar.send_live(last)  # what the liar said before has been read
        assert await line() == last.id
        await honest.send_live(good)
        assert await line() == good.id


async def test_a_relay_that_challenges_without_end_gets_few_logins() -> None:
    """Attack: each login is a signature of the bot's, and those of all conversations together
    are limited: a relay could use them up, and the bot could not speak."""
    relay, last = ForeignRelay(), wrap()
    async with running(relay), listening(relay.url) as line:
        await relay.asked()
        for number in range(200):
            for connection in relay.connections:
                await connection.send(json.dumps(["AUTH", f"challenge {number}"]))
            await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            while not relay.logins:
                await asyncio.sleep(0.01)
        await asyncio.sleep(2)
        await relay.send_live(last)
        assert await line() == last.id
    assert 0 < relay.logins <= 6


async def test_a_relay_that_ignores_until_does_not_hold_us_for_ever() -> None:
    relay = ForeignRelay([wrap(n) for n in range(20)], ignores_until=True)
    async with running(relay), listening(relay.url) as line:
        await line.all_of(20)
        await asyncio.sleep(1)
        assert len(relay.requests) < 10


async def test_a_relay_that_goes_deaf_is_connected_again() -> None:
    relay = ForeignRelay()
    async with running(relay), listening(relay.url, probe_s=0.5) as line:
        async with asyncio.timeout(20):
            while not relay.requests:
                await asyncio.sleep(0.01)
            # It keeps the connection, answers pings, and says nothing any more.
            relay.deaf = True
            missed = wrap(3_600)
            relay.events.append(missed)
            while len(relay.connections) < 2:
                await asyncio.sleep(0.01)
            relay.deaf = False
            assert await line() == missed.id


async def test_what_was_stored_during_an_outage_is_read_afterwards() -> None:
    relay = ForeignRelay([wrap(5)])
    async with running(relay), listening(relay.url, probe_s=0.5) as line:
        assert await line() == relay.events[0].id
        async with asyncio.timeout(20):
            while relay.pages_closed < 5:  # the event, the event again, and nothing before it
                await asyncio.sleep(0.01)
        missed = [wrap(n * 1_000) for n in range(40)]
        relay.events += missed
        for connection in list(relay.connections):
            await connection.close()
        assert sorted(await line.all_of(40)) == sorted(event.id for event in missed)
