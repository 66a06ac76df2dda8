"""From a message to a job, or into one; a killed predecessor's half-done work is gone on with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import time

import pytest

from bot import ending
from nips.event import Template
from nips.kinds import Kind
from nips.own import handed as handed_events
from nips.own import job as job_events
from nips.own.handed import MAX_HANDED
from nips.own.once import once_key
from tests.unit.bot.uncontained import House, Sessions, a_house


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


def now_s() -> int:
    return int(time())


async def test_a_hand_over_that_came_after_the_end_gets_a_job(house: House) -> None:
    """The bytes of a killed router reach the relay after its successor has ended the job."""
    group, router = await house.group("late"), house.roles.router
    early, late = await house.say(group, "/say early"), await house.say(group, "/say late")
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, early.id)
        assert job is not None
        assert await house.sign(early) == "✅"
        await house.at_rest(dispatch)
        await house.author.require(handed_events.handed(router, group, job.id, late.id, now_s()))
        for _ in range(2):  # the message is read, and read again
            assert await dispatch.intake.begin(group, late.id) is None
        assert await house.sign(late) == "✅"
        await house.at_rest(dispatch)
    assert await house.replies(late) == ["late"]
    (request,) = await house.find([Kind.JOB_REQUEST], e=late.id)
    assert request.tag("o") == once_key("job", late.id, job.id)


async def test_a_hand_over_that_nobody_remembers_is_answered_in_its_job(house: House) -> None:
    """It was written, and the router was killed before it had its OK."""
    group, router = await house.group("forgotten"), house.roles.router
    slow, more = await house.say(group, "/run sleep 0.4"), await house.say(group, "/say more")
    request = await house.author.require(
        job_events.request(router, group, slow.id, house.roles.bot, now_s())
    )
    await house.author.require(handed_events.handed(router, group, request.id, more.id, now_s()))
    async with house.dispatch(Sessions(house)) as dispatch:
        for message in (slow, more):
            assert await dispatch.intake.begin(group, message.id) is None
        assert [await house.sign(message) for message in (slow, more)] == ["✅", "✅"]
        await house.at_rest(dispatch)
    assert await house.replies(more) == ["more"]
    assert await house.find([Kind.JOB_REQUEST], e=more.id) == []


async def test_a_job_that_nobody_remembers_is_gone_on_with(house: House) -> None:
    group = await house.group("unremembered")
    message = await house.say(group, "/say hello")
    async with house.dispatch(Sessions(house)) as dispatch:
        # Written by a predecessor whose last moments we missed when we looked for open jobs.
        await house.author.require(
            job_events.request(house.roles.router, group, message.id, house.roles.bot, now_s())
        )
        assert await dispatch.intake.begin(group, message.id) is None
        assert await house.sign(message) == "✅"
        await house.at_rest(dispatch)
    assert await house.replies(message) == ["hello"]


async def test_a_job_that_has_spoken_is_known_in_a_busy_house(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What many others are told meanwhile must not have a job say everything twice."""
    monkeypatch.setattr(ending, "MAX_SAID", 3)
    group, router, at_s = await house.group("busy"), house.roles.router, now_s()
    message = await house.say(group, "/say hello")
    request = await house.author.require(
        job_events.request(router, group, message.id, house.roles.bot, at_s)
    )
    attempt = job_events.attempt(router, group, request.id, 1, "ab" * 32, at_s)
    await house.author.require(attempt)
    tags = (("h", group), ("job", request.id))
    await house.author.require(Template(router, at_s, Kind.CHAT, tags, "a file"))
    for sign in "👀🚫❌✅":
        await house.author.require(ending.sign_template(router, group, message.id, sign, at_s + 1))
    async with house.dispatch(Sessions(house)) as dispatch:
        assert dispatch.is_idle
    (ended,) = await house.find([Kind.JOB_ERROR], e=request.id)
    assert ended.content.endswith("What I had said before stands.")
    assert await house.replies(message) == []


async def test_a_job_takes_so_many_and_then_the_next_begins(house: House) -> None:
    group = await house.group("many")
    messages = [await house.say(group, f"/say {n}") for n in range(MAX_HANDED + 3)]
    async with house.dispatch(Sessions(house)) as dispatch:
        # Both wait, so nothing ends meanwhile.
        later = now_s() + 600
        for message in messages:
            await dispatch.intake.begin(group, message.id, not_before=later)
        assert [len(state.job.all_messages) for state in dispatch.states()] == [MAX_HANDED + 1, 2]
        assert await dispatch.stop(group) == 2
    assert {await house.sign(message) for message in messages} == {"🚫"}
