"""bot/tasks/agenda.py over a real relay: tasks of every kind, from their making to their runs."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_bytes
from time import time
from urllib.parse import urlsplit

import pytest

from bot.dispatch import Dispatch
from bot.scheduler import Doing
from bot.tasks.agenda import Agenda, Surroundings
from bot.tasks.hook_secrets import HookSecrets
from bot.tasks.wanted import Wanted
from config.roles import read_key
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import hook
from nips.own.task import Task
from tests.unit.bot.tasks.hook_client import post, request
from tests.unit.bot.uncontained import House, Sessions, a_house


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


class Office:
    """An agenda, and what it said at the terminal."""

    def __init__(self, house: House, dispatch: Dispatch, listen: str = "") -> None:
        self.house, self.dispatch = house, dispatch
        self.said: asyncio.Queue[str] = asyncio.Queue()
        self.resolved = asyncio.Event()
        key = read_key(house.place.key("router"))
        doing = Doing(
            dispatch.intake.perform, house.directory.group, lambda _group: None, _nothing, frozenset
        )
        self.agenda = Agenda(
            house.author, key, house.roles,
            Surroundings(
                house.owner.public, lambda: frozenset({house.owner.public}), doing, self.resolved,
                house.place.data, listen, self.said.put_nowait,
            ),
        )  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.agenda.load()
        work = asyncio.create_task(self.agenda.run())
        self.resolved.set()
        try:
            yield
        finally:
            work.cancel()
            (ended,) = await asyncio.gather(work, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError), ended

    async def plan(self, group: str, when: str, prompt: str, gate: str | None = None) -> Task:
        desk, said = self.agenda.desk, Wanted(when=when, prompt=prompt, gate=gate)
        drafted = desk.drafted(group, said, token_bytes(4).hex())
        return (await desk.keeper.add(drafted)).task

    async def words(self, task: Task) -> list[str]:
        """What the bot has said for a task, when its job has ended."""
        address = task.address(self.house.author.pubkey)
        async with asyncio.timeout(20):
            while not (jobs := await self.house.find([Kind.JOB_REQUEST], a=address)):
                await asyncio.sleep(0.02)
        await self.house.at_rest(self.dispatch)
        said = await self.house.find([Kind.CHAT], h=task.group)
        of_jobs = {job.id for job in jobs}
        return [event.content for event in said if event.tag("job") in of_jobs]


async def _nothing(_group: str) -> None:
    pass


async def test_whatever_sets_a_task_off_it_runs(house: House) -> None:
    group, main = await house.group("every kind"), house.roles.main
    async with house.dispatch(Sessions(house)) as dispatch:
        office = Office(house, dispatch, "127.0.0.1:0")
        async with office.running():
            address = urlsplit((await office.said.get()).removeprefix("webhooks: "))
            assert (address.hostname, address.path) == ("127.0.0.1", "/hooks/")
            # The clock.
            soon = await office.plan(group, "in 1s", "/say by the clock")
            assert await office.words(soon) == ["by the clock"]
            # A call.
            door = await office.plan(group, "on call", "/say at the door")
            secret, body = HookSecrets(house.place.data).make(door.id), b'{"door":"open"}'
            header = {"X-Nostrclaw-Signature": hook.header(secret, int(time()), body)}
            status, _ = await post(address.port or 0, request(f"/hooks/{door.id}", body, header))
            assert status == 202
            assert await office.words(door) == ["at the door"]
            # An event of its conversation, and a public one.
            here = await office.plan(group, 'on {"kinds":[9],"#h":["here"]}', "/say heard you")
            await house.say(group, "hello")
            assert await office.words(here) == ["heard you"]
            mention = await office.plan(main, "on mention", "/say mentioned")
            assert await office.agenda.heard(json.dumps(note(house).to_json())) == "noted"
            assert await office.words(mention) == ["mentioned"]
            # What its gate lets through, and what not.
            await office.plan(group, "in 1s", "/say open", gate="test -d .")
            shut = await office.plan(group, "in 1s", "/say never", gate="exit 3")
            assert await office.words(shut) == []
            (job,) = await house.find([Kind.JOB_REQUEST], a=shut.address(house.author.pubkey))
            (end,) = await house.find([Kind.JOB_RESULT], e=job.id)
            assert end.content == "gate closed: exit code 3"
            # A cancelled one's secret is gone with it.
            await office.agenda.desk.keeper.cancel(door)
            assert HookSecrets(house.place.data).of(door.id) is None


def note(house: House) -> Event:
    key = SecretKey.generate(token_bytes)
    tags = (("p", house.roles.bot),)
    return Template(key.public, int(time()), 1, tags, "hi").sign(key, token_bytes(32))


async def test_a_port_that_another_program_has_is_said_and_stops_nothing(house: House) -> None:
    group = await house.group("port taken")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        async with house.dispatch(Sessions(house)) as dispatch:
            office = Office(house, dispatch, listen)
            async with office.running():
                said = await office.said.get()
                assert said.startswith(f"webhooks: {listen} cannot be used (")
                assert await office.words(await office.plan(group, "in 1s", "/say on")) == ["on"]
