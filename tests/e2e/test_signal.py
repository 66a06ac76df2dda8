"""Whole installations with somebody on Signal: let in, talked with; kills, outages, bursts."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes

import docker
import pytest

from bench.pss import pss_mib
from bot.bridges.signal.people import NETWORK
from bot.operate.stand_ins.signal_envelopes import Group, deleted, edited, quote, reacted, said
from bot.operate.stand_ins.signal_envelopes import Person as Somebody
from bot.operate.stand_ins.signal_service import Json, SignalService
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.binding import Binding, parse
from relay_local.client import Caught, Delivery
from tests.e2e.conftest import Scene, a_scene
from tests.e2e.rounds import rounds
from tests.figures import dice, figure
from tests.signal_service import ALICE, BOB, FRIENDS, NUMBER, a_service

Count = Callable[[str, object], None]
CODE = re.compile(r"/allow ([g-z]{6})")
POLL_S = 0.1
BATCH = 20
PATIENCE_S = 60.0
MOST_GROWTH_MIB = 12.0
_stamps = itertools.count(time.time_ns() // 1_000_000)


def now_ms() -> int:
    """A time of sending, never twice the same."""
    return next(_stamps)


def a_group(name: str, *people: Somebody) -> Group:
    """A group of Signal's, by that name."""
    return Group(b64encode(sha256(name.encode()).digest()).decode(), name, people)


@dataclass(frozen=True, slots=True)
class Line:
    """A scene and the service of its account on Signal."""

    scene: Scene
    phone: SignalService

    async def let_in(self, who: str, envelope: Json) -> str:
        """Have somebody write, and allow them; returns their group's UUID."""
        await self.phone.push(envelope)
        while (found := CODE.search(shown := await self.scene.hear())) is None:
            pass
        assert who in shown
        assert "secret" not in shown
        assert (await self.scene.ask(f"/allow {found[1]}")).startswith("✅")
        return (await self.bindings())[-1].group

    async def bindings(self) -> list[Binding]:
        """All there are, the last made last."""
        roles = self.scene.house.roles
        wanted = Filter(kinds=frozenset({int(Kind.APP_DATA)}), authors=frozenset({roles.router}))
        found = await self.scene.own_client.fetch([wanted])
        found = [e for e in found if (e.tag("d") or "").startswith("group/")]
        return [parse(event, roles.router) for event in sorted(found, key=lambda e: e.created_at)]

    async def said(self, group: str, n: int) -> list[Event]:
        """The first n messages of the people on Signal in a group, as the owner's client sees
        them, in the order of their coming."""
        wanted = Filter(kinds=frozenset({int(Kind.CHAT)}), tags={"h": frozenset({group})})
        found: dict[str, Event] = {}
        async with asyncio.timeout(PATIENCE_S), self.scene.own_client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and item.event.tag("proxy"):
                    found[item.event.id] = item.event
                    if len(found) >= n:
                        break
        return list(found.values())

    async def kill(self) -> None:
        """End the bot at once, and wait until it has a successor."""
        house = self.scene.house
        before = house.pid("bot")
        assert before is not None
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while house.pid("bot") in (None, before):
                await asyncio.sleep(0.05)  # the status file of another process


@asynccontextmanager
async def a_line(image: str, mode: str = "normal") -> AsyncIterator[Line]:
    async with AsyncExitStack() as stack:
        phone = await stack.enter_async_context(a_service(mode))
        given = {"url": phone.url, "number": NUMBER, "poll_s": POLL_S, "max_messages": BATCH}
        scene = await stack.enter_async_context(a_scene(image, signal=given))
        yield Line(scene, phone)


@pytest.fixture(scope="module")
async def line(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Line]:
    async with a_line(agent_image) as made:
        await made.phone.add_group(FRIENDS)
        yield made


