"""A real relay with the router's hands, Signal's stand-in, and the way out between them.

The bridge reads nothing here: what it polls would hold the stand-in's account for a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any
from uuid import uuid4

from bot.bridges import puppets
from bot.bridges.bindings import Bindings, Bound
from bot.bridges.presence import Presence
from bot.bridges.puppets import puppet_key
from bot.bridges.signal.outward.outbound import Outbound
from bot.bridges.signal.service.receiving import Receiving, State
from bot.bridges.signal.service.rest import Service
from bot.bridges.signal.troubles import Troubles
from bot.operate.stand_ins.signal_service import SignalService
from bot.place import Place
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.own.binding import Binding
from nips.own.delivery import Delivery
from nips.own.once import once_key
from relay_local.client import Caller, Link, connect
from relay_local.client import Delivery as Delivered
from tests.signal_service import NUMBER, a_service
from tests.unit.bot.requests.stage import House, a_house
from tests.unit.bot.requests.test_house import OTHERS

BOT = SecretKey(bytes([23]) * 32)
WAIT_S = 20.0


def a_person() -> str:
    """An ACI that nobody else has."""
    return str(uuid4())


@dataclass(slots=True)
class Stage:
    """signer: a link as the signer has, who brings the bot's events."""

    house: House
    signal: SignalService
    signer: Link
    people: dict[str, str] = field(default_factory=dict)  # whose puppet a key is
    receiving: Receiving | None = None  # of the bridge that is at work

    @property
    def bridge(self) -> SecretKey:
        return self.house.role("bridge-signal")

    def puppet(self, aci: str) -> SecretKey:
        key = puppet_key(self.bridge, f"signal:{aci}")
        self.people[key.public] = aci
        return key

    async def away(self) -> None:
        """The service goes, as the bridge notices."""
        await self.signal.stop()
        assert self.receiving is not None
        self.receiving._to(State.AWAY, "Nobody answers.", None)

    async def back(self) -> None:
        """The service comes back, as the bridge notices."""
        await self.signal.start()
        self.notice()

    def notice(self) -> None:
        """The bridge sees that the service is there."""
        assert self.receiving is not None
        self.receiving._to(State.AWAY, "Nobody answers.", None)
        self.receiving._to(State.LISTENING, "", None)

    async def group(self, *people: str, **fields: Any) -> Binding:
        """A group bound to conversations of Signal."""
        registry = self.house.registry()
        made = await registry.register(f"group {uuid4()}", [f"signal:{one}" for one in people])
        return await registry.change(made.group, **fields) if fields else made

    async def say(self, group: str, text: str, *tags: Tag, kind: int = 9) -> Event:
        """Something of the router's."""
        once = ("o", once_key("test", text, str(time.time_ns())))
        made = Template(
            self.house.key.public, int(time.time()), kind, (("h", group), once, *tags), text
        )
        return await self.house.author.require(made)

    async def speak(self, group: str, text: str, *tags: Tag, kind: int = 9) -> Event:
        """Something of the bot's, as the signer brings it."""
        made = Template(BOT.public, int(time.time()), kind, (("h", group), *tags), text)
        return await put(self.signer, made.sign(BOT, token_bytes(32)))

    async def hears(self, binding: Binding, aci: str, text: str, at_ms: int) -> Event:
        """Something that somebody's puppet says, as the way in has it."""
        async with connect(self.house.place.relay_address, [self.bridge]) as link:
            presence = Presence(link, self.bridge, "signal", lambda aci: f"{aci} (Signal)")
            made = Filter(
                kinds=frozenset({int(Kind.APP_DATA)}),
                tags={"d": frozenset({f"group/{binding.group}"})},
            )
            (event,) = await link.fetch([made])
            key = await presence.ready(Bound(binding, event.id, "signal"), aci)
            assert key is not None
            self.people[key.public] = aci
            proxy, once = f"signal:{'ab' * 16}:{at_ms}", once_key("test", aci, str(at_ms))
            tags = puppets.carried(binding.group, once, proxy, "signal")
            said = Template(key.public, int(time.time()), Kind.CHAT, tags, text)
            return await put(link, said.sign(key, token_bytes(32)))

    async def retracts(self, aci: str, group: str, of: Event) -> Event:
        """A kind 5 of somebody's puppet."""
        key = self.puppet(aci)
        tags = (*puppets.carried(group, once_key("test", of.id), "x", "signal"), ("e", of.id))
        made = Template(key.public, int(time.time()), Kind.DELETION, tags, "")
        async with connect(self.house.place.relay_address, [self.bridge, key]) as link:
            return await put(link, made.sign(key, token_bytes(32)))

    async def owner_says(self, group: str, text: str, *tags: Tag, kind: int = 9) -> Event:
        """Something typed by the owner; a profile belongs to no group."""
        where: tuple[Tag, ...] = () if kind == Kind.PROFILE else (("h", group),)
        made = Template(self.house.owner.public, int(time.time()), kind, (*where, *tags), text)
        async with connect(self.house.url, [self.house.owner]) as link:
            return await put(link, made.sign(self.house.owner, token_bytes(32)))

    async def delivery(
        self, event_id: str, holds: Callable[[Delivery], bool] = lambda it: not it.is_pending
    ) -> Delivery:
        """A delivery, once something holds of it."""
        wanted = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}), tags={"d": frozenset({f"delivery/{event_id}"})}
        )
        async with asyncio.timeout(WAIT_S), self.house.link.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivered) and holds(found := deliveries.parse(item.event)):
                    return found
        raise AssertionError("the stream ended")

    async def has_delivery(self, event: Event) -> bool:
        """Say whether anything is written down of an event's way out."""
        wanted = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}), tags={"d": frozenset({f"delivery/{event.id}"})}
        )
        return bool(await self.house.link.fetch([wanted]))

    async def told(self, topic: str) -> list[Event]:
        """What the owner was told of troubles, with these words in it."""
        said = await self.house.said(self.house.roles.main)
        return [e for e in said if "trouble/signal" in e.values("t") and topic in e.content]

    async def got(self, conversation: str, n: int, kind: str = "message") -> list[dict[str, Any]]:
        """What a conversation has got, once there is so much of it."""
        while True:
            everything = await self.signal.sent(kind)
            found = [one for one in everything if is_for(one, conversation)]
            if len(found) >= n:
                return found
            try:
                await self.signal.wait_sent(len(everything) + 1, kind)
            except TimeoutError:
                raise AssertionError(f"{len(found)} of {n}: {seen(found)}"[:500]) from None


