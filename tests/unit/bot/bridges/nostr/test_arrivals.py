"""The listening part against relays of other people's making, good and bad.

A relay here is a script of a few lines on a real socket: what it does wrong is the test.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bot.operate.assembly import SOURCE_TREE
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey

BOT = SecretKey.generate(token_bytes).public
PROCESS = Path(__file__).with_name("arrivals_process.py")
DAY_S = 86_400


def wrap(age_s: int = 0, to: str = BOT, kind: int = 1059, content: str = "x") -> Event:
    key = SecretKey.generate(token_bytes)
    template = Template(key.public, int(time.time()) - age_s, kind, (("p", to),), content)
    return template.sign(key, token_bytes(32))


@dataclass(slots=True)
class ForeignRelay:
    """Stored events, newest first and `cap` at most for each REQ, and the REQs it got."""

    events: list[Event] = field(default_factory=list)
    cap: int = 500
    ignores_until: bool = False
    deaf: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    pages_closed: int = 0
    logins: int = 0
    connections: list[ServerConnection] = field(default_factory=list)
    url: str = ""

    async def handle(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        async for data in connection:
            match json.loads(data):
                case ["REQ", name, filter_] if not self.deaf:
                    self.requests.append(filter_)
                    for event in self.found(dict(filter_)):
                        await connection.send(json.dumps(["EVENT", name, event.to_json()]))
                    await connection.send(json.dumps(["EOSE", name]))
                case ["CLOSE", str(name)] if name.startswith("page-"):
                    self.pages_closed += 1
                case ["AUTH", {"id": event_id}]:
                    self.logins += 1
                    await connection.send(json.dumps(["OK", event_id, True, ""]))
                case _:
                    pass

    def found(self, wanted: dict[str, Any]) -> list[Event]:
        limit = min(wanted.pop("limit", self.cap), self.cap)
        if self.ignores_until:
            wanted.pop("until", None)
        asked = Filter.from_json(wanted)
        matching = [event for event in self.events if asked.matches(event)]
        return sorted(matching, key=lambda event: (-event.created_at, event.id))[:limit]


@asynccontextmanager
async def running(relay: ForeignRelay) -> AsyncIterator[ForeignRelay]:
    async with serve(relay.handle, "127.0.0.1", 0) as server:
        relay.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield relay


@asynccontextmanager
async def listening(
    *relays: ForeignRelay, probe_s: float = 5, healthy: str = "-", queued_bytes: str = ""
) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Run the listening part; gives a function that returns the next id it took in."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROCESS), BOT, str(probe_s), healthy, *(relay.url for relay in relays),
        cwd=SOURCE_TREE,
        env={
            "PYTHONPATH": str(SOURCE_TREE), "PATH": "/usr/bin:/bin", "QUEUED_BYTES": queued_bytes,
        },
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    stdout = process.stdout
    assert stdout is not None

    async def line() -> str:
        return (await asyncio.wait_for(stdout.readline(), 30)).decode().strip()

    try:
        yield line
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def all_of(line: Callable[[], Awaitable[str]], count: int) -> list[str]:
    return [await line() for _ in range(count)]


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
    async with running(relay), listening(relay) as line:
        got = await all_of(line, len(ages_s))
    assert sorted(got) == sorted(event.id for event in relay.events)
    assert all(request["limit"] <= 1_000 for request in relay.requests)


async def test_large_wraps_wait_at_the_relay_and_not_in_memory() -> None:
    """Attack: twenty thousand wraps of 400 kB."""
    relay = ForeignRelay([wrap(number, content="x" * 50_000) for number in range(60)])
    async with running(relay), listening(relay, probe_s=0.5, queued_bytes="500000") as line:
        got = await all_of(line, 60)
    assert sorted(got) == sorted(event.id for event in relay.events)


async def test_backdated_wraps_are_within_the_window() -> None:
    relay = ForeignRelay([wrap(2 * DAY_S), wrap(2 * DAY_S + 3_000)])
    async with running(relay), listening(relay) as line:
        assert sorted(await all_of(line, 2)) == sorted(event.id for event in relay.events)


async def test_the_time_that_we_were_away_is_asked_for() -> None:
    # Last healthy ten days ago; written then, and backdated by two days.
    relay = ForeignRelay([wrap(12 * DAY_S)])
    healthy = str(int(time.time()) - 10 * DAY_S)
    async with running(relay), listening(relay, healthy=healthy) as line:
        assert await line() == relay.events[0].id


async def test_a_wrap_of_five_relays_is_taken_in_once() -> None:
    same, last = wrap(10), wrap(0)
    relays = [ForeignRelay([same]) for _ in range(5)]
    async with AsyncExitStack() as stack:
        for relay in relays:
            await stack.enter_async_context(running(relay))
        line = await stack.enter_async_context(listening(*relays))
        assert await line() == same.id
        async with asyncio.timeout(20):
            while not all(relay.requests for relay in relays):
                await asyncio.sleep(0.01)
        await send_live(relays[4], last)
        assert await line() == last.id


async def send_live(relay: ForeignRelay, event: Event) -> None:
    """Send an event under the live subscription, which is the first that was asked for."""
    for connection in relay.connections:
        await connection.send(json.dumps(["EVENT", "live-1", event.to_json()]))


async def test_what_was_not_asked_for_goes_no_further() -> None:
    relay = ForeignRelay()
    async with running(relay), listening(relay) as line:
        async with asyncio.timeout(20):
            while not relay.requests:
                await asyncio.sleep(0.01)
        good = wrap()
        forged = Event.from_json(wrap().to_json() | {"content": "changed"})
        for event in (wrap(to="ab" * 32), wrap(kind=14), wrap(kind=1), forged, good):
            await send_live(relay, event)
        got = await line()
        assert got == good.id


async def test_a_forged_copy_does_not_displace_the_wrap() -> None:
    """Attack: one relay of five sends a changed copy first, and the wrap is taken for known."""
    liar, honest, good, last = ForeignRelay(), ForeignRelay(), wrap(), wrap()
    changes: list[dict[str, object]] = [{"content": "changed"}, {"sig": "00" * 64}]
    async with running(liar), running(honest), listening(liar, honest) as line:
        async with asyncio.timeout(20):
            while not (liar.requests and honest.requests):
                await asyncio.sleep(0.01)
        for change in changes:
            await send_live(liar, Event.from_json(good.to_json() | change))
        await send_live(liar, last)  # what the liar said before has been read
        assert await line() == last.id
        await send_live(honest, good)
        assert await line() == good.id


async def test_a_relay_that_challenges_without_end_gets_few_logins() -> None:
    """Attack: each login is a signature of the bot's, and those of all conversations together
    are limited: a relay could use them up, and the bot could not speak."""
    relay, last = ForeignRelay(), wrap()
    async with running(relay), listening(relay) as line:
        async with asyncio.timeout(20):
            while not relay.requests:
                await asyncio.sleep(0.01)
        for number in range(200):
            for connection in relay.connections:
                await connection.send(json.dumps(["AUTH", f"challenge {number}"]))
            await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            while not relay.logins:
                await asyncio.sleep(0.01)
        await asyncio.sleep(2)
        await send_live(relay, last)
        assert await line() == last.id
    assert 0 < relay.logins <= 6


async def test_a_relay_that_ignores_until_does_not_hold_us_for_ever() -> None:
    relay = ForeignRelay([wrap(n) for n in range(20)], ignores_until=True)
    async with running(relay), listening(relay) as line:
        await all_of(line, 20)
        await asyncio.sleep(1)
        assert len(relay.requests) < 10


async def test_a_relay_that_goes_deaf_is_connected_again() -> None:
    relay = ForeignRelay()
    async with running(relay), listening(relay, probe_s=0.5) as line:
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
    async with running(relay), listening(relay, probe_s=0.5) as line:
        assert await line() == relay.events[0].id
        async with asyncio.timeout(20):
            while relay.pages_closed < 3:  # the event, the event again, and nothing before it
                await asyncio.sleep(0.01)
        missed = [wrap(n * 1_000) for n in range(40)]
        relay.events += missed
        for connection in list(relay.connections):
            await connection.close()
        assert sorted(await all_of(line, 40)) == sorted(event.id for event in missed)
