"""bot/tasks/watching.py over a real relay: events of groups, and public ones as a bridge tells of
them, set tasks off once each; loops, floods and other groups' words do not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from secrets import token_bytes
from time import time
from typing import Any
from uuid import uuid4

import pytest

from bot.place import Place
from bot.requests.callers import TheRouter
from bot.requests.methods import Asked, Method, table
from bot.requests.reception import Reception
from bot.schedule import planning
from bot.scheduler import Doing
from bot.task_book import TaskBook
from bot.tasks import watching as watching_module
from bot.tasks.firing import Firing
from bot.tasks.watching import Watching
from bot.zones import zone_of
from config.roles import read_key
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import cause as causes
from nips.own import task_run
from nips.own.cause import Cause, Published, Said
from nips.own.schedule import Schedule
from nips.own.task import Task
from nips.own.task_run import TaskRun
from nips.refusal import Malformed, Prefix, refused
from relay_local.client import Caller, connect
from tests.unit.bot.uncontained import House, a_house

ANN = SecretKey.generate(token_bytes)
HERE = {"kinds": [9], "#h": ["here"]}
MENTION = {"kinds": [1], "#p": ["bot"]}


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@dataclass
class Desk:
    """What watches, over a book and a place of its own. heard: filters that the bridge was asked
    for; refusals: how often it says no before."""

    house: House
    reader: str = field(default_factory=lambda: f"watch-{uuid4()}")
    heard: list[Any] = field(default_factory=list)
    refusals: int = 0

    def __post_init__(self) -> None:
        house, author = self.house, self.house.author
        key = read_key(house.place.key("router"))
        self.book = TaskBook(author)
        doing = Doing(
            self.perform, house.directory.group, lambda _group: None, self.tell, frozenset
        )
        self.firing = Firing(author, house.roles, self.book, doing)
        self.bridge = Caller(author.link, key, house.roles.bridges["nostr"])
        self.watching = Watching(
            author, house.roles, house.owner.public, lambda: frozenset({house.owner.public}),
            self.book, self.firing, self.bridge, Place(author.link, key, self.reader),
            house.directory.group,
        )  # fmt: skip
        self.asked = asyncio.Event()

    async def perform(self, group: str, run: TaskRun, cause: Cause | None = None) -> None:
        author = self.house.author
        made = task_run.request(
            author.pubkey, group, run, self.house.roles.bot, author.now_s(), cause
        )
        await author.insist(author.sign(made))

    async def tell(self, _group: str) -> None:
        pass

    async def watch(self, asked: Asked) -> str:
        """The bridge's side."""
        if self.refusals:
            self.refusals -= 1
            raise refused(Prefix.ERROR, "not yet")
        self.heard.append(json.loads(asked.params[0]))
        self.asked.set()
        return "watching"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        work = asyncio.create_task(self.watching.run())
        try:
            yield
        finally:
            work.cancel()
            (ended,) = await asyncio.gather(work, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError), ended

    @asynccontextmanager
    async def a_bridge(self) -> AsyncIterator[None]:
        """A bridge that can be asked."""
        house = self.house
        key = read_key(house.place.key("bridge-nostr"))
        async with connect(house.place.relay_address, [key]) as link:
            reception = Reception(
                link, key, lambda who: TheRouter(who) if who == house.roles.router else None,
                table([Method("watch", (TheRouter,), self.watch)]),
            )  # fmt: skip
            serving = asyncio.create_task(reception.serve())
            await asyncio.wait_for(reception.ready.wait(), 20)
            yield
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def next_question(self) -> Any:
        async with asyncio.timeout(20):
            await self.asked.wait()
        self.asked.clear()
        return self.heard[-1]

    async def plan(self, group: str, of: object, **changes: object) -> Task:
        task = Task(group, str(uuid4()), "T", "Do it.", Schedule("event", json.dumps(of)), "UTC", 0)
        made = planning.new(task, zone_of("UTC"), self.house.author.now_s())
        planned = await self.book.put(replace(made, **changes), None)  # type: ignore[arg-type]
        self.watching.changed()
        return planned.task

    async def jobs(self, task: Task) -> list[Event]:
        return await self.house.find([Kind.JOB_REQUEST], a=task.address(self.house.author.pubkey))

    async def job(self, task: Task, n: int = 1) -> Event:
        """The n-th job of a task, when it is there."""
        async with asyncio.timeout(20):
            while len(found := await self.jobs(task)) < n:
                await asyncio.sleep(0.01)
        assert len(found) == n
        return found[-1]


def note(*tags: Tag, by: SecretKey = ANN, at: int = 0, kind: int = 1, text: str = "hi") -> Event:
    return Template(by.public, at or int(time()), kind, tags, text).sign(by, token_bytes(32))


async def told(desk: Desk, event: Event) -> None:
    assert await desk.watching.heard(json.dumps(event.to_json())) == "noted"


