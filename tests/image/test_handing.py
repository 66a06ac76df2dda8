"""Messages that come while their group's job is open, with real containers: each is answered once.

What is taken back, called off, killed or cut off meanwhile, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from secrets import token_bytes
from time import time
from uuid import uuid4

import docker
import pytest

from bench.router import at_once
from bench.router_place import place
from bot.engine.host import Engine
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.handed import MAX_HANDED
from relay_local.client import Delivery, Link, connect
from tests.figures import dice, figure
from tests.image.stage import Stage, a_stage, first


@pytest.fixture(scope="module")
async def stage(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str
) -> AsyncIterator[Stage]:
    async with a_stage(engine, docker_client, agent_image) as made:
        yield made


async def handed(stage: Stage, message: Event, timeout_s: float = 20) -> Event:
    """Wait until the message is handed to a job."""
    wanted = Filter(
        kinds=frozenset({int(Kind.JOB_PROGRESS)}),
        authors=frozenset({stage.roles.router}),
        tags={"q": frozenset({message.id})},
    )
    async with asyncio.timeout(timeout_s):
        return await first(stage.client, wanted)


async def begun_with(stage: Stage, message: Event, timeout_s: float = 20) -> Event:
    """Wait until a session says that it begins with a handed message."""
    wanted = Filter(kinds=frozenset({int(Kind.JOB_PROGRESS)}), tags={"q": frozenset({message.id})})
    async with asyncio.timeout(timeout_s), stage.client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and item.event.pubkey != stage.roles.router:
                return item.event
    raise AssertionError("the subscription ended")


async def running(stage: Stage, message: Event, timeout_s: float = 20) -> None:
    """Wait until the container works on the message: its first line of progress."""
    attempt = await stage.begun(message)
    lines = Filter(
        kinds=frozenset({int(Kind.JOB_PROGRESS)}),
        authors=frozenset({attempt.tag("p") or ""}),
    )
    async with asyncio.timeout(timeout_s):
        await first(stage.client, lines)


async def requests_of(stage: Stage, *messages: Event) -> int:
    return len([r for m in messages for r in await stage.find(Kind.JOB_REQUEST, e=m.id)])


async def said(stage: Stage, *messages: Event) -> list[str]:
    return [reply.content for message in messages for reply in await stage.replies(message)]


async def test_what_comes_meanwhile_is_answered_in_the_same_run(stage: Stage) -> None:
    async with stage.router():
        slow = await stage.say("/run sleep 2; echo slow")
        await running(stage, slow)
        follow = [await stage.say(f"/say follow {n}") for n in range(3)]
        for message in (slow, *follow):
            assert await stage.dealt_with(message) == "✅"
        end = await stage.end(slow)
    assert await said(stage, slow, *follow) == [
        "exit code 0\nslow", "follow 0", "follow 1", "follow 2",
    ]  # fmt: skip
    assert await requests_of(stage, slow, *follow) == 1
    assert end.kind == Kind.JOB_RESULT
    assert len(await stage.find(Kind.JOB_ACCEPTED, e=end.tag("e") or "")) == 1
    signs = [e.content for m in (slow, *follow) for e in await stage.find(Kind.REACTION, e=m.id)]
    assert sorted(signs) == ["✅"] * 4 + ["👀"] * 4


async def test_more_than_a_job_takes_begin_the_next(stage: Stage) -> None:
    async with stage.router():
        slow = await stage.say("/run sleep 2")
        await running(stage, slow)
        more = [await stage.say(f"/say {n}") for n in range(MAX_HANDED + 2)]
        for message in more:
            assert await stage.dealt_with(message) == "✅"
    assert await said(stage, *more) == [str(n) for n in range(len(more))]
    assert await requests_of(stage, *more) == 1


def go_on(stage: Stage) -> None:
    """Let a program of main's that waits for it do what it is there for."""
    (stage.place.data / "groups" / "main" / "go-on").touch()


async def test_what_reaches_a_job_that_is_done_gets_another(stage: Stage) -> None:
    """The race between `done` and a hand-over: the session has said its last word."""
    stays = f"""
import asyncio, pathlib
from agent_image.agent import narrate
from agent_image.agent.__main__ import main
finish = narrate.Narrator.finish
async def linger(self, dealt=(), *more):
    await finish(self, dealt, *more)
    while not dealt and not pathlib.Path("/workspace/group/go-on").exists():
        await asyncio.sleep(0.02)
narrate.Narrator.finish = linger
exit(main(["--signer", {stage.roles.signer!r}]))
"""
    async with stage.router(stays):
        early = await stage.say("/say early")
        attempt = await stage.begun(early)
        done = Filter(
            kinds=frozenset({int(Kind.JOB_PROGRESS)}), authors=frozenset({attempt.tag("p") or ""})
        )
        async with asyncio.timeout(20):
            await first(stage.client, done)
        late = await stage.say("/say late")
        to = await handed(stage, late)
        assert to.tag("e") == attempt.tag("e")
        go_on(stage)
        assert await stage.dealt_with(late) == "✅"
    assert await said(stage, early, late) == ["early", "late"]
    assert await requests_of(stage, late) == 1