def is_for(sent: dict[str, Any], conversation: str) -> bool:
    """Say whether something was sent to a conversation."""
    return conversation in (sent.get("group"), *(sent.get("recipients") or ()))


async def put(link: Link, event: Event) -> Event:
    ok = await link.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
    return event


@asynccontextmanager
async def a_bridge(
    stage: Stage,
    link: Callable[[Link], Link] = lambda link: link,
    service: Callable[[Service], Service] = lambda service: service,
    inbox: Callable[[Link], Place | None] = lambda link: None,
) -> AsyncIterator[Outbound]:
    """The way out, at work. link, service: what stands in front of these. inbox: the place that is
    written before a binding changes."""
    key, house = stage.bridge, stage.house
    async with connect(house.place.relay_address, [key]) as own, Service(stage.signal.url) as api:
        bindings = Bindings(own, house.roles, "signal", inbox(own))
        receiving = Receiving(api, NUMBER)
        receiving._to(State.LISTENING, "", None)
        stage.receiving = receiving
        outbound = Outbound(
            link(own), key, house.roles, service(api), NUMBER, bindings, receiving,
            Troubles(Caller(own, key, house.roles.router)), lambda: house.owner.public,
            lambda aci: stage.puppet(aci).public, stage.people.get, lambda: None,
            house.place.data,
        )  # fmt: skip
        following = asyncio.create_task(bindings.run())
        await asyncio.wait_for(bindings.caught.wait(), WAIT_S)
        running = asyncio.create_task(outbound.run())
        try:
            yield outbound
        finally:
            await ended(running, following)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, asyncio.CancelledError), outcome


def seen(sent: Sequence[dict[str, Any]]) -> list[str]:
    """The words of what was sent."""
    return [str(one.get("message")) for one in sent]


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    """A house and Signal's stand-in, whose router answers."""
    async with (
        a_house(bot=BOT) as house,
        a_service() as signal,
        connect(f"unix:{house.place.signer_socket}", [house.role("signer")]) as signer,
    ):
        made = await house.requests()
        async with house.reception(made.methods(OTHERS)):
            yield Stage(house, signal, signer)
