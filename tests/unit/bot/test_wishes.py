"""bot/wishes.py over a real relay: calendar events of the owner's client, followed by tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from secrets import token_bytes, token_hex
from time import time

import pytest

from bot.schedule import planning
from bot.schedule.misfire import Run
from bot.task_book import TaskBook
from bot.tasks import bounds
from bot.wishes import NOT_THEIRS, Wishes, World
from nips import nip29
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip29 import GroupRole
from nips.own.schedule import Count, Misfire, Schedule
from nips.own.task import Task
from tests.unit.bot.uncontained import House, a_house

NOW = int(time())
SOON = NOW + 3_600
HOURLY: Tag = ("schedule", "interval", "3600000")


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@dataclass
class Desk:
    """Wishes over a book of their own, and the hand of who publishes calendar events."""

    house: House
    changed: int = 0
    latest: int = field(default_factory=lambda: NOW)

    def __post_init__(self) -> None:
        self.book = TaskBook(self.house.author)
        owner, house = self.house.owner.public, self.house
        world = World(
            house.directory.group, lambda: frozenset({owner}), lambda: int(time()),
            "Europe/Berlin", self._changed,
        )  # fmt: skip
        self.wishes = Wishes(house.author, house.roles, self.book, world)

    def _changed(self) -> None:
        self.changed += 1

    async def publish(
        self,
        d: str,
        *tags: Tag,
        text: str = "/say x",
        by: SecretKey | None = None,
        kind: int = 31_923,
    ) -> Event:
        """Somebody's client publishes; what it is, the router sees."""
        key = by or self.house.owner
        self.latest += 1  # of two versions in one second the lower id would win
        given = tags if kind != 31_923 else (("d", d), ("start", str(SOON)), *tags)
        event = Template(key.public, self.latest, kind, given, text).sign(key, token_bytes(32))
        await self.house.client.authenticate(key)
        ok = await self.house.client.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        await (self.wishes.saw if kind == 31_923 else self.wishes.deleted)(event)
        return event

    def tasks(self, group: str) -> list[Task]:
        return [p.task for p in self.book.all.values() if p.task.group == group]

    async def signs(self, event: Event) -> list[str]:
        return [e.content for e in await self.house.find([Kind.REACTION], e=event.id)]

    async def words(self, event: Event) -> list[str]:
        return [e.content for e in await self.house.find([Kind.CHAT], q=event.id)]


async def test_the_owners_event_is_a_task_in_main_or_where_it_says(house: House) -> None:
    desk, group = Desk(house), await house.group("planned")
    event = await desk.publish("a", HOURLY, ("title", "Plants"), text="/say water")
    (task,) = desk.tasks(house.roles.main)
    assert (task.title, task.prompt, task.zone) == ("Plants", "/say water", "Europe/Berlin")
    assert (task.schedule, task.start) == (Schedule("interval", "3600000", SOON), SOON)
    assert task.source is not None
    assert (task.source.address, task.source.version) == (
        f"31923:{house.owner.public}:a", event.id,
    )  # fmt: skip
    assert await desk.signs(event) == ["✅"]
    await desk.publish("b", HOURLY, ("h", group), ("start_tzid", "Asia/Tokyo"), ("misfire", "skip"))
    (there,) = desk.tasks(group)
    assert (there.zone, there.misfire) == ("Asia/Tokyo", Misfire(None))
    assert desk.changed == 2


async def test_read_again_it_is_the_same_task(house: House) -> None:
    desk, group = Desk(house), await house.group("again")
    event = await desk.publish("again", HOURLY, ("h", group))
    first = desk.book.all[desk.tasks(group)[0].name]
    successor = Desk(house)
    await successor.book.load()
    for one in (desk, successor):
        await one.wishes.saw(event)
        assert one.book.all[first.task.name] == first
    blank = Desk(house)  # it has not loaded the tasks
    await blank.wishes.saw(event)
    assert blank.book.all[first.task.name] == first


async def test_published_again_it_is_an_edit_that_keeps_what_was_claimed(house: House) -> None:
    desk, group = Desk(house), await house.group("edits")
    await desk.publish("e", HOURLY, ("h", group), ("count", "5"))
    (task,) = desk.tasks(group)
    claimed = planning.claimed(task, Run(SOON, SOON + 3_600, 0))
    await desk.book.put(claimed, desk.book.all[task.name])
    await desk.publish("e", HOURLY, ("h", group), ("count", "5"), text="/say twice")
    (edited,) = desk.tasks(group)
    assert edited.name == task.name
    assert (edited.prompt, edited.last, edited.count) == ("/say twice", SOON, Count(4, 5))
    assert edited.start == SOON + 3_600


