"""Jobs over a real relay and a real signer: every message once, one run a group, in any order of
things. The agent's own code runs without a container (tests/image has them)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from time import time

import pytest

from bot.ending import Ending
from bot.jobs import Job, Step
from nips.event import Event
from nips.kinds import Kind
from nips.own import job as job_events
from tests.figures import dice, figure
from tests.unit.bot.uncontained import House, Sessions, a_house

SLOW = "/run sleep 0.4"


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


async def test_a_message_becomes_a_job_once(house: House) -> None:
    group, sessions = await house.group("once"), Sessions(house)
    message = await house.say(group, "/say hello")
    async with house.dispatch(sessions) as dispatch:
        job = await dispatch.intake.begin(group, message.id)
        assert job is not None
        assert [state.state for state in dispatch.states()] == ["running"]
        assert await dispatch.intake.begin(group, message.id) is None
        assert await house.sign(message) == "✅"
        await house.at_rest(dispatch)
        assert await dispatch.intake.begin(group, message.id) is None, "after its end, too"
        assert dispatch.is_idle
    assert await house.replies(message) == ["hello"]
    assert len(await house.find([Kind.JOB_REQUEST], e=message.id)) == 1


async def test_what_comes_while_it_runs_is_handed_over(house: House) -> None:
    group = await house.group("handed")
    messages = [await house.say(group, text) for text in (SLOW, "/say a", "/say b")]
    async with house.dispatch(Sessions(house)) as dispatch:
        new = [await dispatch.intake.begin(group, message.id) for message in messages]
        assert [job is not None for job in new] == [True, False, False]
        assert [await house.sign(message) for message in messages] == ["✅"] * 3
    assert [await house.replies(message) for message in messages[1:]] == [["a"], ["b"]]


async def test_one_that_waits_takes_no_place_and_nothing_that_need_not_wait(house: House) -> None:
    group, other = await house.group("waits"), await house.group("does not")
    soon = int(time()) + 3
    later, more, now, elsewhere = [
        await house.say(where, f"/say {text}")
        for where, text in ((group, "1"), (group, "2"), (group, "3"), (other, "4"))
    ]
    async with house.dispatch(Sessions(house), places=1) as dispatch:
        assert await dispatch.intake.begin(group, later.id, not_before=soon)
        assert await dispatch.intake.begin(group, more.id, not_before=soon) is None
        assert await dispatch.intake.begin(group, now.id)
        assert await dispatch.intake.begin(other, elsewhere.id)
        for message in (now, elsewhere):
            assert await house.sign(message) == "✅"
        assert time() < soon
        await house.at_rest(dispatch)
        (waiting,) = dispatch.states()
        assert (waiting.state, waiting.job.all_messages) == ("waiting", (later.id, more.id))
    # Cut off meanwhile: the next start knows how long it has to wait.
    async with house.dispatch(Sessions(house)):
        assert [await house.sign(message) for message in (later, more)] == ["✅", "✅"]
        assert time() >= soon
    assert await house.replies(later) == ["1"]


async def test_a_waiting_job_is_called_off_without_ever_beginning(house: House) -> None:
    group = await house.group("called off")
    message = await house.say(group, "/say never")
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, message.id, not_before=int(time()) + 600)
        assert job is not None
        assert await dispatch.cancel(job.id)
        assert dispatch.is_idle
        assert not await dispatch.cancel(job.id)
    assert await house.sign(message) == "🚫"
    assert await house.find([Kind.JOB_ACCEPTED], e=job.id) == []


async def test_a_call_off_survives_a_kill(house: House) -> None:
    """The 43005 was written, and nothing else: the next start ends the job, and begins with what
    was handed to it and is not called off."""
    group = await house.group("killed")
    slow, follow = await house.say(group, "/run sleep 5"), await house.say(group, "/say on")
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, slow.id)
        assert job is not None
        await dispatch.intake.begin(group, follow.id)
    await house.author.require(job_events.cancel(house.roles.router, group, job.id, int(time())))
    async with house.dispatch(Sessions(house)):
        assert [await house.sign(m) for m in (slow, follow)] == ["🚫", "✅"]
    assert await house.replies(follow) == ["on"]
    ends = await house.find([Kind.JOB_CANCEL], e=job.id)
    assert [event.tag("status") for event in ends] == [None, "cancelled"]


async def test_stop_leaves_nothing_of_a_group_and_all_of_the_others(house: House) -> None:
    group, other = await house.group("stopped"), await house.group("kept")
    messages = [await house.say(group, text) for text in ("/run sleep 9", "/say a", "/say b")]
    kept = await house.say(other, SLOW)
    async with house.dispatch(Sessions(house)) as dispatch:
        for message in messages:
            await dispatch.intake.begin(group, message.id)
        await dispatch.intake.begin(other, kept.id)
        assert await dispatch.stop(group) == 1
        assert [state.job.group for state in dispatch.states()] == [other]
        assert [await house.sign(m) for m in (*messages, kept)] == ["🚫"] * 3 + ["✅"]
        assert await dispatch.stop(group) == 0
        await house.at_rest(dispatch)


async def test_what_is_being_ended_is_not_called_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late 43005 would turn what was answered into what was not: clients take the newest."""
    group, reached, go = await house.group("answered"), asyncio.Event(), asyncio.Event()
    end = Ending.end

    async def slowly(self: Ending, job: Job, step: Step) -> None:
        reached.set()
        await go.wait()
        await end(self, job, step)

    message = await house.say(group, "/say hello")
    async with house.dispatch(Sessions(house)) as dispatch:
        # From here on: what another test left open has its end by now.
        monkeypatch.setattr(Ending, "end", slowly)
        job = await dispatch.intake.begin(group, message.id)
        assert job is not None
        await asyncio.wait_for(reached.wait(), 60)
        stopping = asyncio.create_task(dispatch.stop(group))
        await asyncio.wait({stopping}, timeout=0.5)
        assert not stopping.done(), "it waits for the end all the same"
        go.set()
        assert await asyncio.wait_for(stopping, 60) == 0
    about = await house.find([Kind.JOB_CANCEL, Kind.JOB_RESULT], e=job.id)
    assert [event.kind for event in about] == [Kind.JOB_RESULT]


