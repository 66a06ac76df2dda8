"""What is gone before it is answered is not answered: deleted, edited, removed by an admin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from secrets import token_bytes
from time import time

import pytest

from bot import dispatch as dispatch_module
from bot import retraction
from bot.dispatch import Dispatch
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip29 import DELETE_EVENT
from tests.unit.bot.uncontained import House, Sessions, a_house

STRANGER = SecretKey(bytes([7]) * 32)
SLOW = "/run sleep 0.6"
LATER_S = 600


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


def deletion(message: Event, by: SecretKey, kind: int = Kind.DELETION) -> Event:
    tags = (("h", message.tag("h") or ""), ("e", message.id))
    return Template(by.public, int(time()), int(kind), tags, "").sign(by, token_bytes(32))


async def delete(
    house: House, dispatch: Dispatch, message: Event, kind: int = Kind.DELETION
) -> None:
    """The owner deletes a message of theirs, and the router hears of it."""
    made = deletion(message, house.owner, kind)
    ok = await house.client.publish(made, deadline_s=10)
    assert ok.accepted, ok.message
    await retraction.deleted(house.author, dispatch, made)


async def edit(house: House, dispatch: Dispatch, message: Event, text: str) -> Event:
    """As a bridge brings an edit: the edited form, which becomes work, then the deletion."""
    group = message.tag("h") or ""
    after = await house.say(group, text)
    (until_s,) = {one.job.not_before for one in dispatch.states() if one.job.group == group}
    await dispatch.intake.begin(group, after.id, not_before=until_s)
    await delete(house, dispatch, message)
    return after


async def ends(house: House, job: str) -> list[str | None]:
    found = await house.find([Kind.JOB_RESULT, Kind.JOB_ERROR, Kind.JOB_CANCEL], e=job)
    return [event.tag("status") for event in found]


async def signs(house: House, message: Event) -> list[str]:
    return [event.content for event in await house.find([Kind.REACTION], e=message.id)]


@pytest.mark.parametrize("kind", [Kind.DELETION, DELETE_EVENT])
async def test_a_job_that_has_not_begun_ends_with_its_message(house: House, kind: int) -> None:
    group = await house.group(f"deleted {int(kind)}")
    message = await house.say(group, "/say never")
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, message.id, not_before=int(time()) + LATER_S)
        assert job is not None
        work = dispatch.find(job.id)
        await delete(house, dispatch, message, kind)
        assert work is not None
        await work.ended.wait()
    assert await ends(house, job.id) == [None, "cancelled"]
    assert await house.find([Kind.JOB_ACCEPTED], e=job.id) == []
    assert await signs(house, message) == [], "nothing is said of what is gone"


async def test_what_is_queued_behind_other_work_is_called_off_too(house: House) -> None:
    busy, group = await house.group("busy"), await house.group("behind it")
    slow, message = await house.say(busy, SLOW), await house.say(group, "/say never")
    async with house.dispatch(Sessions(house), places=1) as dispatch:
        await dispatch.intake.begin(busy, slow.id)
        job = await dispatch.intake.begin(group, message.id)
        assert job is not None
        work = dispatch.find(job.id)
        await delete(house, dispatch, message)
        assert work is not None
        await work.ended.wait()
        assert await house.sign(slow) == "✅"
        await house.at_rest(dispatch)
    assert await ends(house, job.id) == [None, "cancelled"]


async def test_an_edited_message_is_answered_as_it_is_now(house: House) -> None:
    group = await house.group("edited")
    busy = await house.group("busy before it")
    slow, first = await house.say(busy, SLOW), await house.say(group, "/say at noon")
    async with house.dispatch(Sessions(house), places=1) as dispatch:
        await dispatch.intake.begin(busy, slow.id)
        await dispatch.intake.begin(group, first.id)
        other = await house.say(group, "/say and bring the board")
        await dispatch.intake.begin(group, other.id)
        second = await edit(house, dispatch, first, "/say at one")
        assert await house.sign(second) == "✅"
        assert await house.sign(other) == "✅"
        await house.at_rest(dispatch)
    assert await house.replies(first) == []
    assert await house.replies(second) == ["at one"]
    assert await house.replies(other) == ["and bring the board"]


async def test_edited_in_quiet_hours_it_still_waits(house: House) -> None:
    group, until_s = await house.group("at night"), int(time()) + LATER_S
    first = await house.say(group, "/say at noon")
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, first.id, not_before=until_s)
        assert job is not None
        former = dispatch.find(job.id)
        second = await edit(house, dispatch, first, "/say at one")
        assert former is not None
        await former.ended.wait()
        (waiting,) = [state for state in dispatch.states() if state.job.group == group]
        assert (waiting.state, waiting.job.messages) == ("waiting", (second.id,))
        assert waiting.job.not_before == until_s
        await dispatch.cancel(waiting.job.id)
    assert await house.replies(second) == []


async def test_what_was_handed_over_is_withdrawn(house: House) -> None:
    group = await house.group("withdrawn")
    slow, gone, kept = [await house.say(group, text) for text in (SLOW, "/say a", "/say b")]
    async with house.dispatch(Sessions(house)) as dispatch:
        for message in (slow, gone, kept):
            await dispatch.intake.begin(group, message.id)
        await delete(house, dispatch, gone)
        assert [await house.sign(message) for message in (slow, kept)] == ["✅", "✅"]
        await house.at_rest(dispatch)
    assert await house.replies(gone) == []
    assert await house.replies(kept) == ["b"]
    assert "🚫" not in await signs(house, gone)


async def test_what_is_being_answered_goes_on(house: House) -> None:
    """And what it was edited to is handed to the run, as anything else that is said meanwhile."""
    group = await house.group("begun")
    message = await house.say(group, SLOW)
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, message.id)
        assert job is not None
        while not await house.find([Kind.JOB_ACCEPTED], e=job.id):
            pass
        second = await edit(house, dispatch, message, "/say at one")
        assert await house.sign(message) == "✅"
        assert await house.sign(second) == "✅"
        await house.at_rest(dispatch)
    assert await ends(house, job.id) == ["completed"]
    assert await house.find([Kind.JOB_REQUEST], e=second.id) == [], "it was handed over"
    assert await house.replies(second) == ["at one"]


async def test_a_deletion_of_somebody_elses_ends_nothing(house: House) -> None:
    """Attack: whoever may write a kind 5 names others' messages, whose work would end."""
    group = await house.group("not theirs")
    message, handed = await house.say(group, "/say a"), await house.say(group, "/say b")
    soon = int(time()) + 1
    async with house.dispatch(Sessions(house)) as dispatch:
        for one in (message, handed):
            await dispatch.intake.begin(group, one.id, not_before=soon)
        for one in (message, handed):
            await retraction.deleted(house.author, dispatch, deletion(one, STRANGER))
        assert [await house.sign(one) for one in (message, handed)] == ["✅", "✅"]
        await house.at_rest(dispatch)


