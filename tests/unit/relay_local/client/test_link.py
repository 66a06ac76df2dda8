"""The link with a real relay that is killed and comes back."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.operate.house import free_ports
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Prefix, Refused
from relay_local.client import Caught, Delivery, Link, Lost, Unanswered, connect
from tests.relay_process import RelayProcess, relay_process

NOTES = Filter(kinds=frozenset({int(Kind.NOTE)}))


@pytest.fixture
def owner() -> SecretKey:
    return SecretKey.generate(secrets.token_bytes)


@pytest.fixture
async def relay(tmp_path: Path, owner: SecretKey) -> AsyncIterator[RelayProcess]:
    async with relay_process(tmp_path, owner=owner.public, port=free_ports(1)[0]) as running:
        yield running


def note(key: SecretKey, text: str) -> Event:
    return Template(key.public, int(time.time()), Kind.NOTE, (), text).sign(
        key, secrets.token_bytes(32)
    )


async def test_publish_and_fetch(relay: RelayProcess, owner: SecretKey) -> None:
    async with connect(relay.url, [owner]) as link:
        event = note(owner, "hello")
        assert (await link.publish(event)).accepted
        assert await link.fetch([NOTES]) == [event]


async def test_a_refusal_is_returned_and_not_raised(relay: RelayProcess, owner: SecretKey) -> None:
    async with connect(relay.url, [owner]) as link:
        event = note(owner, "hello")
        broken = Event(**{f: getattr(event, f) for f in Event.__slots__} | {"content": "changed"})
        refusal = (await link.publish(broken)).refusal
        assert refusal is not None
        assert refusal.prefix is Prefix.INVALID


async def test_two_tasks_publish_the_same_event(relay: RelayProcess, owner: SecretKey) -> None:
    async with connect(relay.url, [owner]) as link:
        event = note(owner, "both")
        both = await asyncio.gather(link.publish(event), link.publish(event))
        assert all(ok.accepted for ok in both)


async def test_what_is_published_while_the_relay_is_away_arrives(
    relay: RelayProcess, owner: SecretKey
) -> None:
    async with connect(relay.url, [owner]) as link:
        await link.connected()
        await relay.end(signal.SIGKILL)
        waiting = [asyncio.create_task(link.publish(note(owner, str(n)))) for n in range(20)]
        await relay.start()
        assert all(ok.accepted for ok in await asyncio.gather(*waiting))
        assert {e.content for e in await link.fetch([NOTES])} == {str(n) for n in range(20)}


async def test_a_deadline_passes_while_the_relay_is_away(
    relay: RelayProcess, owner: SecretKey
) -> None:
    async with connect(relay.url, [owner]) as link:
        await relay.end(signal.SIGKILL)
        with pytest.raises(Unanswered):
            await link.publish(note(owner, "late"), deadline_s=0.2)


async def test_a_stream_goes_on_after_a_kill(relay: RelayProcess, owner: SecretKey) -> None:
    async with connect(relay.url, [owner]) as link, connect(relay.url, [owner]) as other:
        await link.publish(note(owner, "before"))
        async with link.subscribe([NOTES]) as stream:
            assert (await anext(stream)).event.content == "before"  # type: ignore[union-attr]
            assert isinstance(await anext(stream), Caught)
            await relay.end(signal.SIGKILL)
            assert isinstance(await anext(stream), Lost)
            await relay.start()
            await other.publish(note(owner, "after"))
            # Stored events come newest first: all of them have come when it is caught up.
            heard: set[str] = set()
            caught = False
            while not caught or "after" not in heard:
                match await anext(stream):
                    case Delivery(event, _):
                        heard.add(event.content)
                    case Caught():
                        caught = True
            assert heard == {"before", "after"}


async def test_an_unknown_key_is_told_and_does_not_hang(
    relay: RelayProcess, owner: SecretKey
) -> None:
    stranger = SecretKey.generate(secrets.token_bytes)
    async with connect(relay.url, [stranger]) as link:
        refusal = (await link.publish(note(stranger, "hi"), deadline_s=10)).refusal
        assert refusal is not None
        assert refusal.prefix is Prefix.RESTRICTED
        with pytest.raises(Refused):
            await link.fetch([NOTES])


async def test_a_wrong_relay_address_in_the_proof_ends_the_link(
    relay: RelayProcess, owner: SecretKey
) -> None:
    """A relay that is handed our proof for another one must not be able to use it."""
    async with connect(relay.url, [owner], "ws://elsewhere.example") as link:
        with pytest.raises(Refused):
            await link.connected()
        with pytest.raises(Refused):
            await link.publish(note(owner, "hi"))


async def test_a_key_can_be_added_and_comes_along(relay: RelayProcess, owner: SecretKey) -> None:
    async with connect(relay.url, [SecretKey.generate(secrets.token_bytes)]) as link:
        await link.authenticate(owner)
        assert (await link.publish(note(owner, "mine"))).accepted
        await relay.end(signal.SIGKILL)
        await relay.start()
        assert (await link.publish(note(owner, "still mine"))).accepted


async def test_nothing_is_left_waiting_when_the_link_closes(
    relay: RelayProcess, owner: SecretKey
) -> None:
    link: Link
    async with connect(relay.url, [owner]) as link:
        await relay.end(signal.SIGKILL)
        waiting = link.spawn(publish_forever(link, note(owner, "never")))
    assert waiting.cancelled()


async def publish_forever(link: Link, event: Event) -> None:
    await link.publish(event)