async def test_somebody_on_signal_is_let_in_and_answered_there(line: Line) -> None:
    phone = line.phone
    group = await line.let_in("Alice Example (Signal", said(ALICE, "a secret", now_ms()))
    asked_ms = now_ms()
    await phone.push(said(ALICE, "/say *well* met", asked_ms))
    (answer,) = await phone.wait_sent(1, timeout_s=PATIENCE_S)
    assert (answer["recipients"], answer["message"]) == ([ALICE.aci], "well met")
    assert answer["quote"]["timestamp"] == asked_ms
    assert await phone.sent("typing")
    # In their own client the owner sees both, and nothing of what a stranger had written.
    (heard,) = await line.said(group, 1)
    assert heard.content == "/say *well* met"
    assert (heard.tag("proxy") or "").startswith(f"{NETWORK}:")
    assert ALICE.aci not in str(heard.to_json())
    assert ALICE.number not in str(heard.to_json())

    # A sign, another wording, and what is taken back.
    await phone.push(reacted(ALICE, "👍", ALICE, asked_ms, now_ms()))
    first_ms = now_ms()
    await phone.push(
        said(ALICE, "/say one", first_ms), edited(ALICE, "/say two", first_ms, now_ms())
    )
    answers = await phone.wait_sent(2, timeout_s=PATIENCE_S)
    assert answers[-1]["message"] in ("one", "two")
    gone_ms = now_ms()
    await phone.push(said(ALICE, "to be gone", gone_ms), deleted(ALICE, gone_ms, now_ms()))
    await phone.push(
        said(ALICE, "/say the end", now_ms(), quote=quote(ALICE, asked_ms, "/say *well* met"))
    )
    while (await phone.wait_sent(len(answers), timeout_s=PATIENCE_S))[-1]["message"] != "the end":
        answers.append({})
    left = {event.content for event in await line.said(group, 3)}
    assert not left & {"to be gone", "/say one"}


async def test_a_group_of_signals_calls_it_by_name(line: Line) -> None:
    phone, before = line.phone, len(await line.phone.sent())
    group = await line.let_in("Friends", said(BOB, "a secret", now_ms(), group=FRIENDS))
    await phone.push(
        said(BOB, "nothing for it", now_ms(), group=FRIENDS),
        said(ALICE, "@nostrclaw what can you do?", now_ms(), group=FRIENDS),
    )
    answer = (await phone.wait_sent(before + 1, timeout_s=PATIENCE_S))[-1]
    assert (answer["group"], answer["recipients"]) == (FRIENDS.id, [])
    assert len({event.pubkey for event in await line.said(group, 2)}) == 2


