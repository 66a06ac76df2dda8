"""A real relay and a real signer, and the agent's own code run beside the router instead of in a
container: what a container adds is tested with containers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from secrets import token_bytes
from shutil import rmtree
from time import time

from agent_image.agent.session import serve
from agent_image.agent.speech import SignerAway
from bot import grants
from bot.author import Author
from bot.beginning import make_main
from bot.directory import Directory
from bot.dispatch import Dispatch
from bot.ending import open_jobs
from bot.failure import Failure
from bot.jobs import JOB_KINDS, Job
from bot.lookout import Lookout
from bot.operate import assembly
from bot.operate.assembly import Installation
from bot.registry import Registry
from config import settings
from config.roles import read_key
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import job as job_events
from nips.own.roles import Roles
from nips.refusal import Malformed, Refused
from relay_local.client import Caller, Delivery, Link, Unanswered, connect
from signer import ceiling_file
from signer.ceiling import Caps
from tests.image.stage import a_program

SIGNS = frozenset({"✅", "❌", "🚫"})
PATIENCE_S = 20.0
NO_LIMIT = 1_000_000


@dataclass(slots=True)
class Sessions:
    """Makes attempts. dice: None lets every attempt live; else some die, at any moment."""

    house: House
    dice: Random | None = None
    running: set[str] = field(default_factory=set)
    together: int = 0  # at most, so far

    @property
    def author(self) -> Author:
        return self.house.author

    async def run(self, job: Job, number: int, folder: str) -> Failure:
        """One attempt, as `bot.attempt` makes one."""
        assert job.group not in self.running, "two runs of a group at once"
        self.running.add(job.group)
        self.together = max(self.together, len(self.running))
        session = SecretKey.generate(token_bytes)
        house, author = self.house, self.house.author
        granted = grants.of_session(
            session.public, job.group, job.id,
            is_main=False, now_s=author.now_s(), wall_clock_s=60.0,
        )  # fmt: skip
        began = job_events.attempt(
            author.pubkey, job.group, job.id, number, session.public, author.now_s()
        )
        try:
            await author.grant(granted)
            await author.publish(began)
            socket = house.place.run / "s" / session.public[:16] / "relay.sock"
            where = house.place.data / "groups" / folder
            await asyncio.to_thread(where.mkdir, parents=True, exist_ok=True)
            life_s = None
            if self.dice is not None and self.dice.random() < 0.5:
                life_s = self.dice.uniform(0.0, 0.4)
            async with asyncio.timeout(life_s):
                await serve(f"unix:{socket}", session, house.roles.signer, where, PATIENCE_S)
            return Failure("it ended")
        except (TimeoutError, SignerAway, Refused, Unanswered, Malformed) as error:
            return Failure(f"it died of {type(error).__name__}")
        finally:
            self.running.discard(job.group)
            await author.grant(grants.revoked(granted))


@dataclass(slots=True)
class House:
    """The installation, and the router's hands."""

    place: Installation
    roles: Roles
    owner: SecretKey
    client: Link
    author: Author
    directory: Directory
    lookout: Lookout

    async def group(self, name: str) -> str:
        """A conversation."""
        registry = Registry(
            self.author, self.roles, self.owner.public, self.directory.now,
            self.directory.learn, _nothing, self.place,
        )  # fmt: skip
        return (await registry.register(name, trigger=None)).group

    async def say(self, group: str, text: str) -> Event:
        """A message of the owner's."""
        tags = (("h", group), ("nonce", token_bytes(4).hex()))
        event = Template(self.owner.public, int(time()), Kind.CHAT, tags, text).sign(
            self.owner, token_bytes(32)
        )
        ok = await self.client.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    @asynccontextmanager
    async def dispatch(self, sessions: Sessions, places: int = 2) -> AsyncIterator[Dispatch]:
        """A dispatch that has resolved what it found, until the block ends: then all is cut off,
        as by a kill."""

        async def work(made: asyncio.Future[Dispatch], end: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as tasks:
                dispatch = Dispatch(
                    sessions, self.roles, self.directory.group, self.lookout,
                    places=places, pauses_s=(0.02, 0.05), tasks=tasks,
                )  # fmt: skip
                for job in await self.open_jobs():
                    await dispatch.resolve(job)
                made.set_result(dispatch)
                await end.wait()

        future: asyncio.Future[Dispatch] = asyncio.get_running_loop().create_future()
        working = asyncio.create_task(work(future, asyncio.Event()))
        working.add_done_callback(lambda _: future.done() or future.cancel())
        try:
            yield await future
        finally:
            working.cancel()
            (ended,) = await asyncio.gather(working, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError), ended

    async def at_rest(self, dispatch: Dispatch) -> None:
        """Wait until every job that does not wait for its time has its end event."""
        for state in dispatch.states():
            work = dispatch.find(state.job.id)
            if work is not None and state.state != "waiting":
                await asyncio.wait_for(work.ended.wait(), 60)

    async def open_jobs(self) -> list[Job]:
        """The jobs without an end on the relay."""
        kinds = frozenset(map(int, JOB_KINDS))
        return open_jobs(await self.author.stored([Filter(kinds=kinds)]), self.roles.router)

    async def sign(self, message: Event, timeout_s: float = 60) -> str:
        """Wait until the message is dealt with: ✅, ❌ or 🚫."""
        wanted = Filter(
            kinds=frozenset({int(Kind.REACTION)}),
            authors=frozenset({self.roles.router}),
            tags={"e": frozenset({message.id})},
        )
        async with asyncio.timeout(timeout_s), self.client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and item.event.content in SIGNS:
                    return item.event.content
        raise AssertionError("the subscription ended")

    async def replies(self, message: Event) -> list[str]:
        """What the bot said to a message."""
        wanted = Filter(
            kinds=frozenset({int(Kind.CHAT)}),
            authors=frozenset({self.roles.bot}),
            tags={"q": frozenset({message.id})},
        )
        return [event.content for event in await self.client.fetch([wanted])]

    async def find(self, kinds: Sequence[int], **tags: str) -> list[Event]:
        """What the router finds, in order of arrival."""
        wanted = Filter(
            kinds=frozenset(map(int, kinds)),
            tags={name: frozenset({value}) for name, value in tags.items()},
        )
        return await self.author.stored([wanted])


async def _nothing(_group: str) -> None:
    """Nothing runs that would have to be stopped."""


@asynccontextmanager
async def a_house() -> AsyncIterator[House]:
    """Start relay and signer in a folder of their own."""
    owner = SecretKey.generate(token_bytes)
    root = Path(tempfile.mkdtemp(prefix="nostrclaw-un-"))
    place = assembly.installation(root / "data")
    settings.write(place.data, {"listen": "127.0.0.1:0"})
    chosen = settings.load(place.data)
    roles = await asyncio.to_thread(assembly.prepare, place, chosen, owner.public)
    limits = ceiling_file.load(place.signer)
    caps = Caps(NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT)
    ceiling_file.store(place.signer, replace(limits, caps=caps))
    relay = [str(part) for part in assembly.relay_argv(place, chosen)[1:]]
    signing = [
        "-m", "signer", "run", "--data", str(place.signer), "--key", str(place.key("signer")),
        "--roles", str(place.roles_file), "--relay", f"unix:{place.signer_socket}",
    ]  # fmt: skip
    key = read_key(place.key("router"))
    try:
        async with (
            a_program(root / "relay.log", "relay: ready", relay) as line,
            a_program(root / "signer.log", "signer: ready", signing),
            connect(line.split()[2], [owner]) as client,
            connect(place.relay_address, [key]) as link,
        ):
            author = Author(link, key)
            directory = Directory(author)
            await make_main(author, roles, owner.public, directory)
            lookout = Lookout(author, Caller(link, key, roles.signer), roles, print)
            yield House(place, roles, owner, client, author, directory, lookout)
    finally:
        rmtree(root, ignore_errors=True)
        rmtree(place.run, ignore_errors=True)
