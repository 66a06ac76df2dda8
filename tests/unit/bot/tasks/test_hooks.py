"""bot/tasks/hooks.py over a real relay and a real port: calls, and callers of bad will."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_bytes, token_hex
from time import time
from typing import Any
from uuid import uuid4

import pytest
import structlog

from bot.schedule import planning
from bot.scheduler import Doing
from bot.task_book import TaskBook
from bot.tasks.firing import SAME, Firing
from bot.tasks.hook_secrets import HookSecrets
from bot.tasks.hooks import UNSIGNED, Hooks
from bot.zones import zone_of
from nips.event import Event
from nips.kinds import Kind
from nips.own import cause as causes
from nips.own import hook, task_run
from nips.own.cause import Called, Cause
from nips.own.schedule import Schedule
from nips.own.task import Task
from nips.own.task_run import TaskRun
from tests.unit.bot.tasks.hook_client import Said, post, request
from tests.unit.bot.uncontained import House, a_house

BODY = b'{"a":1}'
JSON = {"Content-Type": "application/json; charset=utf-8"}


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@dataclass
class Desk:
    """Hooks over a book of their own, and whoever calls them."""

    house: House
    an_hour: int = 10
    port: int = 0

    def __post_init__(self) -> None:
        house = self.house
        self.book, self.secrets = TaskBook(house.author), HookSecrets(house.place.data)
        doing = Doing(
            self.perform, house.directory.group, lambda _group: None, self.tell, frozenset
        )
        firing = Firing(house.author, house.roles, self.book, doing, self.an_hour)
        self.hooks = Hooks(house.author, self.book, firing, self.secrets)

    async def perform(self, group: str, run: TaskRun, cause: Cause | None = None) -> None:
        author = self.house.author
        made = task_run.request(
            author.pubkey, group, run, self.house.roles.bot, author.now_s(), cause
        )
        await author.insist(author.sign(made))

    async def tell(self, _group: str) -> None:
        pass

    def earlier(self, seconds: int) -> int:
        """Another second than the others, at which a call may have been signed."""
        return int(time()) - 10 - seconds

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        self.port = await self.hooks.server.open("127.0.0.1", 0)
        try:
            yield
        finally:
            await self.hooks.server.close()

    async def plan(self, group: str, how: Any = "webhook") -> Task:
        expression = "door" if how == "webhook" else '{"kinds":[9],"#h":["here"]}'
        task = Task(group, str(uuid4()), "Door", "/say x", Schedule(how, expression), "UTC", 0)
        made = planning.new(task, zone_of("UTC"), self.house.author.now_s())
        return (await self.book.put(made, None)).task

    async def call(
        self,
        task: Task | str,
        secret: bytes,
        body: bytes = BODY,
        *,
        at_s: int | None = None,
        sent: bytes | None = None,
        method: str = "POST",
        **headers: str,
    ) -> Said:
        """sent: another body than the one that is signed."""
        name = task if isinstance(task, str) else task.id
        signed = hook.header(secret, int(time()) if at_s is None else at_s, body)
        known = {"X-Nostrclaw-Signature": signed} | JSON
        known |= {each.replace("_", "-"): value for each, value in headers.items()}
        target = f"/hooks/{name}"
        return await post(self.port, request(target, body if sent is None else sent, known, method))

    async def jobs(self, task: Task) -> list[Event]:
        return await self.house.find([Kind.JOB_REQUEST], a=task.address(self.house.author.pubkey))


async def test_a_call_is_a_run(house: House) -> None:
    desk = Desk(house)
    task = await desk.plan(await house.group("called"))
    secret = desk.secrets.make(task.id)
    async with desk.open():
        status, said = await desk.call(task, secret)
        (job,) = await desk.jobs(task)
        assert (status, said) == (202, {"job": job.id, "new": True})
        called = causes.parse(job)
        assert isinstance(called, Called)
        assert (called.media_type, called.body) == ("application/json", '{"a":1}')
        # Called again under its own name, signed anew, it is the same run.
        status, said = await desk.call(task, secret, b"{}", Idempotency_Key="deploy-7")
        assert (status, said["new"]) == (202, True)
        again = await desk.call(task, secret, at_s=desk.earlier(1), Idempotency_Key="deploy-7")
        assert again == (202, {"job": said["job"], "new": False})
        # The same words another time are another call.
        assert (await desk.call(task, secret, at_s=desk.earlier(2)))[1]["new"] is True
        plain = await desk.call(task, secret, "grüß".encode(), Content_Type="text/plain")
        assert plain[0] == 202
    last = [causes.parse(job) for job in await desk.jobs(task)][-1]
    assert isinstance(last, Called)
    assert (last.media_type, last.body) == ("text/plain", "grüß")


async def test_who_cannot_sign_learns_nothing(house: House) -> None:
    """Attacks: forged, with another task's secret, changed, kept; and a search for tasks."""
    desk = Desk(house)
    group = await house.group("guarded")
    task, other, unarmed = await desk.plan(group), await desk.plan(group), await desk.plan(group)
    secret, others = desk.secrets.make(task.id), desk.secrets.make(other.id)
    now = int(time())
    async with desk.open():
        unsigned = (401, {"error": UNSIGNED})
        assert await desk.call(task, token_bytes(32)) == unsigned
        assert await desk.call(task, others) == unsigned
        assert await desk.call(task, secret, sent=BODY + b" ") == unsigned
        assert await desk.call(str(uuid4()), secret) == unsigned
        assert await desk.call(unarmed, bytes(32)) == unsigned
        for at_s in (now - 302, now + 303):
            status, said = await desk.call(task, secret, at_s=at_s)
            assert (status, said["error"].endswith("sign it anew")) == (401, True)
        for name in (task.id, str(uuid4())):
            no = await post(desk.port, request(f"/hooks/{name}", BODY, JSON))
            assert no == (401, {"error": no[1]["error"]})
            assert no[1]["error"].startswith("sign it: X-Nostrclaw-Signature")
    assert [await desk.jobs(one) for one in (task, other, unarmed)] == [[], [], []]


