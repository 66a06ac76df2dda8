"""What becomes of what goes out when Signal, or its service, does not do as it should."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from secrets import token_bytes
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from bot.bridges.signal.outward import gate, sender
from bot.bridges.signal.outward.outbound import Outbound
from bot.bridges.signal.outward.outgoing import GIVE_UP_S, TOO_LATE, UNBOUND, begun, pending
from bot.operate.stand_ins.signal_envelopes import Group, Person
from bot.operate.stand_ins.signal_faults import challenge, cut, failing, held, refuses
from bot.place import Place
from nips.event import Event
from nips.own import delivery as deliveries
from nips.own.delivery import Delivery, Status
from relay_local.client import Link, connect
from tests.signal_service import NUMBER
from tests.unit.bot.bridges.signal.outbound_stage import Stage, a_bridge, a_person, put, seen

SEND = "/v2/send"


@pytest.fixture
async def bridge(stage: Stage) -> AsyncIterator[Outbound]:
    await stage.signal.faults()
    async with a_bridge(stage) as made:
        yield made


async def state(stage: Stage, event: Event) -> tuple[Status, str]:
    (found,) = (await stage.delivery(event.id)).relays
    return found.status, found.reason


async def write(stage: Stage, delivery: Delivery, at_s: int) -> None:
    """As a bridge of before has left it."""
    made = deliveries.template(delivery, stage.bridge.public, at_s)
    async with connect(stage.house.place.relay_address, [stage.bridge]) as link:
        await put(link, made.sign(stage.bridge, token_bytes(32)))


async def test_each_conversation_has_its_order(stage: Stage, bridge: Outbound) -> None:
    people = [a_person() for _ in range(4)]
    groups = [(await stage.group(person)).group for person in people]
    for number in range(8):
        for group in groups:
            await stage.say(group, str(number))
    for person in people:
        assert seen(await stage.got(person, 8)) == [str(number) for number in range(8)]
    assert bridge.outgoing().pending <= len(people)


async def test_an_outage_loses_nothing(stage: Stage, bridge: Outbound) -> None:
    alice, bob = a_person(), a_person()
    groups = [(await stage.group(person)).group for person in (alice, bob)]
    await stage.away()
    said = [await stage.say(group, str(number)) for number in range(5) for group in groups]
    waiting = await stage.delivery(said[0].id, lambda it: bool(it.relays[0].reason))
    assert waiting.relays[0].status is Status.PENDING
    assert waiting.sending == ()
    await stage.delivery(said[-1].id, lambda it: it.is_pending)
    assert bridge.outgoing().pending >= len(said) - 1  # the last is on its way into the queue
    await stage.back()
    for person in (alice, bob):
        assert seen(await stage.got(person, 5)) == [str(number) for number in range(5)]
    assert [await state(stage, event) for event in said] == [(Status.OK, "")] * len(said)


async def test_what_waits_goes_nowhere_that_is_bound_no_more(
    stage: Stage, bridge: Outbound
) -> None:
    """Attack: a service that comes back is handed what was kept for somebody put out since, or
    for whoever has their place now."""
    alice, bob = a_person(), a_person()
    binding = await stage.group(alice)
    await stage.away()
    said = await stage.say(binding.group, "for Alice " * 500)
    await stage.delivery(said.id, lambda it: bool(it.relays[0].reason))
    await stage.house.registry().bind(binding.group, f"signal:{bob}")
    await stage.house.registry().unbind(binding.group, f"signal:{alice}")
    await stage.back()
    await stage.say(binding.group, "for Bob")
    assert seen(await stage.got(bob, 1)) == ["for Bob"]
    assert await state(stage, said) == (Status.FAILED, UNBOUND)
    assert await stage.got(alice, 0) == []


async def test_what_is_refused_is_told_once_and_the_rest_goes_on(
    stage: Stage, bridge: Outbound
) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    await stage.signal.faults(failing(alice, times=1))
    failed = await stage.say(group, "to nobody there " * 500)
    await stage.say(group, "and on")
    assert seen(await stage.got(alice, 1)) == ["and on"]
    status, reason = await state(stage, failed)
    assert status is Status.FAILED
    assert "UNREGISTERED_FAILURE" in reason
    assert (await stage.delivery(failed.id)).sending == ()
    (told,) = await stage.told("to nobody there")
    assert told.content.startswith("❌")
    assert bridge.outgoing().failed >= 1


async def test_some_of_a_group_do_not_get_it(stage: Stage, bridge: Outbound) -> None:
    carol, dave = (Person(a_person(), name) for name in ("Carol", "Dave"))
    friends = Group(base64.b64encode(token_bytes(32)).decode(), "Friends", (carol, dave))
    await stage.signal.add_group(friends)
    group = (await stage.group(friends.id)).group
    await stage.signal.faults(failing(dave.aci, times=1))
    said = await stage.say(group, "to both")
    status, reason = await state(stage, said)
    assert status is Status.OK
    assert f"{dave.aci[:8]}…: " in reason
    assert "UNREGISTERED_FAILURE" in reason


@pytest.mark.parametrize("late", [True, False])
async def test_what_may_have_gone_is_not_said_again(
    stage: Stage, bridge: Outbound, late: bool
) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    await stage.signal.faults(cut(SEND, late=late))
    text = f"in doubt {late} " * 500
    doubt = await stage.say(group, text)
    await stage.say(group, "and on")
    got = await stage.got(alice, 3 if late else 2)
    assert seen(got)[-1] == "and on"
    assert len({one["message"] for one in got}) == len(got)
    status, reason = await state(stage, doubt)
    assert (status, reason) == (Status.UNCERTAIN, "of 2 parts may have gone or not: 1")
    delivery = await stage.delivery(doubt.id)
    assert (delivery.sending, [one.part for one in delivery.sent]) == ((1,), [2])
    (told,) = await stage.told(f"in doubt {late}")
    assert told.content.startswith("❔")


async def test_a_limit_holds_everything_up(
    stage: Stage, bridge: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "FIRST_PAUSE_S", 1.0)
    alice, bob = a_person(), a_person()
    token = token_bytes(8).hex()
    groups = [(await stage.group(person)).group for person in (alice, bob)]
    await stage.signal.faults(challenge(token))
    said = [await stage.say(group, text) for text in ("one", "two") for group in groups]
    for event in said[:2]:
        await stage.delivery(event.id, lambda it: bool(it.relays[0].reason))
    assert await stage.got(alice, 0) == await stage.got(bob, 0) == []
    await stage.signal.faults()
    for person in (alice, bob):
        assert seen(await stage.got(person, 2)) == ["one", "two"]
    assert len(await stage.told(token)) == 1


async def test_what_the_service_cannot_do_yet_waits(stage: Stage, bridge: Outbound) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    await stage.signal.faults(refuses("send"))
    said = await stage.say(group, "at the second try")
    await stage.delivery(said.id, lambda it: bool(it.relays[0].reason))
    stage.notice()
    assert seen(await stage.got(alice, 1)) == ["at the second try"]


async def test_a_reaction_in_doubt_is_put_again(stage: Stage, bridge: Outbound) -> None:
    alice = a_person()
    binding = await stage.group(alice)
    asked = await stage.hears(binding, alice, "a question", 1_700_000_000_000)
    await stage.signal.faults(cut("/v1/reactions", late=True))
    sign = await stage.speak(binding.group, "🎉", ("e", asked.id), kind=7)
    await stage.delivery(sign.id, lambda it: bool(it.relays[0].reason))
    stage.notice()
    assert await state(stage, sign) == (Status.OK, "")
    assert {one["emoji"] for one in await stage.got(alice, 2, "reaction")} == {"🎉"}


async def test_after_a_start_it_goes_on_in_order(stage: Stage) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    now_s = int(time.time())
    said = [await stage.say(group, str(number)) for number in range(4)]
    # The order in which they are written down is not that in which they were said.
    for event in (said[2], said[0], said[1]):
        await write(stage, pending(event.id, [alice], now_s), now_s)
    async with a_bridge(stage) as bridge:
        assert seen(await stage.got(alice, 4)) == ["0", "1", "2", "3"]
        await state(stage, said[3])
        while bridge.outgoing().pending:
            await asyncio.sleep(0)


async def test_what_was_being_sent_when_the_bridge_was_killed(stage: Stage) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    now_s = int(time.time())
    doubt, after = await stage.say(group, "perhaps said"), await stage.say(group, "and on")
    await write(stage, begun(pending(doubt.id, [alice], now_s), 1), now_s)
    async with a_bridge(stage) as bridge:
        assert seen(await stage.got(alice, 1)) == ["and on"]
        assert await state(stage, after) == (Status.OK, "")
        assert (await state(stage, doubt))[0] is Status.UNCERTAIN
        assert bridge.outgoing().uncertain >= 1
    assert len(await stage.told("perhaps said")) == 1


async def test_after_three_days_it_is_given_up(stage: Stage) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    now_s = int(time.time())
    old = await stage.say(group, "an old thing")
    kept = pending(old.id, [alice], now_s - GIVE_UP_S - 1)
    why = replace(kept.relays[0], reason="it was away")
    await write(stage, replace(kept, relays=(why,)), now_s)
    async with a_bridge(stage):
        assert await state(stage, old) == (Status.FAILED, f"{TOO_LATE}: it was away")
    assert len(await stage.told("an old thing")) == 1


async def test_what_was_said_before_a_binding_is_for_nobody_it_names(stage: Stage) -> None:
    """Whether the bridge was there when the binding was made, or comes later, or dies then."""
    alice, bob = a_person(), a_person()
    registry = stage.house.registry()
    binding = await stage.group()
    group = binding.group
    async with a_bridge(stage):
        before = await stage.say(group, "before")
        await registry.bind(group, f"signal:{alice}")
        await stage.say(group, "for Alice")
        assert seen(await stage.got(alice, 1)) == ["for Alice"]
    while_away = await stage.say(group, "for Alice, while the bridge is away")
    await registry.change(group, trigger="claw")
    await stage.say(group, "and more for Alice")
    await registry.bind(group, f"signal:{bob}")
    await registry.unbind(group, f"signal:{alice}")
    await stage.say(group, "for Bob")
    async with a_bridge(stage):
        assert seen(await stage.got(bob, 1)) == ["for Bob"]
    assert seen(await stage.got(alice, 1)) == ["for Alice"]
    assert not await stage.has_delivery(before)
    assert not await stage.has_delivery(while_away)


async def test_what_is_said_while_the_bridge_is_away_is_for_whoever_stays(stage: Stage) -> None:
    alice, bob = a_person(), a_person()
    registry = stage.house.registry()
    group = (await stage.group(alice)).group
    async with a_bridge(stage):
        await stage.say(group, "one")
        await stage.got(alice, 1)
    await stage.say(group, "two", ("p", stage.puppet(bob).public))
    await registry.change(group, trigger="claw")
    await registry.bind(group, f"signal:{bob}")
    await stage.say(group, "three", ("p", stage.puppet(bob).public))
    async with a_bridge(stage):
        assert seen(await stage.got(bob, 1)) == ["three"]
        assert seen(await stage.got(alice, 2)) == ["one", "two"]


async def test_a_request_under_way_at_the_end_is_waited_for(stage: Stage) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    async with a_bridge(stage):
        await stage.signal.faults(held("send", late=True))
        said = await stage.say(group, "a last word")
        await stage.signal.wait_for(held=1)
        releasing = asyncio.create_task(stage.signal.release())
    await releasing
    found = await stage.delivery(said.id, lambda _: True)
    assert [one.part for one in found.sent] == [1]
    async with a_bridge(stage):
        assert await state(stage, said) == (Status.OK, "")
    assert seen(await stage.got(alice, 1)) == ["a last word"]


async def test_a_request_under_way_at_the_end_that_fails_is_made_again(stage: Stage) -> None:
    """What has certainly not gone is no doubt, though nobody but the end waits for the answer."""
    alice = a_person()
    group = (await stage.group(alice)).group
    async with a_bridge(stage):
        await stage.signal.faults(held("send"), challenge(token_bytes(8).hex()))
        said = await stage.say(group, "not before the end")
        await stage.signal.wait_for(held=1)
        releasing = asyncio.create_task(stage.signal.release())
    await releasing
    found = await stage.delivery(said.id, lambda _: True)
    assert (found.is_pending, found.sent, found.sending) == (True, (), ())
    await stage.signal.faults()
    async with a_bridge(stage):
        assert await state(stage, said) == (Status.OK, "")
    assert seen(await stage.got(alice, 1)) == ["not before the end"]


async def test_an_end_while_it_is_written_that_a_part_begins_leaves_no_doubt(stage: Stage) -> None:
    """Attack: the bridge is ended then, and somebody is told that nobody can tell."""
    alice = a_person()
    group = (await stage.group(alice)).group
    began = asyncio.Event()

    class Slow:
        def __init__(self, link: Link) -> None:
            self._link = link

        def __getattr__(self, name: str) -> Any:
            return getattr(self._link, name)

        async def publish(self, event: Event, **named: Any) -> Any:
            ok = await self._link.publish(event, **named)
            if any(tag[0] == "sending" for tag in event.tags):
                began.set()
                await asyncio.sleep(0.05)  # the relay's OK is on its way
            return ok

    async with a_bridge(stage, lambda link: cast(Link, Slow(link))):
        said = await stage.say(group, "a last word of all")
        await asyncio.wait_for(began.wait(), 20)
    async with a_bridge(stage):
        assert await state(stage, said) == (Status.OK, "")
    assert seen(await stage.got(alice, 1)) == ["a last word of all"]


async def test_a_sign_that_is_never_certain_holds_nothing_up(
    stage: Stage, bridge: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a reaction at which the service's program falls every time, and a conversation that
    is deaf for three days."""
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 0.01)
    alice = a_person()
    binding = await stage.group(alice)
    asked = await stage.hears(binding, alice, "a question", 1_700_000_000_000)
    await stage.signal.faults(cut("/v1/reactions", times=None))
    sign = await stage.speak(binding.group, "🎉", ("e", asked.id), kind=7)
    await stage.say(binding.group, "and on")
    assert seen(await stage.got(alice, 1)) == ["and on"]
    assert (await state(stage, sign))[0] is Status.FAILED


