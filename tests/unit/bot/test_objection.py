"""Who may call off what: a ❌ or a 43005, and what it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from secrets import token_bytes
from time import time

import pytest

from bot.dispatch import Dispatch
from bot.objection import Objection
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from tests.unit.bot.uncontained import House, Sessions, a_house

STRANGER = SecretKey(bytes([7]) * 32)
SLOW = "/run sleep 1"


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


def objection(house: House, dispatch: Dispatch) -> Objection:
    owners = frozenset({house.owner.public})
    return Objection(house.author, lambda: owners, house.directory.group, dispatch)


def event(by: SecretKey, kind: int, text: str, *tags: Tag) -> Event:
    return Template(by.public, int(time()), kind, tags, text).sign(by, token_bytes(32))


@pytest.mark.parametrize(
    ("by", "text", "ends"),
    [("owner", "❌", True), ("owner", " ❌ ", True), ("owner", "👎", False),
     ("owner", "", False), ("stranger", "❌", False)],
)  # fmt: skip
async def test_a_cross_by_who_may(house: House, by: str, text: str, *, ends: bool) -> None:
    group = await house.group(f"cross {by} {text or 'none'} {ends}")
    message = await house.say(group, SLOW)
    author = house.owner if by == "owner" else STRANGER
    async with house.dispatch(Sessions(house)) as dispatch:
        await dispatch.intake.begin(group, message.id)
        cross = event(author, Kind.REACTION, text, ("h", group), ("e", message.id))
        await objection(house, dispatch).reacted(cross)
        assert await house.sign(message) == ("🚫" if ends else "✅")
        await house.at_rest(dispatch)


async def test_a_cross_names_its_group_and_the_last_of_its_messages(house: House) -> None:
    """Attack: a reaction in one group that names a message of another; one that names two."""
    group, other = await house.group("its own"), await house.group("another")
    message, second = await house.say(group, SLOW), await house.say(other, SLOW)
    async with house.dispatch(Sessions(house)) as dispatch:
        for where, one in ((group, message), (other, second)):
            await dispatch.intake.begin(where, one.id)
        objects = objection(house, dispatch)
        e = ("e", message.id)
        await objects.reacted(event(house.owner, Kind.REACTION, "❌", ("h", other), e))
        both = (("h", other), e, ("e", second.id))
        await objects.reacted(event(house.owner, Kind.REACTION, "❌", *both))
        assert [await house.sign(one) for one in (message, second)] == ["✅", "🚫"]
        await house.at_rest(dispatch)


async def test_a_43005_of_another_group_ends_nothing(house: House) -> None:
    group, other = await house.group("one of two"), await house.group("two of two")
    message = await house.say(group, SLOW)
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, message.id)
        assert job is not None
        objects = objection(house, dispatch)
        objects.cancelled(event(house.owner, Kind.JOB_CANCEL, "", ("h", other), ("e", job.id)))
        objects.cancelled(event(house.owner, Kind.JOB_CANCEL, "", ("h", group), ("e", "odd")))
        assert await house.sign(message) == "✅"
        await house.at_rest(dispatch)


async def test_others_messages_do_not_go_with_a_members_call(house: House) -> None:
    """Attack: who may call off their own job names, by `q`, what others have handed to it."""
    group = await house.group("named")
    slow, kept = await house.say(group, "/run sleep 5"), await house.say(group, "/say kept")
    async with house.dispatch(Sessions(house)) as dispatch:
        job = await dispatch.intake.begin(group, slow.id)
        assert job is not None
        await dispatch.intake.begin(group, kept.id)
        tags = (("h", group), ("e", job.id), ("q", kept.id))
        call = event(house.owner, Kind.JOB_CANCEL, "", *tags)
        assert (await house.client.publish(call, deadline_s=10)).accepted
        objection(house, dispatch).cancelled(call)
        assert [await house.sign(one) for one in (slow, kept)] == ["🚫", "✅"]
        await house.at_rest(dispatch)
    assert await house.replies(kept) == ["kept"]
