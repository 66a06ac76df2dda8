"""A relay that dies without a word: how long it takes until that is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from secrets import token_bytes

from bench.promises import promise_of
from nips.key import SecretKey
from tests.figures import dice, figure
from tests.unit.bot.bridges.nostr.relay_states import QUICK, relay_states
from tests.unit.bot.bridges.nostr.stage import behind_proxies

# The longest time, in seconds, until a bridge at its usual pace says so.
DEATHS = {"black-hole": 90.0, "half-open": 90.0, "mute": 90.0, "deaf": 180.0}
QUICK_S = 20.0  # for each, at the pace of tests


async def test_a_silent_death_is_noticed_in_time(
    record_property: Callable[[str, object], None],
) -> None:
    """All four deaths at once, each a relay's of its own; the fifth relay stays well."""
    rounds, chance = figure("silent-death"), dice("silent-death")
    quick = rounds == promise_of("silent-death").short
    worst_s = dict.fromkeys(DEATHS, 0.0)
    pace = QUICK if quick else {}
    async with (
        behind_proxies(SecretKey.generate(token_bytes), len(DEATHS) + 1, pace) as (stage, owner),
        relay_states(stage) as states,
    ):

        async def noticed_s(number: int, death: str) -> float:
            proxy = stage.proxies[number]
            reconnects = states.latest[proxy.url]["reconnects"]
            await proxy.fault(death)
            return await states.until(
                proxy.url,
                lambda told: told["state"] != "listening" or told["reconnects"] > reconnects,
                QUICK_S if quick else DEATHS[death],
            )

        for round_ in range(rounds):
            for proxy in stage.proxies:
                await proxy.fault("pass")
            for proxy in stage.proxies:
                await states.listening(proxy.url, 200)
            if not quick:  # at any point of the period
                await asyncio.sleep(chance.uniform(0, 30))
            *dying, well = chance.sample(range(len(stage.proxies)), len(stage.proxies))
            took = await asyncio.gather(*map(noticed_s, dying, DEATHS))
            for death, took_s in zip(DEATHS, took, strict=True):
                worst_s[death] = max(worst_s[death], took_s)
                print(f"{death}: noticed after {took_s:.1f} s")
            # What is said meanwhile comes through the one that is left.
            await owner.send(await owner.wrap(stage.roles.bot, f"still there? {round_}"), well)
            await stage.heard(f"still there? {round_}")
            assert states.latest[stage.proxies[well].url]["state"] == "listening"
    for death, took_s in worst_s.items():
        record_property(f"s at most until {death} was noticed", round(took_s))