async def test_two_editors_at_once_lose_nothing(house: House) -> None:
    desk, group = Desk(house), await house.group("at once")
    await desk.publish("o", HOURLY, ("h", group), ("count", "5"))
    other = TaskBook(house.author)
    await other.load()
    (task,) = desk.tasks(group)
    claimed = planning.claimed(task, Run(SOON, SOON + 3_600, 0))
    await other.put(claimed, other.all[task.name])  # another process has claimed meanwhile
    await desk.publish("o", HOURLY, ("h", group), ("count", "5"), text="/say mine")
    (edited,) = desk.tasks(group)
    assert (edited.prompt, edited.last, edited.count) == ("/say mine", SOON, Count(4, 5))


@pytest.mark.parametrize("by_id", [True, False])
async def test_deleted_it_is_cancelled(house: House, by_id: bool) -> None:
    desk, group = Desk(house), await house.group(f"deleted {by_id}")
    d = token_hex(4)
    event = await desk.publish(d, HOURLY, ("h", group))
    named: Tag = ("e", event.id) if by_id else ("a", f"31923:{house.owner.public}:{d}")
    await desk.publish(d, ("h", group), named, kind=5)
    assert desk.tasks(group) == []
    assert await house.find([Kind.CALENDAR_EVENT], h=group) == []
    await desk.wishes.saw(event)  # read again after a crash
    assert desk.tasks(group) == []
    await desk.publish(d, HOURLY, ("h", group))
    assert len(desk.tasks(group)) == 1, "published anew it is a task anew"


async def test_somebody_elses_deletion_cancels_nothing(house: House) -> None:
    """Attack: a member who deletes, by its address, what is the owner's."""
    desk, group = Desk(house), await house.group("not theirs")
    member = await a_member(house, group)
    event = await desk.publish("n", HOURLY, ("h", group))
    for named in (("e", event.id), ("a", f"31923:{house.owner.public}:n")):
        await desk.publish("n", ("h", group), named, kind=5, by=member)
    assert len(desk.tasks(group)) == 1


async def test_without_a_schedule_it_is_an_appointment_again(house: House) -> None:
    desk, group = Desk(house), await house.group("appointment")
    await desk.publish("p", ("h", group))
    assert desk.tasks(group) == []
    await desk.publish("p", HOURLY, ("h", group))
    assert len(desk.tasks(group)) == 1
    await desk.publish("p", ("h", group))
    assert desk.tasks(group) == []


async def test_cancelled_by_a_command_it_does_not_come_back_by_being_read_again(
    house: House,
) -> None:
    desk, group = Desk(house), await house.group("stays gone")
    event = await desk.publish("g", HOURLY, ("h", group))
    (task,) = desk.tasks(group)
    await desk.book.remove(desk.book.all[task.name])
    await desk.wishes.saw(event)
    assert desk.tasks(group) == []


async def a_member(house: House, group: str, *roles: str) -> SecretKey:
    key = SecretKey.generate(token_bytes)
    put = nip29.put_user(house.author.pubkey, group, key.public, roles, int(time()))
    house.directory.learn(await house.author.require(put))
    return key


async def test_an_admin_may_in_their_group_and_a_member_nowhere(house: House) -> None:
    """Attack: a member of a group has its agent work for them, day after day."""
    desk, group = Desk(house), await house.group("admins")
    member = await a_member(house, group, GroupRole.MEMBER)
    admin = await a_member(house, group, GroupRole.ADMIN)
    theirs = await desk.publish("m", HOURLY, ("h", group), by=member)
    assert desk.tasks(group) == []
    assert await desk.signs(theirs) == []
    # Told once, however often they try.
    assert await desk.words(theirs) == [NOT_THEIRS]
    again = await desk.publish("m2", HOURLY, ("h", group), by=member)
    assert await desk.words(again) == []
    event = await desk.publish("m", HOURLY, ("h", group), by=admin)
    assert len(desk.tasks(group)) == 1
    assert await desk.signs(event) == ["✅"]


async def test_what_cannot_be_a_task_is_refused_with_how_to_write_it_right(house: House) -> None:
    desk, group = Desk(house), await house.group("refused")
    for n, (tags, text, why) in enumerate(
        [
            ((("schedule", "cron", "0 0 31 2 *"),), "x", "never comes: no such month has a day 31"),
            ((("schedule", "interval", "5000"),), "x", "every 5s is too often: every 1m"),
            ((("schedule", "once", "2020-01-01T10:00"),), "x", "has passed; it is now"),
            ((("schedule", "daily", "x"),), "x", "must be one of cron, interval, once"),
            ((HOURLY, ("start_tzid", "Berlin")), "x", "did you mean Europe/Berlin?"),
            ((HOURLY,), "x" * 10_000, "at most 8,000 bytes, and this has 10,000"),
            ((HOURLY, ("until", str(NOW - 5))), "x", "its end, "),
        ]
    ):
        event = await desk.publish(f"bad{n}", *tags, ("h", group), text=text)
        assert await desk.signs(event) == ["❌"]
        (words,) = await desk.words(event)
        assert words.startswith("That calendar event cannot be a task: ")
        assert why in words
    assert desk.tasks(group) == []


