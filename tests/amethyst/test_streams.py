"""Real work, read as Amethyst's screens read it: a real relay, signer, router and containers.

The streams are taken by the owner's own key over a plain websocket, with the filters of that
client, and folded by the oracles beside this file.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from uuid import uuid4

import docker
import nostr_sdk as sdk
import pytest

from config.roles import read_key
from nips.filter import Filter
from nips.key import SecretKey
from relay_local.client import Caller, Delivery, connect
from tests.amethyst import approvals, costs, groups, jobs, observer
from tests.amethyst.viewer import Refused, Viewer, document, viewer
from tests.e2e.conftest import Scene, a_scene

CHAT = 40_002  # what that client writes on a relay that speaks the dialect


@dataclass(slots=True)
class Screen:
    """The owner in front of their client, and whoever else is at the relay."""

    scene: Scene
    owner: Viewer
    member: Viewer
    stranger: Viewer

    @property
    def main(self) -> str:
        return self.scene.house.roles.main

    async def wait_for(self, kinds: range | tuple[int, ...], tag: str, value: str) -> str:
        """The id of the first event of these kinds that names something."""
        wanted = Filter(kinds=frozenset(kinds), tags={tag: frozenset({value})})
        async with asyncio.timeout(60), self.scene.own_client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    return item.event.id
        raise AssertionError("the stream ended")

    async def say(self, text: str, group: str | None = None) -> str:
        """Write in a group; returns the id of the job that it became."""
        message = await self.owner.publish(CHAT, [["h", group or self.main]], text)
        return await self.wait_for((jobs.REQUEST,), "e", message)

    async def worked(self, text: str, group: str | None = None) -> str:
        """Write, and wait for the end of the work; returns the job's id."""
        job = await self.say(text, group)
        await self.wait_for((jobs.RESULT, jobs.ERROR), "e", job)
        return job

    async def cards(self, group: str | None = None) -> dict[str, jobs.Card]:
        return jobs.fold(await self.owner.ask(jobs.asked(group or self.main)))

    async def runs(self) -> dict[str, approvals.Card]:
        events = await self.owner.ask(approvals.asked(self.main))
        events += await self.owner.ask(approvals.asked_of(approvals.approvers(events)))
        return approvals.fold(events)

    async def question(self, about: str) -> approvals.Card:
        """Have the agent ask for a profile, and find its card."""
        await self.worked(f"/sign 0 {json.dumps({'name': about})}")
        [card] = [card for card in (await self.runs()).values() if about in (card.note or "")]
        return card


@asynccontextmanager
async def a_screen(scene: Scene) -> AsyncIterator[Screen]:
    url = f"ws://{scene.house.listen}"
    async with AsyncExitStack() as stack:
        people = [
            await stack.enter_async_context(viewer(url, keys))
            for keys in (scene.owner.keys, sdk.Keys.generate(), sdk.Keys.generate())
        ]
        yield Screen(scene, *people)


@pytest.fixture(scope="module")
async def screen(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Screen]:
    async with a_scene(agent_image) as scene, a_screen(scene) as made:
        yield made


# Finding us


async def test_it_finds_a_relay_that_speaks_its_dialect(screen: Screen) -> None:
    found = document(f"ws://{screen.scene.house.listen}")
    assert groups.is_buzz(found)
    assert found["self"] == screen.scene.house.roles.relay


async def test_it_shows_main_with_its_members(screen: Screen) -> None:
    relay, me = screen.scene.house.roles.relay, screen.owner.public_key
    shown = groups.fold(await screen.owner.ask(groups.asked_at_first()), relay)
    main = shown[screen.main]
    assert (main.name, main.type) == ("Main", "stream")
    assert main.is_private
    assert main.is_closed
    assert main.is_hidden
    assert main.admins[me] == "owner"
    assert main.members[me] == "owner"
    assert main.members[screen.scene.house.roles.bot] == "member"
    for filters in groups.asked_of(screen.main):
        await screen.owner.ask(filters)  # nothing that it asks is refused
    [by_d, by_h, *_] = [await screen.owner.ask(one) for one in groups.asked_of(screen.main)]
    assert groups.fold(by_d, relay) == groups.fold(by_h, relay) == {screen.main: main}
    notices = await screen.owner.ask(groups.asked_about(me))
    assert groups.memberships(notices, relay, me)[screen.main]


