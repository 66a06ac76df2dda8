import asyncio
from dataclasses import replace
from secrets import token_bytes

from bot.bridges.nostr.contacts import Contacts, is_newer
from config.roles import read_key
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from relay_local.client import connect
from tests.unit.bot.bridges.nostr.stage import Stage

ALICE = SecretKey.generate(token_bytes)


def list_of(url: str, created_at: int, key: SecretKey = ALICE) -> Event:
    tags = (("relay", url),)
    return Template(key.public, created_at, 10050, tags, "").sign(key, token_bytes(32))


def test_the_newest_list_counts_and_in_a_tie_the_lowest_id() -> None:
    old, new = list_of("wss://a", 1), list_of("wss://b", 2)
    low, high = sorted([list_of("wss://c", 2), new], key=lambda event: event.id)
    assert is_newer(old, None)
    assert is_newer(new, old)
    assert not is_newer(old, new)
    assert is_newer(low, high)
    assert not is_newer(high, low)
    assert not is_newer(high, high)


async def test_a_relay_cannot_invent_where_somebody_reads(stage: Stage) -> None:
    good = list_of("wss://good.example", 1_700_000_000)
    # Attack: a list of the relay's own making would send it who writes to whom, and when.
    forged = Event.from_json(
        list_of("wss://evil.example", 1_700_000_001).to_json()
        | {"tags": [["relay", "wss://evil.example/changed"]]}
    )
    mallory = SecretKey.generate(token_bytes)
    unasked = list_of("wss://evil.example", 1_700_000_002, mallory)
    key = read_key(stage.place.key("bridge-nostr"))
    async with connect(stage.place.relay_address, [key]) as link:
        contacts = Contacts(link)
        assert contacts.expect(frozenset({ALICE.public}))
        following = asyncio.create_task(contacts.follow_local())
        change = contacts.change
        for event in (good, forged, unasked):
            await contacts.learn(event)
        await asyncio.wait_for(change.wait(), 10)
        await asyncio.wait_for(contacts.caught.wait(), 10)
        assert contacts.relays_of(ALICE.public) == ("wss://good.example",)
        assert contacts.relays_of(mallory.public) == ()
        following.cancel()


async def test_of_whoever_only_rings_nothing_is_kept(stage: Stage) -> None:
    """Attack: a crowd of strangers with long profiles and lists, to fill memory and disk."""
    eve = SecretKey.generate(token_bytes)
    key = read_key(stage.place.key("bridge-nostr"))
    async with connect(stage.place.relay_address, [key]) as link:
        contacts = Contacts(link)
        contacts.expect(frozenset({ALICE.public}), visitors=frozenset({eve.public}))
        for of in (ALICE, eve):
            profile = Template(of.public, 5, 0, (), '{"name":"Somebody"}').sign(of, token_bytes(32))
            await contacts.learn(profile)
            assert contacts.name_of(of.public) == "Somebody (Nostr)"
        await contacts.learn(list_of("wss://a", 1_700_000_000, eve))
        assert contacts.expect(frozenset({ALICE.public}))
        assert contacts.knows(ALICE.public)
        assert not contacts.knows(eve.public)
        kept = Filter(kinds=frozenset({10050}), authors=frozenset({eve.public}))
        assert await link.fetch([kept]) == []


async def test_a_relay_cannot_rename_anybody() -> None:
    async with connect("ws://127.0.0.1:1") as link:
        contacts = Contacts(link)
        contacts.expect(frozenset({ALICE.public}))
        template = Template(ALICE.public, 5, 0, (), '{"name":"Alice"}')
        await contacts.learn(template.sign(ALICE, bytes(32)))
        # Attack: a profile of the relay's making, newer than the true one.
        forged = replace(template.sign(ALICE, bytes(32)), content='{"name":"Owner"}', created_at=6)
        await contacts.learn(forged)
        assert contacts.name_of(ALICE.public) == "Alice (Nostr)"