async def test_what_is_said_in_its_group_sets_a_task_off(house: House) -> None:
    desk = Desk(house)
    group, other = await house.group("listens"), await house.group("elsewhere")
    async with desk.running():
        task = await desk.plan(group, HERE)
        await house.say(other, "not here")
        said = await house.say(group, "now")
        job = await desk.job(task)
        assert (job.tag("slot"), causes.parse(job), job.content) == (said.id, Said(said.id), "")
        # What the assistant itself says sets off nothing.
        tags: tuple[Tag, ...] = (("h", group), ("o", "0" * 64))
        await house.author.require(Template(house.author.pubkey, int(time()), 9, tags, "done"))
        more = await house.say(group, "again")
        assert (await desk.job(task, 2)).tag("slot") == more.id


async def test_killed_and_started_again_it_reads_on(house: House) -> None:
    desk, group = Desk(house), await house.group("reads on")
    async with desk.running():
        task = await desk.plan(group, HERE)
        await house.say(group, "one")
        await desk.job(task)
    meanwhile = await house.say(group, "two")
    for _ in range(2):
        successor = Desk(house, desk.reader)
        await successor.book.load()
        async with successor.running():
            assert (await successor.job(task, 2)).tag("slot") == meanwhile.id


async def test_what_is_older_than_the_task_does_not(house: House) -> None:
    desk, group = Desk(house), await house.group("older")
    tags = (("h", group),)
    before = Template(house.owner.public, int(time()) - 30, 9, tags, "before")
    await house.client.publish(before.sign(house.owner, token_bytes(32)), deadline_s=10)
    async with desk.running():
        task = await desk.plan(group, HERE, start=int(time()) + 900)
        other = await desk.plan(group, HERE)
        after = await house.say(group, "after")
        assert (await desk.job(other)).tag("slot") == after.id
    assert await desk.jobs(task) == []


async def test_a_public_event_sets_off_mains_tasks_once(house: House) -> None:
    desk, bot = Desk(house), ("p", house.roles.bot)
    main, group = house.roles.main, await house.group("no public ear")
    task = await desk.plan(main, MENTION)
    # Attack: one that was stored by whoever took over the router's pen for a moment.
    elsewhere, here = await desk.plan(group, MENTION), await desk.plan(main, HERE)
    event = note(bot)
    for _ in range(3):
        await told(desk, event)
    job = await desk.job(task)
    assert (job.tag("slot"), causes.parse(job)) == (event.id, Published(event))
    for passing in (
        note(("t", "x")), note(bot, kind=7), note(bot, at=int(time()) - 9_000),
        note(bot, ("l", "ai", "agent")), note(bot, ("h", main), kind=9),
    ):  # fmt: skip
        await told(desk, passing)
    assert [len(await desk.jobs(one)) for one in (task, elsewhere, here)] == [1, 0, 0]


async def test_words_that_nobody_has_said_are_not_believed(house: House) -> None:
    """Attack: a bridge that was taken over makes up who mentions the assistant."""
    desk = Desk(house)
    forged = note(("p", house.roles.bot)).to_json() | {"content": "pay Eve"}
    for text in (json.dumps(forged), "{", "[]", '{"id":1}'):
        with pytest.raises(Malformed):
            await desk.watching.heard(text)


async def test_the_bridge_is_asked_for_what_tasks_wait_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "PAUSE_S", 0.05)
    desk, main = Desk(house, refusals=1), house.roles.main
    async with desk.a_bridge(), desk.running():
        task = await desk.plan(main, MENTION)
        (asked,) = await desk.next_question()
        assert asked == {
            "kinds": [1], "#p": [house.roles.bot], "since": task.start, "limit": 100,
        }  # fmt: skip
        await desk.plan(main, {"kinds": [30_023], "authors": ["followed"]})
        lists, _ = await desk.next_question()
        assert lists == {"kinds": [3], "authors": [house.owner.public], "limit": 1}
        # Whom the owner follows; an older list, and somebody else's, change nothing.
        now = int(time())
        await told(desk, note(("p", ANN.public), by=house.owner, kind=3, at=now))
        assert [ANN.public] in [one.get("authors") for one in await desk.next_question()]
        await told(desk, note(by=house.owner, kind=3, at=now - 9))
        await told(desk, note(("p", house.owner.public), kind=3))
        await desk.book.remove(desk.book.all[task.name])
        desk.watching.changed()
        assert len(await desk.next_question()) == 2
        assert len(desk.heard) == 4


async def test_whom_nobody_answers_sets_off_nothing(house: House) -> None:
    """Attack: another assistant in the group, and ours, set off each other."""
    desk, group = Desk(house), await house.group("with others")
    async with desk.running():
        task = await desk.plan(group, HERE)
        brought = (("h", group), ("proxy", "0a" * 32, "nostr"))
        echo = Template(house.owner.public, int(time()), 9, brought, "done")
        await house.client.publish(echo.sign(house.owner, token_bytes(32)), deadline_s=10)
        said = await house.say(group, "now")
        assert (await desk.job(task)).tag("slot") == said.id
