"""What a message answers and who came before it, looked up on a real relay, then remembered."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from secrets import token_bytes

import pytest

from bot.groups import Group
from bot.recollection import LAST_MESSAGES, Recollection, agents_in_a_row
from bot.routing import Around
from nips import nip29
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.binding import Binding, Quiet
from relay_local.client import Link, connect
from tests.unit.bot.bridges.nostr.stage import Stage, a_stage

FAMILY, WORK = "00000000-0000-4000-8000-000000000002", "00000000-0000-4000-8000-000000000003"
OWNER, ALICE, ROBOT = (SecretKey(bytes([n]) * 32) for n in (21, 22, 23))
BINDING = Binding(FAMILY, "family", trigger="", agents=True)


@dataclass(slots=True)
class Talk:
    """Two groups of the same people on a relay, and a link for each of these."""

    stage: Stage
    links: dict[str, Link]
    group: Group
    clock_s: int = field(default_factory=lambda: int(time.time()) - 600)

    def recollection(self) -> Recollection:
        """As after a start: nothing is remembered."""
        return Recollection(self.stage.link, self.stage.roles)

    async def say(self, by: SecretKey, *tags: Tag, h: str = FAMILY, later_s: int = 1) -> Event:
        self.clock_s += later_s
        template = Template(by.public, self.clock_s, Kind.CHAT, (("h", h), *tags), "hello")
        event = template.sign(by, token_bytes(32))
        link = self.stage.link if by is self.stage.router else self.links[by.public]
        ok = await link.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    async def around(
        self, recollection: Recollection, event: Event, group: Group | None = None
    ) -> Around:
        return await recollection.around(
            event, group or self.group, name="Claw", owners=frozenset({OWNER.public}), now_s=7
        )


@pytest.fixture(scope="module")
async def talk() -> AsyncIterator[Talk]:
    async with a_stage(OWNER.public) as stage, AsyncExitStack() as stack:
        await stage.make_main(OWNER.public)
        router, now_s = stage.router.public, int(time.time())
        members = {
            OWNER.public: ("owner",),
            stage.roles.bot: ("member",),
            ALICE.public: ("member",),
            ROBOT.public: ("agent",),
        }
        for group in (FAMILY, WORK):
            await stage.put(nip29.create_group(router, group, now_s))
            for key, roles in members.items():
                await stage.put(nip29.put_user(router, group, key, roles, now_s))
        links = {
            key.public: await stack.enter_async_context(connect(f"ws://{stage.listen}", [key]))
            for key in (OWNER, ALICE, ROBOT)
        }
        yield Talk(stage, links, Group(FAMILY, members, BINDING))


async def test_an_answer_to_the_house_is_known_also_after_a_restart(talk: Talk) -> None:
    ours, theirs = await talk.say(talk.stage.router), await talk.say(ALICE)
    elsewhere = await talk.say(talk.stage.router, h=WORK)
    for name in ("q", "e"):
        answer = await talk.say(ALICE, (name, theirs.id), (name, ours.id, "", "reply"))
        assert (await talk.around(talk.recollection(), answer)).answers_us
    for tag in (("q", theirs.id), ("q", "nonsense"), ("q",), ("p", ours.id), ("q", "0a" * 32)):
        assert not (await talk.around(talk.recollection(), await talk.say(ALICE, tag))).answers_us
    # Attack: a message of the house in another group, named in this one.
    answer = await talk.say(ALICE, ("q", elsewhere.id))
    assert not (await talk.around(talk.recollection(), answer)).answers_us


async def test_what_was_noted_needs_no_question(talk: Talk) -> None:
    ours, theirs = await talk.say(talk.stage.router), await talk.say(ALICE)
    recollection = talk.recollection()
    for event in (ours, theirs):
        recollection.note(event, talk.group)
    answers = [await talk.say(ALICE, ("q", one.id)) for one in (ours, theirs)]
    async with connect("ws://127.0.0.1:9", []) as nowhere:  # whoever asked would wait for ever
        recollection._link = nowhere
        assert (await talk.around(recollection, answers[0])).answers_us
        assert not (await talk.around(recollection, answers[1])).answers_us
        # Nor does a group without a trigger: whatever is said there is for the assistant.
        open_to_all = replace(talk.group, binding=replace(BINDING, trigger=None))
        stranger = await talk.say(ALICE, ("q", "0b" * 32))
        assert not (await talk.around(recollection, stranger, open_to_all)).answers_us


async def test_a_message_that_came_back_is_an_echo(talk: Talk) -> None:
    recollection = talk.recollection()
    ours = await talk.say(talk.stage.router)
    recollection.note(ours, talk.group)
    echo = await talk.say(ALICE, ("proxy", ours.id, "nostr"))
    assert (await talk.around(recollection, echo)).echoes_us
    fresh = await talk.say(ALICE, ("proxy", "0c" * 32, "nostr"))
    assert not (await talk.around(recollection, fresh)).echoes_us


async def test_agents_are_counted_since_the_last_person(talk: Talk) -> None:
    recollection = talk.recollection()
    await talk.say(ROBOT)
    await talk.say(ALICE)
    await talk.say(talk.stage.router)
    first = await talk.say(ROBOT)
    assert (await talk.around(recollection, first)).agents_before == 0
    recollection.note(first, talk.group)
    labelled = await talk.say(OWNER, ("L", "agent"))
    assert (await talk.around(recollection, labelled)).agents_before == 1
    recollection.note(labelled, talk.group)
    # Another start in between finds the same.
    third = await talk.say(ROBOT)
    assert (await talk.around(talk.recollection(), third)).agents_before == 2
    assert (await talk.around(recollection, third)).agents_before == 2
    recollection.note(third, talk.group)
    # Attack: a message dated before the last person's does not begin the count anew.
    backdated = await talk.say(ROBOT, later_s=-300)
    assert (await talk.around(recollection, backdated)).agents_before == 3
    recollection.note(backdated, talk.group)
    person = await talk.say(ALICE, later_s=301)
    recollection.note(person, talk.group)
    after = await talk.say(ROBOT)
    assert (await talk.around(recollection, after)).agents_before == 0
    assert (await talk.around(recollection, person)).agents_before == 0, "a person is not counted"


async def test_the_zone_is_that_of_the_quiet_hours(talk: Talk) -> None:
    event = await talk.say(ALICE)
    for zone, found in (("Asia/Kathmandu", "Asia/Kathmandu"), ("Nowhere/Land", "UTC")):
        quiet = Quiet("22:00", "07:00", zone)
        group = replace(talk.group, binding=replace(BINDING, quiet=quiet))
        around = await talk.around(talk.recollection(), event, group)
        assert str(around.zone) == found


def test_agents_alone_are_all_counted(talk: Talk) -> None:
    said = [
        Template(ROBOT.public, n, Kind.CHAT, (("h", FAMILY),), "x").sign(ROBOT, bytes(32))
        for n in range(LAST_MESSAGES)
    ]
    assert agents_in_a_row(said, talk.group, talk.stage.roles) == LAST_MESSAGES
    assert agents_in_a_row(said[:2], talk.group, talk.stage.roles) == 2
    assert agents_in_a_row([], talk.group, talk.stage.roles) == 0