async def test_a_group_made_in_the_client_is_shown_and_worked_in(screen: Screen) -> None:
    relay, me = screen.scene.house.roles.relay, screen.owner.public_key
    group = str(uuid4())
    await screen.owner.publish(9_007, [["h", group], ["name", "Garden"]])
    await screen.owner.publish(9_002, [["h", group], ["name", "Garden"], ["private"], ["closed"]])
    bot = screen.scene.house.roles.bot
    await screen.owner.publish(9_000, [["h", group], ["p", bot, "member"]])
    await screen.owner.publish(9_000, [["h", group], ["p", screen.member.public_key, "member"]])
    await screen.member.ask(groups.asked_about(screen.member.public_key))
    shown = groups.fold(await screen.owner.ask(groups.asked_at_first()), relay)
    assert shown[group].name == "Garden"
    assert shown[group].members[screen.member.public_key] == "member"
    assert groups.memberships(await screen.owner.ask(groups.asked_about(me)), relay, me)[group]
    theirs = groups.fold(await screen.member.ask(groups.asked_at_first()), relay)
    assert set(theirs) == {group}, "a member is shown their own groups alone"
    job = await called(screen, group)
    assert (await screen.cards(group))[job].state == "completed"
    assert job not in await screen.cards(), "a job is shown in its own group alone"
    assert await screen.member.ask(jobs.asked(screen.main)) == []


async def called(screen: Screen, group: str) -> str:
    """Call the assistant there by a mention of its key, whatever it is called."""
    bot = screen.scene.house.roles.bot
    message = await screen.owner.publish(CHAT, [["h", group], ["p", bot]], "hello there")
    job = await screen.wait_for((jobs.REQUEST,), "e", message)
    await screen.wait_for((jobs.RESULT,), "e", job)
    return job


# Agent Work: jobs


async def test_work_that_is_done(screen: Screen) -> None:
    job = await screen.worked("hello")
    roles = screen.scene.house.roles
    card = (await screen.cards())[job]
    assert (card.state, card.by, card.agents) == ("completed", roles.router, (roles.bot,))
    assert card.upvotes == 0, "the router's signs are not votes"
    await screen.owner.publish(7, [["e", job], ["h", screen.main]], "+")
    assert (await screen.cards())[job].upvotes == 1


async def test_work_that_failed_says_why(screen: Screen) -> None:
    job = await screen.worked("/run head -c 100000000 /dev/zero > /proc/$PPID/fd/1")
    card = (await screen.cards())[job]
    assert card.state == "failed"
    assert "output" in card.text


async def test_work_that_was_called_off(screen: Screen) -> None:
    job = await screen.say("/run sleep 15")
    await screen.wait_for((jobs.PROGRESS,), "e", job)
    assert (await screen.cards())[job].state == "in progress"
    await screen.owner.publish(jobs.CANCEL, [["e", job], ["h", screen.main]])
    wanted = Filter(
        kinds=frozenset({jobs.CANCEL}),
        authors=frozenset({screen.scene.house.roles.router}),
        tags={"e": frozenset({job})},
    )
    async with asyncio.timeout(15), screen.scene.own_client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery):
                break
    assert (await screen.cards())[job].state == "cancelled"
    # It holds up nobody: what comes next is worked on.
    next_job = await screen.worked("hello")
    assert (await screen.cards())[next_job].state == "completed"


async def test_work_that_is_done_stays_done(screen: Screen) -> None:
    """Its screen takes the newest of result and cancel for the end: a late cancel would turn
    what was answered into what was not."""
    job = await screen.worked("hello")
    with pytest.raises(Refused, match="ended"):
        await screen.owner.publish(jobs.CANCEL, [["e", job], ["h", screen.main]])
    assert (await screen.cards())[job].state == "completed"


# Agent Work: approvals


async def test_a_question_has_buttons_for_the_owner(screen: Screen) -> None:
    card = await screen.question("Ada")
    assert card.state == "awaiting approval"
    assert card.task
    assert card.has_buttons(screen.owner.public_key)
    assert not card.has_buttons(screen.member.public_key)
    await screen.owner.publish(approvals.GRANTED, [["d", card.run]])
    profile = Filter(kinds=frozenset({0}), ids=frozenset({card.run}))
    async with asyncio.timeout(30), screen.scene.own_client.subscribe([profile]) as stream:
        async for item in stream:
            if isinstance(item, Delivery):
                break
    await ended(screen, card.run, "finished")


async def test_a_no_ends_it(screen: Screen) -> None:
    card = await screen.question("Bob")
    await screen.owner.publish(approvals.DENIED, [["d", card.run]])
    # The run's own end comes in the same second or later: of the two the newest is shown.
    after = await ended(screen, card.run, "denied", "failed")
    assert not after.has_buttons(screen.owner.public_key)
    assert "as you said no" in (after.error or "")


