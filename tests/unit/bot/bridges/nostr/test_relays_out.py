"""Four relays of five are out, in turn, while both sides talk: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from secrets import token_bytes

from nips.key import SecretKey
from tests.figures import dice, figure
from tests.unit.bot.bridges.nostr.relay_states import QUICK, RelayStates, relay_states
from tests.unit.bot.bridges.nostr.stage import Person, Stage, behind_proxies

RELAYS = 5
EACH_TURN = 4  # messages, half of them each way
OUTAGES = ("refuse", "black-hole", "half-open", "mute", "reject-auth")
BACK_S = 150.0  # a relay that was away long is tried once a minute


async def test_with_four_relays_of_five_out_every_message_arrives_once(
    record_property: Callable[[str, object], None],
) -> None:
    messages, chance = figure("relays-out"), dice("relays-out")
    heard: list[str] = []
    expected: list[str] = []
    async with (
        behind_proxies(SecretKey.generate(token_bytes), RELAYS, QUICK) as (stage, owner),
        relay_states(stage) as states,
    ):
        turns = -(-messages // EACH_TURN)
        order = chance.sample(range(RELAYS), RELAYS)
        for turn in range(turns):
            here = order[turn % RELAYS]
            await only(stage, states, here, chance.choices(OUTAGES, k=RELAYS))
            out = [f"out {turn}/{number}" for number in range(EACH_TURN // 2)]
            in_ = [f"in {turn}/{number}" for number in range(EACH_TURN - len(out))]
            expected += in_ + out
            for said, answered in zip(in_, out, strict=True):
                # Its writer has the same relays out.
                await owner.send(await owner.wrap(stage.roles.bot, said), here)
                await stage.say(answered)
            await asyncio.gather(*(stage.heard(text, BACK_S) for text in in_))
            while not set(out) <= set(heard):
                heard.append(await next_to(owner))
        for proxy in stage.proxies:
            await proxy.fault("pass")
        for proxy in stage.proxies:
            await states.listening(proxy.url, BACK_S)
        # Through each relay there is nothing left behind these.
        for number in range(RELAYS):
            fence = f"fence {number}"
            await owner.send(await owner.wrap(stage.roles.bot, fence), number)
            await stage.heard(fence, BACK_S)
        await stage.say("the end")
        while heard[-1:] != ["the end"]:
            heard.append(await next_to(owner))
        taken = [event.content for event in await stage.messages()]
        assert sorted(text for text in taken if text.startswith("in ")) == sorted(
            text for text in expected if text.startswith("in ")
        )
        assert sorted(heard) == sorted(
            ["the end", *(text for text in expected if text.startswith("out "))]
        )
    record_property("turns", turns)
    record_property("messages, each once", len(expected))


async def only(stage: Stage, states: RelayStates, here: int, outages: list[str]) -> None:
    """Have one relay well and, once the bridge listens to it, the others out."""
    await stage.proxies[here].fault("pass")
    await states.listening(stage.proxies[here].url, BACK_S)
    for number, outage in enumerate(outages):
        if number != here:
            await stage.proxies[number].fault(outage)


async def next_to(owner: Person) -> str:
    return (await owner.hear(BACK_S)).content
