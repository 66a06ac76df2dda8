"""What goes wrong between the bridge and a relay: it is noticed, and costs no message.

Each case has one relay alone carry the messages, both ways, while that relay's connection is at
fault; the proxy in between (tests/fault_proxy) is what does it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any

import pytest

from nips.key import SecretKey
from tests.fault_proxy import FaultProxy
from tests.fault_proxy.faults import FAULTS
from tests.unit.bot.bridges.nostr.relay_states import QUICK, RelayStates, relay_states
from tests.unit.bot.bridges.nostr.stage import Person, Stage, behind_proxies

OWNER = SecretKey.generate(token_bytes)
FEW = 5


@dataclass(frozen=True)
class Case:
    """A fault, and the state in which it is seen; none where the relay still serves."""

    fault: str
    noticed: str = ""
    options: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("pass"),
    Case("refuse", "down"),
    Case("close", "down"),
    Case("black-hole", "deaf"),
    Case("half-open", "deaf"),
    Case("deaf", "deaf"),
    Case("mute", "deaf"),
    Case("garbage"),
    Case("slow", options={"after_ms": 200}),
    Case("drop", options={"p": 0.5}),
    Case("reject-auth", "refused"),
    Case("rate-limit", "rate-limited"),
    Case("forge", "forging"),
    Case("duplicate"),
    Case("reorder"),
    Case("huge"),
]


@dataclass(slots=True)
class Scene:
    """The stage, its owner, and what the bridge says of its relays."""

    stage: Stage
    owner: Person
    states: RelayStates

    async def hear(self, text: str) -> list[str]:
        """What the owner hears up to this."""
        heard = [(await self.owner.hear(60)).content]
        while heard[-1] != text:
            heard.append((await self.owner.hear(60)).content)
        return heard


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[Scene]:
    """One relay behind a proxy, and a bridge that looks at it often."""
    async with (
        behind_proxies(OWNER, 1, QUICK) as (stage, owner),
        relay_states(stage) as states,
    ):
        yield Scene(stage, owner, states)


async def probed(proxy: FaultProxy, times: int) -> None:
    """Wait until the bridge has asked the relay something so many times more."""
    before = (await proxy.stats())["up"]["REQ"]
    async with asyncio.timeout(60):
        while (await proxy.stats())["up"]["REQ"] < before + times:
            await asyncio.sleep(0.1)


def test_there_is_a_case_for_every_fault() -> None:
    assert {case.fault for case in CASES} | {"insert"} == FAULTS.keys()


@pytest.mark.parametrize("case", CASES, ids=[case.fault for case in CASES])
async def test_what_is_said_during_a_fault_arrives_once(scene: Scene, case: Case) -> None:
    stage, owner, (proxy,) = scene.stage, scene.owner, scene.stage.proxies
    await proxy.fault("pass")
    await scene.states.listening(proxy.url)
    shown = scene.states.shown[proxy.url]
    before, reconnects = len(shown), scene.states.latest[proxy.url]["reconnects"]
    lines = [f"{case.fault} {number} {time.time_ns()}" for number in range(FEW)]

    await proxy.fault(case.fault, **case.options)
    for line in lines:
        await owner.say(stage.roles.bot, f"in {line}")
        await stage.say(f"out {line}")
    if case.noticed:
        await scene.states.until(
            proxy.url,
            # The state may be over before it is written: then the connection is another.
            lambda told: case.noticed in shown[before:] or told["reconnects"] > reconnects,
            timeout_s=30,
        )
    else:
        await probed(proxy, 8)
        assert set(shown[before:]) <= {"listening"} or case.fault in ("drop", "huge")
    await proxy.fault("pass")

    for line in lines:
        await stage.heard(f"in {line}", 60)
    await scene.states.listening(proxy.url)
    # Whatever a repetition would be, it comes before what is said last.
    await owner.say(stage.roles.bot, f"in fence {lines[0]}")
    await stage.heard(f"in fence {lines[0]}", 60)
    await stage.say(f"out fence {lines[0]}")
    told = await scene.hear(f"out fence {lines[0]}")
    while missing := {f"out {line}" for line in lines} - set(told):  # each is repeated by itself
        told += await scene.hear(missing.pop())
    assert sorted(text for text in told if text.removeprefix("out ") in lines) == sorted(
        f"out {line}" for line in lines
    )
    said = [event.content for event in await stage.messages()]
    assert sorted(text for text in said if text.removeprefix("in ") in lines) == sorted(
        f"in {line}" for line in lines
    )
