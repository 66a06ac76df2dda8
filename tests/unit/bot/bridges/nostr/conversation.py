"""Shell: groups that are bound to people, as the router makes them, and what people send."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from secrets import token_bytes
from typing import Any

from bot import registration
from nips import nip59
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own.binding import Binding
from nips.own.once import once_key
from relay_local.client import Delivery
from tests.unit.bot.bridges.nostr.stage import Person, Stage


@dataclass(slots=True)
class Conversation:
    """A registered group, as the router writes it."""

    stage: Stage
    binding: Binding
    event: Event

    async def change(self, **fields: Any) -> None:
        """Write the binding anew."""
        self.binding = replace(self.binding, **fields)
        created_at = max(int(time.time()), self.event.created_at + 1)
        made = bindings.template(
            self.binding, self.stage.router.public, created_at, self.event.id
        )  # fmt: skip
        self.event = await self.stage.put(made)

    async def heard(self, text: str, kind: int = 9) -> Event:
        """Wait for an event of the group with this text."""
        async with asyncio.timeout(20), self.stage.link.subscribe([self._of(kind)]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and item.event.content == text:
                    return item.event
        raise AssertionError("the stream ended")

    async def texts(self) -> list[str]:
        return [event.content for event in await self.stage.link.fetch([self._of(9)])]

    async def say(self, text: str, *to: str) -> Event:
        """The house says something in the group, to these puppets or to whoever is first."""
        key = self.stage.router
        tags: tuple[Tag, ...] = (("h", self.binding.group), ("o", once_key("test", text)))
        tags += tuple(("p", puppet) for puppet in to)
        return await self.stage.put(Template(key.public, int(time.time()), 9, tags, text))

    async def puppets(self, n: int) -> set[str]:
        """Wait until so many puppets are members."""
        wanted = Filter(
            kinds=frozenset({39002}), tags={"d": frozenset({self.binding.group})}
        )  # fmt: skip
        async with asyncio.timeout(20):
            while True:
                found = {
                    tag[1]
                    for event in await self.stage.link.fetch([wanted])
                    for tag in event.tags
                    if tag[0] == "p" and "puppet" in tag
                }
                if len(found) == n:
                    return found
                await asyncio.sleep(0.05)

    def _of(self, kind: int) -> Filter:
        return Filter(kinds=frozenset({kind}), tags={"h": frozenset({self.binding.group})})


async def registered(stage: Stage, name: str, *people: str, room: bool = False) -> Conversation:
    group, now_s = registration.group_id(None, token_bytes(16)), int(time.time())
    await stage.put(registration.opening(group, name, stage.roles, now_s))
    assert stage.roles.owner is not None
    joining = registration.joining(None, group, stage.roles, stage.roles.owner, now_s)
    assert joining is not None
    await stage.put(joining)
    made = Binding(group, name, tuple(f"nostr:{key}" for key in people), room=room)
    event = await stage.put(bindings.template(made, stage.router.public, now_s))
    conversation = Conversation(stage, made, event)
    await conversation.puppets(len(people))
    return conversation


async def sent(author: Person, bot: str, rumor: Template) -> Event:
    now_s = int(time.time())
    seal = nip59.seal(rumor, author.secret, bot, now_s, token_bytes(32), token_bytes(32))
    key = SecretKey.generate(token_bytes)
    wrap = nip59.wrap(seal, key, bot, now_s, token_bytes(32), token_bytes(32))
    await author.send(wrap)
    return wrap


def reaction(author: Person, bot: str, about: str, sign: str) -> Template:
    tags = (("p", bot), ("e", about), ("k", "14"))
    return Template(author.public, int(time.time()), Kind.REACTION, tags, sign)