async def test_in_any_order_of_things_each_message_is_dealt_with_once(house: House) -> None:
    """Messages, call-offs, agents that die, the router cut off: by dice, the seed is printed."""
    chance = dice("dispatch")
    groups = [await house.group(f"dice {n}") for n in range(3)]
    said: list[Event] = []
    for _ in range(figure("dispatch-dice")):
        sessions = Sessions(house, chance)
        async with house.dispatch(sessions) as dispatch:
            # The reader's place is up to a second behind: what it reads again is no news.
            for message in said[-5:]:
                await dispatch.intake.begin(message.tag("h") or "", message.id)
            for _ in range(chance.randrange(1, 8)):
                await _something(
                    house, dispatch.cancel, dispatch.intake.begin, chance, groups, said
                )
            await asyncio.sleep(chance.uniform(0, 0.6))
        assert sessions.together <= 2
    async with house.dispatch(Sessions(house)) as dispatch:
        for message in said[-5:]:
            await dispatch.intake.begin(message.tag("h") or "", message.id)
        signs = {message.id: await house.sign(message) for message in said}
        await house.at_rest(dispatch)
        assert dispatch.is_idle
    assert await house.open_jobs() == []
    for message in said:
        replies = await house.replies(message)
        assert len(replies) <= 1, "answered twice"
        if signs[message.id] == "✅":
            assert replies == [message.content.removeprefix("/say ")]
        final = [
            event.content
            for event in await house.find([Kind.REACTION], e=message.id)
            if event.content in "✅❌🚫"
        ]
        assert final == [signs[message.id]], "two verdicts"


async def _something(
    house: House,
    cancel: Callable[[str], Awaitable[bool]],
    begin: Callable[[str, str], Awaitable[object]],
    chance: Random,
    groups: list[str],
    said: list[Event],
) -> None:
    match chance.randrange(10):
        case 0 if open_jobs := await house.open_jobs():
            await cancel(chance.choice(open_jobs).id)
        case 1:
            await asyncio.sleep(chance.uniform(0, 0.3))
        case _:
            message = await house.say(chance.choice(groups), f"/say {len(said)}")
            said.append(message)
            await begin(message.tag("h") or "", message.id)