async def test_handed_messages_take_part_in_a_retry(stage: Stage) -> None:
    dies_once = f"""
import os, pathlib, time
from agent_image.agent.__main__ import main
tried = pathlib.Path("/workspace/group/tried-again")
if not tried.exists():
    tried.touch()
    while not pathlib.Path("/workspace/group/go-on").exists():
        time.sleep(0.02)
    os._exit(5)
exit(main(["--signer", {stage.roles.signer!r}]))
"""
    async with stage.router(dies_once):
        one = await stage.say("/say one")
        await stage.begun(one)
        two = await stage.say("/say two")
        await handed(stage, two)
        go_on(stage)
        assert [await stage.dealt_with(m) for m in (one, two)] == ["✅", "✅"]
    assert await said(stage, one, two) == ["one", "two"]
    assert await requests_of(stage, one, two) == 1
    assert len([e for e in await stage.job(one) if e.kind == Kind.JOB_ACCEPTED]) == 2


async def test_an_agent_that_dies_at_a_handed_message_repeats_nothing(stage: Stage) -> None:
    """It has spoken: what it was at is told, and only what nobody began with is done again."""
    dies = f"""
import os
from agent_image.agent import narrate
from agent_image.agent.__main__ import main
begin = narrate.Narrator.begin
async def begin_and_die(self, message):
    await begin(self, message)
    os._exit(9)
narrate.Narrator.begin = begin_and_die
exit(main(["--signer", {stage.roles.signer!r}]))
"""
    async with stage.router(dies):
        one = await stage.say("/run sleep 1; echo one")
        await running(stage, one)
        two, three = await stage.say("/say two"), await stage.say("/say three")
        signs = [await stage.dealt_with(m) for m in (one, two, three)]
    assert signs == ["✅", "❌", "✅"]
    assert await said(stage, one, two, three) == ["exit code 0\none", "three"]
    assert [n.content for n in await stage.notices(two)] == [(await stage.end(one)).content], (
        "the owner is told about the message that it was at"
    )
    assert await stage.notices(one) == await stage.notices(three) == []


@pytest.mark.parametrize("whose", ["the job", "the message"])
async def test_a_cross_ends_the_work(stage: Stage, whose: str) -> None:
    async with stage.router():
        message = await stage.say("/run sleep 30; echo never")
        await running(stage, message)
        (request,) = await stage.find(Kind.JOB_REQUEST, e=message.id)
        began = time()
        await stage.react("❌", request if whose == "the job" else message)
        assert await stage.dealt_with(message) == "🚫"
        assert time() - began < 10
        assert await stage.live_sessions() == []
    assert await said(stage, message) == []
    assert stage.containers() == []
    calls = await stage.find(Kind.JOB_CANCEL, e=request.id)
    assert {call.tag("status") for call in calls} == {None, "cancelled"}
    assert await stage.notices(message) == []


async def test_a_clients_own_cancel_ends_the_work_and_nobody_elses(stage: Stage) -> None:
    async with stage.router():
        mine, other = await stage.say("/run sleep 30"), await stage.say("/say kept")
        await running(stage, mine)
        await handed(stage, other)
        (request,) = await stage.find(Kind.JOB_REQUEST, e=mine.id)
        tags = (("h", stage.roles.main), ("e", request.id))
        cancel = Template(stage.owner.public, int(time()), Kind.JOB_CANCEL, tags, "")
        assert (await stage.client.publish(cancel.sign(stage.owner, token_bytes(32)))).accepted
        assert [await stage.dealt_with(m) for m in (mine, other)] == ["🚫", "✅"]
    assert await said(stage, mine, other) == ["kept"]


async def test_a_cross_on_a_message_that_waits_takes_back_that_alone(stage: Stage) -> None:
    async with stage.router():
        slow = await stage.say("/run sleep 3; echo slow")
        await running(stage, slow)
        unwanted, wanted = await stage.say("/say unwanted"), await stage.say("/say wanted")
        await handed(stage, wanted)
        await stage.react("❌", unwanted)
        signs = [await stage.dealt_with(m) for m in (slow, unwanted, wanted)]
    assert signs == ["✅", "🚫", "✅"]
    assert await said(stage, slow, unwanted, wanted) == ["exit code 0\nslow", "wanted"]