@pytest.mark.parametrize("ahead_s", [0, -hook.WINDOW_S + 5, hook.WINDOW_S - 5])
async def test_what_was_heard_passing_by_is_brought_again(house: House, ahead_s: int) -> None:
    """Attack: under another name, with one or without, it would be another run; a process that has
    just begun remembers nothing, and the clock of who signs may be another one."""
    desk = Desk(house)
    task = await desk.plan(await house.group(f"replayed {ahead_s}"))
    secret, at_s = desk.secrets.make(task.id), int(time()) + ahead_s
    successor = Desk(house)
    await successor.book.load()
    async with desk.open(), successor.open():
        first = await desk.call(task, secret, at_s=at_s)
        named = await desk.call(task, secret, at_s=at_s - 1, Idempotency_Key="one")
        assert (first[0], named[0], first == named) == (202, 202, False)
        for each in (desk, successor):
            again = await each.call(task, secret, at_s=at_s)
            assert again == (202, first[1] | {"new": False})
            refused = (409, {"error": f"the task does not run: {SAME}"})
            assert await each.call(task, secret, at_s=at_s, Idempotency_Key="more") == refused
            assert await each.call(task, secret, at_s=at_s - 1) == refused
            assert await each.call(task, secret, at_s=at_s - 1, Idempotency_Key="two") == refused
            assert (await each.call(task, secret, at_s=at_s - 2, Idempotency_Key="one"))[0] == 202
    assert len(await desk.jobs(task)) == 2


async def test_what_is_no_call(house: House) -> None:
    desk = Desk(house)
    group = await house.group("misread")
    task, on_event = await desk.plan(group), await desk.plan(group, "event")
    secret, other = desk.secrets.make(task.id), desk.secrets.make(on_event.id)
    async with desk.open():
        for target in ("/", "/hooks", f"/hooks/{task.id}/x", f"/hooks/{task.id}?x", "/hooks/../x"):
            assert (await post(desk.port, request(target)))[0] == 404
        assert (await desk.call(task, secret, method="GET"))[0] == 405
        for no in (
            desk.call(task, secret, b"{"),
            desk.call(task, secret, b"\xff", Content_Type="text/plain"),
            desk.call(task, secret, b"x", Content_Type="x"),
            desk.call(task, secret, b"[]", Idempotency_Key="x" * 201),
        ):
            assert (await no)[0] == 400
        assert (await desk.call(task, secret, b"x" * 65_537, Content_Type="text/plain"))[0] == 413
        assert (await desk.call(task, secret, b"x" * 65_536, Content_Type="text/plain"))[0] == 202
        # A task that is set off by something else, or not at all.
        gone = "there is no such task any more"
        assert await desk.call(on_event, other) == (409, {"error": gone})
        await desk.book.put(
            planning.paused(desk.book.all[task.name].task), desk.book.all[task.name]
        )
        paused = await desk.call(task, secret, Idempotency_Key="p")
        assert paused == (409, {"error": "the task does not run: it is paused"})


async def test_a_flood_of_calls(house: House) -> None:
    """Attack: who has the secret calls without end."""
    desk = Desk(house, an_hour=2)
    task = await desk.plan(await house.group("flood of calls"))
    secret = desk.secrets.make(task.id)
    async with desk.open():
        calls = [desk.call(task, secret, b"%d" % n) for n in range(5)]
        statuses = [status for status, _ in await asyncio.gather(*calls)]
    assert sorted(statuses) == [202, 202, 429, 429, 429]


async def test_neither_secret_nor_body_is_written_anywhere(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(house)
    task = await desk.plan(await house.group("unlogged"))
    secret, word = desk.secrets.make(task.id), token_hex(16)
    with structlog.testing.capture_logs() as logged:
        async with desk.open():
            await desk.call(task, secret, json.dumps(word).encode())
            await desk.call(task, bytes(32), json.dumps(word).encode())
    said = json.dumps(logged, default=str) + capsys.readouterr().out
    assert "task called" in said
    assert secret.hex() not in said
    assert word not in said
    events = await house.find([Kind.JOB_REQUEST, Kind.CALENDAR_EVENT], h=task.group)
    assert not [event for event in events if secret.hex() in json.dumps(event.to_json())]