async def test_an_event_of_a_tasks_own_name_displaces_nothing(house: House) -> None:
    """Attack: a member's, or an admin's, event under the very name of the router's."""
    desk, group = Desk(house), await house.group("same name")
    member = await a_member(house, group, GroupRole.MEMBER)
    admin = await a_member(house, group, GroupRole.ADMIN)
    await desk.publish("named", HOURLY, ("h", group), text="/say right")
    (task,) = desk.tasks(group)
    for key in (member, admin):
        await desk.publish(task.name, HOURLY, ("h", group), text="/say wrong", by=key)
    again = TaskBook(house.author)
    await again.load()
    assert again.all[task.name] == desk.book.all[task.name]
    assert sorted(task.prompt for task in desk.tasks(group)) == ["/say right", "/say wrong"]
    await desk.publish(task.name, ("h", group), ("a", task.address(admin.public)), kind=5, by=admin)
    assert [one.prompt for one in desk.tasks(group)] == ["/say right"]


async def test_no_part_of_ours_wishes_for_anything(house: House) -> None:
    """Attack: an agent that has the bot publish one, where the bot was made an admin."""
    desk, group = Desk(house), await house.group("no bots")
    for key in (house.roles.bot, house.author.pubkey, house.roles.bridges["nostr"]):
        tags = (("d", "x"), ("start", str(SOON)), HOURLY, ("h", group))
        event = Template(key, NOW, 31_923, tags, "/say x").sign(house.owner, token_bytes(32))
        await desk.wishes.saw(replace(event, pubkey=key))
    assert desk.tasks(group) == []


async def test_called_off_it_is_cancelled(house: House) -> None:
    desk, group = Desk(house), await house.group("called off")
    await desk.publish("call off", HOURLY, ("h", group))
    await desk.publish("call off", HOURLY, ("h", group), ("status", "cancelled"))
    assert desk.tasks(group) == []
    await desk.publish("never was", HOURLY, ("h", group), ("status", "cancelled"))
    assert desk.tasks(group) == []


async def test_two_editors_do_not_undo_each_others_work(house: House) -> None:
    desk, group = Desk(house), await house.group("two editors")
    await desk.publish("twice", HOURLY, ("h", group), text="/say one")
    (task,) = desk.tasks(group)
    standing = desk.book.all[task.name]
    # Pausing, and a run, change nothing that people have said.
    claimed = planning.claimed(planning.paused(task), Run(SOON, SOON + 3_600, 0))
    standing = await desk.book.put(claimed, standing)
    await desk.publish("twice", HOURLY, ("h", group), text="/say two")
    assert [task.prompt for task in desk.tasks(group)] == ["/say two"]
    # Another editor, by a command.
    standing = desk.book.all[task.name]
    await desk.book.put(replace(standing.task, prompt="/say other"), standing)
    event = await desk.publish("twice", HOURLY, ("h", group), text="/say three")
    assert [task.prompt for task in desk.tasks(group)] == ["/say other"]
    assert await desk.signs(event) == ["❌"]
    (words,) = await desk.words(event)
    assert "was changed here since, by a command or an agent" in words
    for _ in range(2):
        await desk.wishes.saw(event)  # read again after a crash
    assert [task.prompt for task in desk.tasks(group)] == ["/say other"]
    assert len(await desk.words(event)) == 1
    await desk.publish("twice", HOURLY, ("h", group), text="/say four")
    assert [task.prompt for task in desk.tasks(group)] == ["/say four"]


async def test_a_task_without_a_clock_may_be_wished_for(house: House) -> None:
    desk, group = Desk(house), await house.group("on occasion")
    here = ("schedule", "event", '{"kinds": [9], "#h": ["here"]}')
    await desk.publish("occasion", here, ("h", group), ("gate", "test -e dry"))
    (task,) = desk.tasks(group)
    assert task.schedule == Schedule("event", '{"kinds":[9],"#h":["here"]}')
    assert (task.start, task.gate) == (SOON, "test -e dry")
    # Attack: an admin has public relays told what is said in their group.
    public = await desk.publish(
        "public", ("schedule", "event", '{"kinds":[1],"#t":["x"]}'), ("h", group)
    )
    assert "in the owner's own conversation only" in (await desk.words(public))[0]
    assert len(desk.tasks(group)) == 1


async def test_no_calendar_makes_more_tasks_than_a_group_may_have(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_OF_A_GROUP", 1)
    desk, group = Desk(house), await house.group("full")
    await desk.publish("first", HOURLY, ("h", group))
    event = await desk.publish("second", HOURLY, ("h", group))
    assert await desk.signs(event) == ["❌"]
    (words,) = await desk.words(event)
    assert words.startswith("That calendar event cannot be a task: a conversation has at most 1")
    await desk.publish("first", HOURLY, ("h", group), text="/say edited")
    assert [task.prompt for task in desk.tasks(group)] == ["/say edited"]