async def test_stop_takes_everything_with_it(stage: Stage) -> None:
    async with stage.router():
        slow = await stage.say("/run sleep 30")
        await running(stage, slow)
        waiting = [await stage.say(f"/say {n}") for n in range(3)]
        await handed(stage, waiting[-1])
        stop = await stage.say("/stop")
        signs = [await stage.dealt_with(m) for m in (slow, *waiting)]
        answer = Filter(
            kinds=frozenset({int(Kind.CHAT)}),
            authors=frozenset({stage.roles.router}),
            tags={"q": frozenset({stop.id})},
        )
        async with asyncio.timeout(20):
            assert (await first(stage.client, answer)).content.startswith("✅")
        after = await stage.say("/say goes on")
        assert await stage.dealt_with(after) == "✅"
    assert signs == ["🚫"] * 4
    assert await said(stage, slow, *waiting) == []
    assert stage.containers() == []


async def test_a_reaction_of_who_may_not_changes_nothing(stage: Stage) -> None:
    """Attack: another member of the group stops what somebody asked for."""
    other, group = SecretKey.generate(token_bytes), str(uuid4())
    at_home = ("h", group)
    async with stage.router(), connect(stage.place.relay_address, [other]) as link:
        await put(stage.client, stage.owner, Kind.CREATE_GROUP, at_home, ("name", "Two"))
        await put(stage.client, stage.owner, Kind.PUT_USER, at_home, ("p", other.public))
        ask = (at_home, ("p", stage.roles.bot))
        for text, sign, answers in (("sleep 2; echo done", "✅", 1), ("sleep 20", "🚫", 0)):
            message = await put(stage.client, stage.owner, Kind.CHAT, *ask, text=f"/run {text}")
            await running(stage, message)
            who = (link, other) if sign == "✅" else (stage.client, stage.owner)
            await put(*who, Kind.REACTION, at_home, ("e", message.id), text="❌")
            assert await stage.dealt_with(message) == sign
            assert len(await said(stage, message)) == answers


async def put(link: Link, by: SecretKey, kind: int, *tags: Tag, text: str = "") -> Event:
    event = Template(by.public, int(time()), kind, tags, text).sign(by, token_bytes(32))
    ok = await link.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
    return event


async def test_killed_between_a_hand_over_and_the_end_loses_nothing(stage: Stage) -> None:
    """kill -9 of the router, before the run has spoken: the next attempt answers all of it."""
    process = await stage.router_process()
    slow = await stage.say("/run sleep 2; echo slow")
    await running(stage, slow)
    follow = [await stage.say(f"/say {n}") for n in range(2)]
    for message in follow:
        await handed(stage, message)
    process.kill()
    await process.wait()
    missed = await stage.say("/say missed")  # while nobody reads
    async with stage.router():
        signs = [await stage.dealt_with(m) for m in (slow, *follow, missed)]
    assert signs == ["✅"] * 4
    assert await said(stage, slow, *follow, missed) == ["exit code 0\nslow", "0", "1", "missed"]
    assert await requests_of(stage, *follow) == 0
    assert len([e for e in await stage.job(slow) if e.kind == Kind.JOB_ACCEPTED]) == 2


async def test_killed_after_the_run_had_spoken_repeats_nothing(stage: Stage) -> None:
    process = await stage.router_process()
    one = await stage.say("/run sleep 1; echo one")
    await running(stage, one)
    two, three = await stage.say("/run sleep 9; echo two"), await stage.say("/say three")
    await handed(stage, three)
    await begun_with(stage, two)
    process.kill()
    await process.wait()
    async with stage.router():
        signs = [await stage.dealt_with(m) for m in (one, two, three)]
    assert signs == ["✅", "❌", "✅"]
    assert await said(stage, one, two, three) == ["exit code 0\none", "three"]
    assert len(await stage.notices(two)) == 1


async def test_many_groups_at_once_have_their_turns(engine: Engine, agent_image: str) -> None:
    """With real containers: each message once, and no group twice while another waits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.url)
        async with place(agent_image, 2) as there:
            outcome = await at_once(there, 5, 24)
    assert outcome.each_once
    assert outcome.runs == 10
    assert outcome.ahead == 1


async def test_killed_at_any_time_each_of_several_is_answered_once(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    chance = dice("handing-kills")
    messages: list[Event] = []
    for n in range(figure("handing-kills")):
        process = await stage.router_process()
        messages += [await stage.say(f"/say {n}{part}") for part in "ab"]
        await asyncio.sleep(chance.uniform(0.0, 1.0))
        messages.append(await stage.say(f"/say {n}c"))
        await asyncio.sleep(chance.uniform(0.0, 0.2))
        process.kill()
        await process.wait()
    async with stage.router():
        signs = [await stage.dealt_with(message, 180) for message in messages]
    assert stage.containers() == []
    assert await stage.live_sessions() == []
    for message, sign in zip(messages, signs, strict=True):
        replies = [reply.content for reply in await stage.replies(message)]
        assert len(replies) <= 1, "answered twice"
        if sign == "✅":
            assert replies == [message.content.removeprefix("/say ")]
        else:
            assert len(await stage.notices(message)) == 1, "not answered, and nobody told"
        record_property("answered" if sign == "✅" else "ended and told", 1)
