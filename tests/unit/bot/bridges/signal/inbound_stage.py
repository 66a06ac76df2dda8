"""Shell: a real relay, the inward half of the bridge at it, and what people say on Signal.

The router's part (groups, bindings) is published by the tests with the router's key. What the
service would give out is handed over as it would be, item by item; see test_inbound.py for the
service itself.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from secrets import token_bytes
from typing import Any

from bot import registration
from bot.author import Author
from bot.bridges.bindings import Bindings
from bot.bridges.incoming import Incoming
from bot.bridges.signal.inward.inbound import Inbound
from bot.bridges.signal.service.rest import Service
from bot.operate.stand_ins.signal_envelopes import Person
from bot.operate.stand_ins.signal_service import SignalService
from bot.place import Place
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.own import binding as bindings
from nips.own.binding import Binding
from nips.own.once import once_key
from relay_local.client import Delivery, Link, connect
from tests.signal_service import NUMBER, a_service
from tests.unit.bot.requests.stage import House, a_house

NOBODY = Person("")
WAIT_S = 20.0
Item = Mapping[str, Any]
_times = itertools.count(int(time.time() * 1_000) - 3_600_000)


def at_ms() -> int:
    """A time at which nothing else was said, later than the ones before."""
    return next(_times)


def item(envelope: Item, account: str = NUMBER) -> Item:
    """What the service gives out."""
    return {"envelope": envelope, "account": account}


class Feed:
    """Batches as the service would give them out. asked: how often one was asked for."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[tuple[Item, ...]] = asyncio.Queue()
        self.asked = 0
        self.written = asyncio.Condition()

    async def __aiter__(self) -> AsyncIterator[tuple[Item, ...]]:
        while True:
            async with self.written:
                self.asked += 1
                self.written.notify_all()
            yield await self.batches.get()

    async def give(self, *items: Item) -> None:
        """Hand over a batch, and wait until it is written down."""
        async with self.written:
            asked = self.asked
            self.batches.put_nowait(items)
            await asyncio.wait_for(self.written.wait_for(lambda: self.asked > asked), WAIT_S)


@dataclass(slots=True)
class Talk:
    """A registered group, and what is said in it. who: with whom alone it is held."""

    stage: Stage
    binding: Binding
    event: Event
    who: Person = NOBODY

    @property
    def group(self) -> str:
        return self.binding.group

    async def change(self, **fields: Any) -> None:
        """Write the binding anew."""
        self.binding = replace(self.binding, **fields)
        created_at = max(int(time.time()), self.event.created_at + 1)
        made = bindings.template(
            self.binding, self.stage.house.key.public, created_at, self.event.id
        )  # fmt: skip
        self.event = await self.stage.put(made)

    async def events(self, *kinds: int) -> list[Event]:
        """What stands in the group, in order of arrival; without its moderation."""
        wanted = Filter(
            kinds=frozenset(kinds or {5, 7, 9}), tags={"h": frozenset({self.group})}
        )  # fmt: skip
        return await self.stage.house.author.stored([wanted])

    async def texts(self) -> list[str]:
        return [event.content for event in await self.events(9)]

    async def heard(self, text: str, kind: int = 9) -> Event:
        """Wait for an event with this text."""
        wanted = Filter(kinds=frozenset({kind}), tags={"h": frozenset({self.group})})
        async with (
            asyncio.timeout(WAIT_S),
            self.stage.house.link.subscribe([wanted], after_seq=0) as stream,
        ):
            async for found in stream:
                if isinstance(found, Delivery) and found.event.content == text:
                    return found.event
        raise AssertionError("the stream ended")

    async def puppets(self) -> set[str]:
        """Those who are members now."""
        wanted = Filter(kinds=frozenset({39002}), tags={"d": frozenset({self.group})})
        found = await self.stage.house.link.fetch([wanted])
        return {tag[1] for event in found for tag in event.tags if "puppet" in tag}

    async def has(self, puppets: set[str]) -> None:
        """Wait until these are the members."""
        async with asyncio.timeout(WAIT_S):
            while await self.puppets() != puppets:
                await asyncio.sleep(0.01)

    async def say(self, text: str, delivered_as: str | None = None) -> Event:
        """The house says something. delivered_as: by what name people on Signal know it."""
        tags = (("h", self.group), ("o", once_key("test", text)))
        key = self.stage.house.key
        said = await self.stage.put(Template(key.public, int(time.time()), 9, tags, text))
        if delivered_as is not None:
            await self.stage.deliver(said.id, delivered_as)
        return said


