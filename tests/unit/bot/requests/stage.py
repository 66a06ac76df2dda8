"""A real relay with its roles, the router's link on it, and callers with whatever key."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_bytes

from bot.author import Author
from bot.beginning import make_main
from bot.directory import Directory
from bot.groups import Group
from bot.jobs import Job
from bot.operate import assembly
from bot.operate.assembly import Installation
from bot.persona import Personas
from bot.place import Place
from bot.registry import Registry
from bot.requests.callers import who_calls
from bot.requests.house import Requests
from bot.requests.methods import Method
from bot.requests.reception import Reception
from bot.requests.widening import Usual
from bot.run_folders import Layout
from bot.task_book import TaskBook
from bot.tasks.desk import Desk
from bot.tasks.keeper import Keeper
from config import settings
from config.roles import ensure_key, read_key, save
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.roles import Roles
from nips.own.task_run import TaskRun
from relay_local.client import Caller, Link, connect
from tests.image.stage import a_program


@dataclass(slots=True)
class House:
    """A relay process, and the router's hands: link, author, key. `sessions`: jobs that run."""

    place: Installation
    roles: Roles
    owner: SecretKey
    url: str
    link: Link
    key: SecretKey
    author: Author
    directory: Directory
    sessions: dict[str, Job] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    performed: list[tuple[str, TaskRun]] = field(default_factory=list)
    router_place: Place = field(init=False)

    def __post_init__(self) -> None:
        self.router_place = Place(self.link, self.key, "router")

    def session(self, group: str, job: str = "a" * 64, task: TaskRun | None = None) -> SecretKey:
        """The key of a job that runs in a group, for a message or for a task."""
        key = SecretKey.generate(token_bytes)
        messages = ("b" * 64,) if task is None else ()
        self.sessions[key.public] = Job(job, group, messages, 0, task=task)
        return key

    def role(self, name: str) -> SecretKey:
        """A key of the installation."""
        return read_key(self.place.key(name))

    @asynccontextmanager
    async def asking(self, key: SecretKey) -> AsyncIterator[Caller]:
        """A caller with a key, as the agent, a bridge or the command line has it."""
        async with connect(self.url, [key]) as link:
            yield Caller(link, key, self.roles.router)

    @asynccontextmanager
    async def reception(self, methods: Mapping[str, Method]) -> AsyncIterator[Reception]:
        """A reception that serves."""
        made = Reception(
            self.link, self.key, lambda key: who_calls(key, self.roles, self.sessions), methods
        )
        serving = asyncio.create_task(made.serve())
        await asyncio.wait_for(made.ready.wait(), 20)
        try:
            yield made
        finally:
            serving.cancel()
            (ended,) = await asyncio.gather(serving, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError), ended

    async def requests(self, usual: Usual | None = None) -> Requests:
        """All that can be asked, with main made and the personas read."""
        await make_main(self.author, self.roles, self.owner.public, self.directory)
        personas = Personas(self.author, "claw")
        await personas.load(self.directory.now().by_id)
        made = Requests(
            self.author, self.key, self.roles, self.sessions, self.place.data, self.directory,
            self.registry(), personas, usual or Usual(), self.owner.public, self.router_place.save,
            await self.desk(),
        )  # fmt: skip
        await made.start()
        return made

    async def desk(self) -> Desk:
        """What is planned; what is performed is noted."""

        async def perform(group: str, run: TaskRun) -> None:
            self.performed.append((group, run))

        book = TaskBook(self.author)
        await book.load()
        keeper = Keeper(self.author, book, perform, lambda _group: None, lambda: None)
        return Desk(self.author, keeper, self.directory.group, self.roles.main)

    def registry(self) -> Registry:
        """The registry, whose stops of a group's work are noted."""

        async def stop(group: str) -> None:
            self.stopped.append(group)

        kept = Layout(self.place.data, self.place.run)
        return Registry(
            self.author, self.roles, self.owner.public, self.directory.now,
            self.directory.learn, stop, kept,
        )  # fmt: skip

    def group(self, group: str) -> Group:
        """A group as the router knows it."""
        found = self.directory.group(group)
        assert found is not None
        return found

    async def said(self, group: str) -> list[Event]:
        """The messages of a group, in order of arrival."""
        wanted = Filter(kinds=frozenset({int(Kind.CHAT)}), tags={"h": frozenset({group})})
        return await self.author.stored([wanted])

    async def records(self, prefix: str) -> list[Event]:
        """The router's records whose name begins so."""
        wanted = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}), authors=frozenset({self.roles.router})
        )
        found = await self.link.fetch([wanted])
        return [event for event in found if (event.tag("d") or "").startswith(prefix)]


def with_signal(place: Installation, roles: Roles) -> Roles:
    """The roles of an installation that has a bridge to Signal too, written down."""
    key = ensure_key(place.key("bridge-signal")).public
    roles = replace(roles, bridges={**roles.bridges, "signal": key})
    save(place.roles_file, roles)
    return roles


@asynccontextmanager
async def a_house(bot: SecretKey | None = None) -> AsyncIterator[House]:
    """Start a relay in a folder of its own. bot: an identity whose key the test has."""
    owner = SecretKey.generate(token_bytes)
    root = Path(tempfile.mkdtemp(prefix="nostrclaw-house-"))
    place = assembly.installation(root / "data")
    settings.write(place.data, {"listen": "127.0.0.1:0"})
    chosen = settings.load(place.data)
    roles = await asyncio.to_thread(assembly.prepare, place, chosen, owner.public)
    if bot is not None:
        roles = replace(roles, bot=bot.public)
    roles = with_signal(place, roles)
    relay = [str(part) for part in assembly.relay_argv(place, chosen)[1:]]
    key = read_key(place.key("router"))
    try:
        async with (
            a_program(root / "relay.log", "relay: ready", relay) as line,
            connect(place.relay_address, [key]) as link,
        ):
            url = line.split()[2]
            author = Author(link, key)
            yield House(place, roles, owner, url, link, key, author, Directory(author))
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(place.run, ignore_errors=True)
