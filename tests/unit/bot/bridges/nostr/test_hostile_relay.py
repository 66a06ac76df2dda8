"""A public relay means harm: what it sends changes nothing, and fills no memory."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest

from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.nip17 import inbox_list_template
from tests.unit.bot.bridges.nostr.relay_states import QUICK
from tests.unit.bot.bridges.nostr.stage import Person, Stage, behind_proxies
from tests.unit.bot.bridges.nostr.test_inbox_volume import seal_of, wrap_of

OWNER, MALLORY = (SecretKey.generate(token_bytes) for _ in range(2))
HARMFUL, HONEST = 0, 1
MIB = 1 << 20
MAX_GROWTH_BYTES = 64 * MIB  # a frame of 5 MB is there a few times at once
HUGE_EVENTS = 40


@pytest.fixture(scope="module")
async def both() -> AsyncIterator[tuple[Stage, Person]]:
    """A relay that will mean harm, and an honest one."""
    async with behind_proxies(OWNER, 2, QUICK) as made:
        await goes_on(*made)
        yield made


@pytest.fixture(autouse=True)
async def _bounded(both: tuple[Stage, Person]) -> AsyncIterator[None]:
    """Whatever is sent, the bridge's process stays about as large."""
    stage, _ = both
    before = resident_bytes(stage)
    yield
    grown = resident_bytes(stage) - before
    assert grown < MAX_GROWTH_BYTES, f"grown by {grown / MIB:.0f} MiB"


async def goes_on(stage: Stage, owner: Person) -> None:
    """The conversation is held, both ways, through the honest relay."""
    text = f"still there? {time.time_ns()}"
    await owner.send(await owner.wrap(stage.roles.bot, text), HONEST)
    await stage.heard(text)
    await stage.say(f"yes: {text}")
    while (await owner.hear()).content != f"yes: {text}":
        pass


async def shown(stage: Stage, verb: str, times: int) -> None:
    """Wait until the harmful relay has said so much of a kind."""
    before = (await stage.proxies[HARMFUL].stats())["down"].get(verb, 0)
    async with asyncio.timeout(90):
        while (await stage.proxies[HARMFUL].stats())["down"].get(verb, 0) < before + times:
            await asyncio.sleep(0.1)


def resident_bytes(stage: Stage) -> int:
    """What the bridge's process holds in memory."""
    status = Path(f"/proc/{stage.processes['bridge'].pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


async def test_events_of_five_megabytes_fill_no_memory(both: tuple[Stage, Person]) -> None:
    """Attack: signed, addressed to us, of a kind that was asked for, and as long as a frame may
    be; under every subscription, again and again."""
    stage, owner = both
    await stage.proxies[HARMFUL].fault("huge")
    await shown(stage, "EVENT", HUGE_EVENTS)
    await goes_on(stage, owner)
    await stage.proxies[HARMFUL].fault("pass")
    wraps = Filter(kinds=frozenset({1059}), tags={"p": frozenset({stage.roles.bot})})
    assert all(len(wrap.content) < 1_000_000 for wrap in await stage.link.fetch([wraps]))


async def insert(stage: Stage, *events: Event | dict[str, Any], times: int = 6) -> None:
    """Have the harmful relay say these under every subscription, a few times."""
    told = [event.to_json() if isinstance(event, Event) else event for event in events]
    await stage.proxies[HARMFUL].fault("insert", events=told)
    await shown(stage, "EVENT", times * len(told))
    await stage.proxies[HARMFUL].fault("pass")


async def test_a_forged_copy_changes_nothing(both: tuple[Stage, Person]) -> None:
    """Attack: a wrap that is on its way, changed; were its id taken for known, it would be lost."""
    stage, owner = both
    text = f"the true one {time.time_ns()}"
    wrap = wrap_of(seal_of(text, owner, stage.roles.bot), stage.roles.bot)
    foreign = wrap_of(seal_of("another", owner, stage.roles.bot), stage.roles.bot)
    changes = ({"sig": foreign.sig}, {"content": foreign.content}, {"pubkey": MALLORY.public})
    await insert(stage, *(wrap.to_json() | change for change in changes))
    await owner.send(wrap, HONEST)
    await stage.heard(text)
    assert [event.content for event in await stage.messages()].count(text) == 1
    assert "another" not in [event.content for event in await stage.messages()]


async def test_nobody_elses_word_says_where_a_person_reads(both: tuple[Stage, Person]) -> None:
    """Attack: whoever may write another's inbox list has their answers sent to where he reads."""
    stage, owner = both
    lists = Filter(kinds=frozenset({10050}))
    (known,) = [list_ for list_ in await stage.link.fetch([lists]) if list_.pubkey == owner.public]
    trap, later_s = "wss://trap.example", int(time.time()) + 60
    of_mallory = inbox_list_template(MALLORY.public, [trap], later_s)
    in_their_name = inbox_list_template(owner.public, [trap], later_s)
    signed = of_mallory.sign(MALLORY, token_bytes(32))
    await insert(
        stage,
        # Signed rightly, by another than those who were asked about.
        signed,
        profile_of(MALLORY),
        # In the person's name, with another's signature.
        in_their_name.with_sig(signed.sig),
        # And as the list that is known, whose signature need not be checked again.
        {**in_their_name.with_sig(known.sig).to_json(), "id": known.id},
    )
    await goes_on(stage, owner)
    stored = await stage.link.fetch([lists])
    assert known in stored
    assert all(trap not in event.values("relay") for event in stored)
    assert MALLORY.public not in {event.pubkey for event in stored}
    said = await stage.say("where does it go?")
    delivery = await stage.delivery(said.id)
    assert {tag[1] for tag in delivery.tags if tag[0] == "relay"} == {
        proxy.url for proxy in stage.proxies
    }


async def test_nobody_elses_word_says_what_a_person_is_called(both: tuple[Stage, Person]) -> None:
    """Attack: in a room, a message is taken for another's by the name that it stands under. The
    SDK checks no signature of an id that it has seen."""
    stage, owner = both
    known = profile_of(OWNER, "Olga")
    await owner.send(known)
    await goes_on(stage, owner)
    puppet = (await stage.messages())[-1].pubkey
    await named(stage, puppet, "Olga (Nostr)")
    false = Template(owner.public, known.created_at + 60, 0, (), '{"name":"Mallory"}')
    await insert(
        stage,
        false.with_sig(profile_of(MALLORY).sig),
        {**false.with_sig(known.sig).to_json(), "id": known.id},
    )
    # The name that comes behind it is the next one.
    await owner.send(profile_of(OWNER, "Olga the Second", known.created_at + 30))
    await named(stage, puppet, "Olga the Second (Nostr)")


async def named(stage: Stage, puppet: str, name: str) -> None:
    """Wait until a puppet has this name."""
    wanted = Filter(kinds=frozenset({0}), authors=frozenset({puppet}))
    async with asyncio.timeout(30):
        while json.loads((await stage.link.fetch([wanted]))[0].content)["name"] != name:
            await asyncio.sleep(0.05)


def profile_of(key: SecretKey, name: str = "Mallory", created_at: int | None = None) -> Event:
    """A kind 0."""
    content = json.dumps({"name": name})
    template = Template(key.public, created_at or int(time.time()), 0, (), content)
    return template.sign(key, token_bytes(32))
