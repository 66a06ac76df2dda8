"""A real relay and a real router whose container engine is away; the owner's own client; puppets
and orders, as bridge and signer write them."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes
from time import time

import docker

from bot.attempt import Runner
from bot.author import Author
from bot.engine.outcome import Limits
from bot.engine.sandbox import Sandbox
from bot.operate import assembly
from bot.operate.assembly import Installation
from bot.router import Router
from bot.run_folders import Layout
from config import settings
from config.roles import read_key
from nips import nip29
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import order as orders
from nips.own.model_scope import ModelScope
from nips.own.order import Order
from nips.own.roles import Roles
from relay_local.client import Caller, Caught, Delivery, Link, connect
from tests.image.stage import a_program
from tests.serving import serving
from tests.unit.bot.requests.stage import with_signal

NO_ENGINE = "unix:///nonexistent/nostrclaw/docker.sock"
ANSWER_WAIT_S = 30.0


@dataclass(slots=True)
class Stage:
    """A relay process and the owner's client on it. url: where that client is connected. public: a
    public relay, and reading: another, where a test has them."""

    place: Installation
    roles: Roles
    owner: SecretKey
    url: str
    client: Link
    public: str = ""
    reading: str = ""

    def role(self, name: str) -> SecretKey:
        """A key of the installation."""
        return read_key(self.place.key(name))

    @asynccontextmanager
    async def router(self, models: Sequence[str] = ()) -> AsyncIterator[Router]:
        """A router that serves in this process; no container can start."""
        key = self.role("router")
        engine = docker.DockerClient(base_url=NO_ENGINE, version="1.41", timeout=5)
        sandbox = Sandbox(engine, image="none:0", installation=self.roles.router[:16])
        scope = ModelScope(tuple(models), 10, 1_000, 1_000) if models else None
        limits = Limits(
            wall_clock_s=20, memory_bytes=1 << 28, pids=64, cpus=1, folder_bytes=1 << 26
        )
        async with connect(self.place.relay_address, [key]) as link:
            runner = Runner(
                Author(link, key), self.roles, sandbox,
                Layout(self.place.data, self.place.run), limits, models=scope,
            )  # fmt: skip
            # Pauses so long that a job of which no container can start stays open.
            made = Router(link, key, self.roles, runner, lambda _: None, pauses_s=(600, 600))
            async with serving(made):
                yield made

    # Who says something

    async def say(
        self, text: str, *, group: str | None = None, at: int | None = None, kind: int = 9
    ) -> Event:
        """A message of the owner's own client."""
        tags = (("h", group or self.roles.main), ("nonce", token_bytes(4).hex()))
        event = Template(self.owner.public, at or int(time()), kind, tags, text).sign(
            self.owner, token_bytes(32)
        )
        ok = await self.client.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    async def order(self, text: str, rumor: str, *, at: int | None = None) -> None:
        """What the signer writes when it has opened the owner's direct message."""
        key = self.role("signer")
        made = orders.template(
            Order(rumor, self.owner.public, text, at or int(time())), key.public
        ).sign(key, token_bytes(32))
        async with connect(f"unix:{self.place.signer_socket}", [key]) as link:
            ok = await link.publish(made, deadline_s=10)
            assert ok.accepted, ok.message

    @asynccontextmanager
    async def bridge(self) -> AsyncIterator[Link]:
        """The bridge's connection."""
        async with connect(self.place.relay_address, [self.role("bridge-nostr")]) as link:
            yield link

    async def puppet(self, group: str | None = None) -> SecretKey:
        """A person of another network who stands in a group, in main without a name."""
        key = SecretKey.generate(token_bytes)
        bridge = self.role("bridge-nostr")
        put = nip29.put_user(
            bridge.public, group or self.roles.main, key.public, ("puppet",), int(time())
        ).sign(bridge, token_bytes(32))
        async with self.bridge() as link:
            ok = await link.publish(put, deadline_s=10)
            assert ok.accepted, ok.message
        return key

    async def repeat(
        self, puppet: SecretKey, text: str, rumor: str, *, group: str | None = None
    ) -> Event:
        """A direct message as the bridge repeats it in a puppet's name."""
        tags: tuple[Tag, ...] = (
            ("h", group or self.roles.main), ("proxy", rumor, "nostr"),
            ("o", token_bytes(32).hex()), ("-",),
        )  # fmt: skip
        event = Template(puppet.public, int(time()), Kind.CHAT, tags, text).sign(
            puppet, token_bytes(32)
        )
        async with self.bridge() as link:
            await link.authenticate(puppet)
            ok = await link.publish(event, deadline_s=10)
            assert ok.accepted, ok.message
        return event

    async def console(self, text: str) -> str:
        """A command by the machine's command line; its answer as JSON."""
        key = self.role("console")
        async with connect(self.place.relay_address, [key]) as link:
            return await Caller(link, key, self.roles.router).call("command", text, deadline_s=20)

    # What is answered

    async def answer(self, message: Event) -> str:
        """Wait for the router's answer to a message."""
        wanted = Filter(
            authors=frozenset({self.roles.router}),
            kinds=frozenset({int(Kind.CHAT)}),
            tags={"q": frozenset({message.id})},
        )
        async with asyncio.timeout(ANSWER_WAIT_S), self.client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    return item.event.content
        raise AssertionError("a subscription ends by an exception only")

    async def ask(self, text: str) -> str:
        """Say something as the owner, and wait for the router's answer."""
        return await self.answer(await self.say(text))

    async def find(self, *kinds: int, **tags: str) -> list[Event]:
        """What the owner's client finds, oldest first."""
        wanted = Filter(
            kinds=frozenset(int(kind) for kind in kinds),
            tags={name: frozenset({value}) for name, value in tags.items()},
        )
        return (await self.client.fetch([wanted]))[::-1]

    async def first(self, kind: int, **tags: str) -> Event:
        """Wait for an event of the router's."""
        wanted = Filter(
            authors=frozenset({self.roles.router}),
            kinds=frozenset({int(kind)}),
            tags={name: frozenset({value}) for name, value in tags.items()},
        )
        async with asyncio.timeout(ANSWER_WAIT_S), self.client.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    return item.event
        raise AssertionError("a subscription ends by an exception only")

    async def jobs(self, message: Event) -> list[Event]:
        """The jobs that were made of a message."""
        return await self.find(Kind.JOB_REQUEST, e=message.id)

    async def job(self, message: Event) -> Event:
        """Wait for the job of a message."""
        wanted = Filter(
            kinds=frozenset({int(Kind.JOB_REQUEST)}), tags={"e": frozenset({message.id})}
        )
        async with asyncio.timeout(ANSWER_WAIT_S), self.client.subscribe([wanted]) as stream:
            async for item in stream:
                match item:
                    case Delivery(event, _):
                        return event
                    case Caught():
                        pass
        raise AssertionError("a subscription ends by an exception only")


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    """Start a relay in a folder of its own."""
    owner = SecretKey.generate(token_bytes)
    root = Path(tempfile.mkdtemp(prefix="nostrclaw-commands-"))
    place = assembly.installation(root / "data")
    settings.write(place.data, {"listen": "127.0.0.1:0"})
    chosen = settings.load(place.data)
    roles = await asyncio.to_thread(assembly.prepare, place, chosen, owner.public)
    roles = with_signal(place, roles)
    relay = [str(part) for part in assembly.relay_argv(place, chosen)[1:]]
    place.logs.mkdir(parents=True, exist_ok=True)
    try:
        async with a_program(root / "relay.log", "relay: ready", relay) as line:
            url = line.split()[2]
            async with connect(url, [owner]) as client:
                yield Stage(place, roles, owner, url, client)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(place.run, ignore_errors=True)
