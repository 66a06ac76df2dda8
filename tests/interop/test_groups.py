"""Groups made, named, filled and deleted with other makers' NIP-29 clients, as their owner."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import token_bytes
from typing import Any
from uuid import uuid4

import pytest

from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own.binding import Binding
from relay_local.client import Delivery, connect
from tests.e2e.conftest import Scene, a_scene
from tests.interop.conftest import HERE, NODE, told_by

Client = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
async def scene(agent_image: str) -> AsyncIterator[Scene]:
    """One installation; each client makes groups of its own in it."""
    async with a_scene(agent_image) as made:
        yield made


@pytest.fixture(params=["nostr-sdk", "nostr-tools"])
def client(request: pytest.FixtureRequest, node: str) -> Client:
    """The owner's client."""
    if request.param == "nostr-tools":
        return lambda asked: told_by([node, "groups.mjs"], asked, NODE)
    argv = [sys.executable, str(HERE / "nostr_sdk_groups.py")]
    return lambda asked: told_by(argv, asked, HERE.parents[1])


async def binding(scene: Scene, group: str, wanted: Callable[[Binding], bool]) -> Binding:
    """Wait for a binding of the group."""
    kept = Filter(
        kinds=frozenset({int(Kind.APP_DATA)}), tags={"d": frozenset({f"group/{group}"})}
    )  # fmt: skip
    async with asyncio.timeout(20), scene.own_client.subscribe([kept]) as stream:
        async for item in stream:
            if isinstance(item, Delivery):
                found = bindings.parse(item.event, scene.house.roles.router)
                if wanted(found):
                    return found
    raise AssertionError("the stream ended")


async def test_a_group_of_the_owners_is_a_conversation(scene: Scene, client: Client) -> None:
    house, friend = scene.house, SecretKey.generate(token_bytes)
    group, word = str(uuid4()), uuid4().hex[:8]
    asked = {
        "url": f"ws://{house.listen}",
        "key": scene.owner.keys.secret_key().to_hex(),
        "group": group,
        "bot": house.roles.bot,
        "friend": friend.public,
        "names": [f"Haus {word} Größe", f"Garten {word}"],
        "call": f"@nostrclaw /say {word}",
    }
    told = await client(asked)
    assert told == {
        "created": "ok", "named": "ok", "joined": True, "said": "ok", "answer": word,
        "added": "ok", "friend": True, "renamed": "ok", "name": f"Garten {word}",
    }  # fmt: skip
    made = await binding(scene, group, lambda _: True)
    assert made == Binding(group, f"haus-{word}-grosse", (), "")
    folder = house.place.data / "groups" / made.folder
    assert folder.is_dir()
    assert f"Garten {word}" in await scene.ask("/groups")

    # Whom the owner has added types there with a client of their own. They are heard, and have
    # no work done: that is for those whom the owner lets.
    async with connect(f"ws://{house.listen}", [friend]) as link:
        await said(link, friend, group, "@nostrclaw /say for a guest")
        assert "✅" in await scene.ask(f"/group Garten {word} senders members")
        asking = await said(link, friend, group, "@nostrclaw /say for a member")
        answer = await answered(scene, asking)
    assert answer.content == "for a member"

    assert await client(asked | {"delete": True}) == {"deleted": "ok"}
    gone = await binding(scene, group, lambda binding: binding.archived)
    assert gone.counterparts == ()
    assert folder.is_dir()
    assert f"Garten {word}" not in await scene.ask("/groups")


async def said(link: Any, author: SecretKey, group: str, text: str) -> Event:
    template = Template(author.public, int(time.time()), Kind.CHAT, (("h", group),), text)
    event = template.sign(author, token_bytes(32))
    ok = await link.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
    return event


async def answered(scene: Scene, asking: Event) -> Event:
    wanted = Filter(
        kinds=frozenset({int(Kind.CHAT)}),
        authors=frozenset({scene.house.roles.bot}),
        tags={"h": frozenset({asking.tag("h") or ""})},
    )
    async with asyncio.timeout(40), scene.own_client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and item.event.tag("q") == asking.id:
                return item.event
    raise AssertionError("the stream ended")