@asynccontextmanager
async def listening(line: Line, group: str) -> AsyncIterator[asyncio.Queue[str]]:
    """What people on Signal say in a group from now on, in the order in which it comes."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    laid = asyncio.Event()
    wanted = Filter(kinds=frozenset({int(Kind.CHAT)}), tags={"h": frozenset({group})})

    async def listen() -> None:
        async with line.scene.own_client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Caught):
                    laid.set()
                elif isinstance(item, Delivery) and laid.is_set() and item.event.tag("proxy"):
                    heard.put_nowait(item.event.content)

    task = asyncio.create_task(listen())
    await laid.wait()
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_burst_arrives_whole_and_in_order(line: Line, record_property: Count) -> None:
    """And as much again takes no more memory."""
    n, pid = figure("signal-burst"), line.scene.house.pid("bot")
    assert pid is not None
    crowd = a_group("Crowd", ALICE, BOB)
    await line.phone.add_group(crowd)
    group = await line.let_in("Crowd", said(BOB, "a secret", now_ms(), group=crowd))
    memory = []
    async with listening(line, group) as heard, asyncio.timeout(PATIENCE_S + n / 10):
        for half in range(2):
            words = [f"number {half * n + i}" for i in range(n)]
            people = itertools.cycle((ALICE, BOB))
            told = [said(next(people), word, now_ms(), group=crowd) for word in words]
            await line.phone.push(*told)
            assert [await heard.get() for _ in words] == words
            memory.append(pss_mib(pid))
    assert memory[1] - memory[0] < MOST_GROWTH_MIB, memory
    record_property("messages in order", 2 * n)
    record_property("MiB grown over the second half", round(memory[1] - memory[0], 1))


async def typed(scene: Scene, group: str, text: str) -> None:
    """The owner types in a group, in their own client."""
    key = SecretKey(bytes.fromhex(scene.owner.keys.secret_key().to_hex()))
    template = Template(key.public, int(time.time()), Kind.CHAT, (("h", group),), text)
    ok = await scene.own_client.publish(template.sign(key, token_bytes(32)), deadline_s=10)
    assert ok.accepted, ok.message


async def test_an_outage_loses_nothing_that_waits(line: Line, record_property: Count) -> None:
    """What the owner says meanwhile in a group where it goes out, goes out afterwards, in order."""
    n, phone, scene = figure("signal-outage"), line.phone, line.scene
    pals = a_group("Pals", ALICE)
    await phone.add_group(pals)
    group = await line.let_in("Pals", said(ALICE, "a secret", now_ms(), group=pals))
    assert (await scene.ask("/group Pals owner_speaks on")).startswith("✅")
    before = len(await phone.sent())
    await phone.stop()
    words = [f"while it was away {i}" for i in range(n)]
    for word in words:
        await typed(scene, group, word)
    if n > 1:
        await line.kill()
    await phone.start()
    sent = await phone.wait_sent(before + n, timeout_s=PATIENCE_S + n)
    assert [one["message"].partition(": ")[2] for one in sent[before:]] == words
    record_property("messages that waited", n)


@dataclass(frozen=True, slots=True)
class Mortal:
    """A line whose bot is killed, and a group of Signal's (its UUID here)."""

    line: Line
    mates: Group
    group: str


@pytest.fixture(scope="module")
async def mortal(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Mortal]:
    """An installation of its own, whose bot is killed; another one every few rounds."""
    async with a_line(agent_image) as line:
        await line.let_in("Alice Example (Signal", said(ALICE, "a secret", now_ms()))
        mates = a_group("Mates", ALICE, BOB)
        await line.phone.add_group(mates)
        group = await line.let_in("Mates", said(BOB, "a secret", now_ms(), group=mates))
        yield Mortal(line, mates, group)


@rounds("signal-kills")
async def test_a_kill_costs_a_batch_at_most_and_doubles_nothing(
    mortal: Mortal, round_: int, record_property: Count
) -> None:
    chance, line, group = dice("signal-kills", round_), mortal.line, mortal.group
    words = [f"round {round_} number {i}" for i in range(3 * BATCH)]
    async with listening(line, group) as heard, asyncio.timeout(2 * PATIENCE_S):
        # One to one the assistant answers meanwhile: neither is that said twice.
        await line.phone.push(said(ALICE, f"/say round {round_}", now_ms()))
        await line.phone.push(*(said(BOB, word, now_ms(), group=mortal.mates) for word in words))
        for _ in range(chance.randrange(2 * BATCH)):
            await heard.get()
        await line.kill()
        await line.phone.push(said(BOB, f"end of {round_}", now_ms(), group=mortal.mates))
        while await heard.get() != f"end of {round_}":
            pass
    wanted = Filter(kinds=frozenset({int(Kind.CHAT)}), tags={"h": frozenset({group})})
    stored = await line.scene.own_client.fetch([wanted])
    came = [e.content for e in stored if e.content.startswith(f"round {round_} number")]
    assert len(came) == len(set(came))
    lost = len(words) - len(came)
    assert lost <= BATCH
    answers = [one["message"] for one in await line.phone.sent()]
    assert answers.count(f"round {round_}") <= 1
    record_property("messages", len(came))
    record_property("messages lost with a batch", lost)