async def ended(screen: Screen, run: str, *states: str) -> approvals.Card:
    """Wait until the run's own end is on the relay; the card then shows one of these."""
    wanted = Filter(
        kinds=frozenset({approvals.FINISHED, approvals.FAILED}),
        tags={"h": frozenset({screen.main})},
    )
    async with asyncio.timeout(30), screen.scene.own_client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and run in item.event.content:
                break
    card = (await screen.runs())[run]
    assert card.state in states
    return card


# Costs


async def test_costs_are_summed_by_session(screen: Screen) -> None:
    """Written by the signer, as the router has it write them."""
    house, me = screen.scene.house, screen.owner
    key, session = read_key(house.place.key("router")), f"{screen.main}/1767225600"
    told = [cost(screen, session, seq) for seq in (1, 2)]
    async with connect(house.place.relay_address, [key]) as link:
        signer = Caller(link, key, house.roles.signer)
        for job, figures in told:
            await signer.call("cost", job, figures, deadline_s=15)
    events = await me.ask(costs.asked(me.public_key))
    read = [
        turn
        for event in events
        if (content := costs.opened(event, me.keys)) is not None
        and (turn := costs.read(event["pubkey"], content)) is not None
    ]
    assert len(read) == len(events) == 2, "every event is understood"
    assert {turn.channel for turn in read} == {screen.main}
    assert costs.fold(read) == {
        (house.roles.bot, session): {
            "inputTokens": 22, "outputTokens": 4, "cacheReadTokens": 6, "cacheWriteTokens": 0,
            "costUsd": 0.000126,
        }
    }  # fmt: skip
    for other in (screen.member, screen.stranger):
        assert await asked_in_vain(other, costs.asked(me.public_key))


def cost(screen: Screen, session: str, seq: int) -> tuple[str, str]:
    """The figures of one turn, as the model proxy has them."""
    job = token_hex(32)
    turn = {
        "inputTokens": 11, "outputTokens": 2, "totalTokens": None, "cacheReadTokens": 3,
        "cacheWriteTokens": 0, "costUsd": 0.000063,
    }  # fmt: skip
    total = {name: None if n is None else round(n * seq, 6) for name, n in turn.items()}
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    value = {
        "harness": "nostrclaw", "timestamp": at, "model": "some-model", "channelId": screen.main,
        "sessionId": session, "turnId": job, "turnSeq": seq, "turn": turn, "cumulative": total,
        "deltaReliable": True, "stopReason": "end_turn",
    }  # fmt: skip
    return job, json.dumps(value)


async def asked_in_vain(person: Viewer, filters: list[dict[str, Any]]) -> bool:
    """Whether the relay tells somebody nothing."""
    try:
        return await person.ask(filters) == []
    except Refused:
        return True


async def test_a_run_is_seen_while_it_goes_on(screen: Screen) -> None:
    """What an agent does is shown as it does it, in order, to the owner and to nobody else."""
    roles, owner = screen.scene.house.roles, screen.owner
    wanted = [Filter(kinds=frozenset({observer.KIND}), tags={"p": frozenset({owner.public_key})})]
    secret = SecretKey(bytes.fromhex(owner.keys.secret_key().to_hex()))
    url = f"ws://{screen.scene.house.listen}"
    async with connect(url, [secret]) as link, link.subscribe(wanted) as stream:
        job = await screen.say("/run sleep 2; echo seen live")
        frames: list[observer.Frame] = []
        async with asyncio.timeout(60):
            async for item in stream:
                if not isinstance(item, Delivery):
                    continue
                assert item.event.pubkey == roles.bot
                text = sdk.nip44_decrypt(
                    owner.keys.secret_key(), sdk.PublicKey.parse(roles.bot), item.event.content
                )
                assert json.loads(text)["turnId"] == job
                frame = observer.read(item.event.to_json(), text)
                assert frame is not None
                frames.append(frame)
                if frame.kind == "turn_completed":
                    break
    assert observer.shown(frames) == frames
    assert [frame.kind for frame in frames][:1] == ["turn_started"]
    calls = [f.payload for f in frames if isinstance(f.payload, dict) and "tool" in f.payload]
    assert calls[0]["type"] == "tool_call"
    assert "sleep 2" in calls[0]["text"]
    # Never stored, and of no use to anybody else.
    assert await owner.ask(observer.asked(owner.public_key)) == []
    assert await asked_in_vain(screen.stranger, observer.asked(owner.public_key))