async def test_who_stays_gets_what_another_is_bound_no_more_for(
    stage: Stage, bridge: Outbound
) -> None:
    alice, bob = a_person(), a_person()
    binding = await stage.group(alice, bob, owner_speaks=True)
    await stage.signal.stop()
    said = await stage.owner_says(binding.group, "for whoever is there")
    await stage.delivery(said.id, lambda it: bool(it.relays[0].reason))
    await stage.house.registry().unbind(binding.group, f"signal:{alice}")
    await stage.signal.start()
    (got,) = await stage.got(bob, 1)
    assert "for whoever is there" in got["message"]
    assert await state(stage, said) == (Status.FAILED, UNBOUND)
    assert await stage.got(alice, 0) == []


async def test_a_binding_that_is_still_being_read_is_waited_for(stage: Stage) -> None:
    """Attack: something is said at once in a new conversation, and is taken for unbound."""
    alice, bob = a_person(), a_person()
    known = (await stage.group(bob)).group
    go_on = asyncio.Event()

    class Slow(Place):
        async def save(self) -> None:
            await go_on.wait()

    def inbox(link: Link) -> Place:
        return Slow(link, stage.bridge, "signal-inbox")

    go_on.set()
    async with a_bridge(stage, inbox=inbox):
        go_on.clear()
        said = await stage.say((await stage.group(alice)).group, "welcome")
        await stage.delivery(said.id, lambda _: True)
        await stage.say(known, "after that")
        await stage.delivery((await stage.say(known, "and that")).id, lambda _: True)
        go_on.set()
        assert await state(stage, said) == (Status.OK, "")
        assert seen(await stage.got(alice, 1)) == ["welcome"]


async def test_no_words_are_logged(stage: Stage) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    await stage.signal.faults(cut(SEND), failing(alice, times=1))
    with capture_logs() as logs:
        async with a_bridge(stage):
            for number in range(3):
                said = await stage.say(group, f"a secret {number}")
            await state(stage, said)
    assert logs
    assert "a secret" not in repr(logs)
    assert alice not in repr(logs)
    assert NUMBER not in repr(logs)
