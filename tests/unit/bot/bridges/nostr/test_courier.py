"""What is carried: nobody's relays hold up what goes to another's."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from secrets import token_bytes

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.contacts import Contacts
from bot.bridges.nostr.courier import SENDS_AT_ONCE, Courier, Parcel
from bot.bridges.nostr.pool import Pool
from nips.event import Event, Template
from nips.key import SecretKey
from nips.own.delivery import Delivery
from relay_local.client import Link
from tests.unit.bot.bridges.nostr.foreign_relay import ForeignRelay, running, wrap

KEY = SecretKey(bytes([7]) * 32)


async def no_login(_url: str, _challenge: str) -> None:
    return None


async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)
    writer.close()


async def test_silent_relays_of_who_is_named_hold_up_no_reply() -> None:
    """Attack: twenty relays in the lists of those whom a note names, which take the connection."""
    note = Template(KEY.public, int(time.time()), 1, (), "x").sign(KEY, token_bytes(32))
    taken = ForeignRelay(takes=True)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(taken))
        ports = []
        for _ in range(SENDS_AT_ONCE + 4):
            server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        hosts = [f"127.0.0.1:{port}" for port in ports]
        pool = await stack.enter_async_context(Pool([taken.url], no_login, hosts))
        assert await pool.connect(taken.url) is None
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        courier = made(pool, tasks)

        async def carry(event: Event, *also: str) -> None:
            parcel = Parcel(event, None, also)
            await courier._attempt(Delivery(event.id), [parcel], set())

        noted = tasks.create_task(carry(note, *(f"ws://{host}" for host in hosts)))
        await asyncio.sleep(0.2)
        async with asyncio.timeout(5):
            await carry(wrap())
        noted.cancel()


def made(pool: Pool, tasks: asyncio.TaskGroup) -> Courier:
    """One that writes nothing down."""
    link = Link("unix:/nowhere", [], None)
    contacts = Contacts(link)
    return Courier(link, KEY, pool, Arrivals(pool, KEY.public, {}), contacts, [], tasks)