@dataclass(slots=True)
class Stage:
    """bridge: its key. link: a second one of the bridge's, for what the outward half writes.
    service: the stand-in, of which files are asked. client: as the bridge has it."""

    house: House
    bridge: SecretKey
    link: Link
    service: SignalService
    client: Service
    feed: Feed = field(default_factory=Feed)
    batches: AsyncIterable[tuple[Item, ...]] | None = None  # in place of the feed
    inbound: Inbound | None = None
    receipts: bool = False
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    stack: AsyncExitStack | None = None

    async def start(self) -> Inbound:
        """Bring the inward half up."""
        self.stack = AsyncExitStack()
        link = await self.stack.enter_async_context(
            connect(self.house.place.relay_address, [self.bridge])
        )
        place = Place(link, self.bridge, "signal-inbox")
        bound = Bindings(link, self.house.roles, "signal", place)
        self.feed = Feed()
        self.inbound = Inbound(
            link,
            self.bridge,
            self.house.roles,
            self.client,
            NUMBER,
            self.batches or self.feed,
            bound,
            place,
            Incoming(self.house.place.data / "groups", 64 << 20),
            assistant=lambda _: "claw",
            receipts=self.receipts,
        )
        self.tasks = [asyncio.create_task(bound.run())]
        await asyncio.wait_for(bound.caught.wait(), WAIT_S)
        await self.inbound.load()
        self.tasks.append(asyncio.create_task(self.inbound.run()))
        return self.inbound

    async def stop(self) -> None:
        """End it; what went wrong in it is raised."""
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert self.stack is not None
        await self.stack.aclose()
        self.tasks, self.stack = [], None
        for one in ended:
            if isinstance(one, BaseException) and not isinstance(one, asyncio.CancelledError):
                raise one

    async def give(self, *given: Item) -> None:
        """Have the service give out a batch: envelopes, and items as they are."""
        await self.feed.give(*(one if "account" in one else item(one) for one in given))

    async def put(self, template: Template, key: SecretKey | None = None) -> Event:
        """Publish as the router, or with the bridge's key."""
        event = template.sign(key or self.house.key, token_bytes(32))
        link = self.link if key == self.bridge else self.house.link
        ok = await link.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    async def registered(self, name: str, *counterparts: str, **fields: Any) -> Talk:
        """Register a group that is bound to these people or groups of Signal."""
        house, now_s = self.house, int(time.time())
        group = registration.group_id(None, token_bytes(16))
        await self.put(registration.opening(group, name, house.roles, now_s))
        joining = registration.joining(None, group, house.roles, house.owner.public, now_s)
        assert joining is not None
        await self.put(joining)
        made = Binding(group, name, tuple(f"signal:{one}" for one in counterparts), **fields)
        (house.place.data / "groups" / name).mkdir(parents=True, exist_ok=True)
        return Talk(self, made, await self.put(bindings.template(made, house.key.public, now_s)))

    async def alone_with(self, who: Person) -> Talk:
        """A conversation with somebody alone."""
        talk = await self.registered(f"{who.name.split()[0].lower()}-{at_ms()}", who.aci)
        return replace(talk, who=who)

    async def records(self) -> list[Event]:
        """What the bridge has written down of what came, dealt with or not."""
        wanted = Filter(kinds=frozenset({30078}), authors=frozenset({self.bridge.public}))
        # Nobody else may read them, the router neither.
        found = await Author(self.link, self.bridge).stored([wanted])
        return [
            event
            for event in found
            if (event.tag("d") or "").startswith("signal/") and event.tag("t") != "signal-person"
        ]

    async def settled(self) -> None:
        """Wait until nothing is written down that is not dealt with."""
        async with asyncio.timeout(WAIT_S):
            while any(event.content for event in await self.records()):
                await asyncio.sleep(0.01)

    async def deliver(self, event_id: str, name: str) -> None:
        """Note as the outward half does by what name a message is known on Signal."""
        tags = (("d", f"delivery/{event_id}"), ("i", name), ("relay", "signal", "ok", "", "1"))
        await self.put(
            Template(self.bridge.public, int(time.time()), 30078, tags, ""), self.bridge
        )  # fmt: skip

    def puppet(self, who: Person) -> str:
        assert self.inbound is not None
        return self.inbound.presence.key_of(who.aci).public


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    """The relay runs; the inward half does not yet."""
    async with a_house() as house:
        bridge = house.role("bridge-signal")
        async with (
            connect(house.place.relay_address, [bridge]) as link,
            a_service() as service,
            Service(service.url) as client,
        ):
            stage = Stage(house, bridge, link, service, client)
            try:
                yield stage
            finally:
                if stage.tasks:
                    await stage.stop()