async def test_what_went_while_nobody_looked_is_not_begun_with(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The router was away when it was deleted, or it expired: what was handed to its job is
    answered."""
    monkeypatch.setattr(dispatch_module, "JUST_MADE_S", 0)
    group, soon = await house.group("gone meanwhile"), int(time()) + 1
    message, kept = await house.say(group, "/say never"), await house.say(group, "/say kept")
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, message.id, not_before=soon)
        assert job is not None
        await dispatch.intake.begin(group, kept.id, not_before=soon)
    ok = await house.client.publish(deletion(message, house.owner), deadline_s=10)
    assert ok.accepted, ok.message
    async with house.dispatch(Sessions(house)) as dispatch:
        assert await house.sign(kept) == "✅"
        await house.at_rest(dispatch)
    assert await house.find([Kind.JOB_ACCEPTED], e=job.id) == []
    assert await ends(house, job.id) == [None, "cancelled"]
    assert await house.replies(message) == []
    assert await house.replies(kept) == ["kept"]


async def test_a_session_whose_message_went_a_moment_ago_says_nothing(house: House) -> None:
    """Between the router's look and the session's."""
    group = await house.group("too late")
    message = await house.say(group, "/say never")
    ok = await house.client.publish(deletion(message, house.owner), deadline_s=10)
    assert ok.accepted, ok.message
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, message.id)
        assert job is not None
        await house.at_rest(dispatch)
    assert await ends(house, job.id) == ["completed"]
    assert await house.replies(message) == []
