"""A real relay and a real signer for the router's tests, which bring router and engine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes
from shutil import rmtree
from time import time

import docker

from bot.attempt import NO_SPARES, Runner
from bot.author import Author
from bot.backends import Backends
from bot.budgets import Budgets
from bot.engine import project
from bot.engine.host import Engine
from bot.engine.outcome import Limits
from bot.engine.sandbox import Sandbox
from bot.engine.spare_rules import Bounds
from bot.operate import assembly
from bot.operate.assembly import Installation
from bot.place import Place
from bot.router import Router
from bot.run_folders import Layout
from config import settings
from config.roles import read_key
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import pairing
from nips.own.grant import Grant
from nips.own.grant import parse as parse_grant
from nips.own.model_scope import ModelScope
from nips.own.roles import Roles
from relay_local.client import Delivery, Link, connect
from tests.serving import serving

LIMITS = Limits(
    wall_clock_s=30,
    memory_bytes=128 << 20,
    folder_bytes=32 << 20,
    output_bytes=4 << 20,
    free_disk_bytes=0,
)
ENDS = frozenset({int(Kind.JOB_RESULT), int(Kind.JOB_ERROR)})
SIGNS = frozenset({"✅", "❌", "🚫"})  # the router's, on a message that was dealt with


@dataclass(frozen=True, slots=True)
class Stage:
    """An installation whose relay and signer run, and its owner's own client on the relay."""

    place: Installation
    roles: Roles
    owner: SecretKey
    client: Link
    engine: Engine
    docker: docker.DockerClient
    image: str

    @property
    def installation(self) -> str:
        return self.roles.router[:16]

    def layout(self) -> Layout:
        return Layout(self.place.data, self.place.run, project.refresh(self.place.run))

    @asynccontextmanager
    async def router(
        self,
        command: str | None = None,
        limits: Limits = LIMITS,
        places: int = 4,
        models: ModelScope | None = None,
        budgets: Budgets | None = None,
        backends: Backends | None = None,
        spares: Bounds = NO_SPARES,
    ) -> AsyncIterator[Router]:
        """A router that serves, in this process. `command`: a Python program for its containers."""
        key = read_key(self.place.key("router"))
        sandbox = Sandbox(self.docker, image=self.image, installation=self.installation)
        argv = None if command is None else ("python3", "-c", command)
        async with connect(self.place.relay_address, [key]) as link:
            author = Author(link, key)
            runner = Runner(
                author, self.roles, sandbox, self.layout(), limits, argv, models, bounds=spares
            )
            made = Router(
                link, key, self.roles, runner, print,
                places=places, pauses_s=(0.1, 0.2), budgets=budgets, backends=backends,
            )  # fmt: skip
            async with serving(made):
                yield made

    async def say(self, text: str) -> Event:
        """A message of the owner's in main, from their own client."""
        # The same words twice in a second are the same event without it.
        tags = (("h", self.roles.main), ("nonce", token_bytes(4).hex()))
        event = Template(self.owner.public, int(time()), Kind.CHAT, tags, text).sign(
            self.owner, token_bytes(32)
        )
        ok = await self.client.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    async def end(self, message: Event, timeout_s: float = 60) -> Event:
        """Wait for the end of the message's job: its 43004 or 43006."""
        async with asyncio.timeout(timeout_s):
            request = await first(
                self.client, Filter(kinds=frozenset({int(Kind.JOB_REQUEST)}), tags=about(message))
            )
            return await first(self.client, Filter(kinds=ENDS, tags=about(request)))

    async def dealt_with(self, message: Event, timeout_s: float = 60) -> str:
        """Wait for the router's last sign on the message: ✅, ❌ or 🚫."""
        signs = Filter(
            kinds=frozenset({int(Kind.REACTION)}),
            authors=frozenset({self.roles.router}),
            tags=about(message),
        )
        async with asyncio.timeout(timeout_s), self.client.subscribe([signs]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and item.event.content in SIGNS:
                    return item.event.content
        raise AssertionError("the subscription ended")

    async def react(self, sign: str, to: Event, by: SecretKey | None = None) -> Event:
        """A reaction in main, the owner's or somebody else's."""
        author = by or self.owner
        tags = (("h", self.roles.main), ("e", to.id), ("p", to.pubkey))
        event = Template(author.public, int(time()), Kind.REACTION, tags, sign).sign(
            author, token_bytes(32)
        )
        ok = await self.client.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    async def find(self, *kinds: int, **tags: str) -> list[Event]:
        """What the owner's client finds, oldest first."""
        wanted = Filter(
            kinds=frozenset(int(kind) for kind in kinds),
            tags={name: frozenset({value}) for name, value in tags.items()},
        )
        return (await self.client.fetch([wanted]))[::-1]

    async def job(self, message: Event) -> list[Event]:
        """Every event of the message's job but its reports of progress, by kind."""
        requests = await self.find(Kind.JOB_REQUEST, e=message.id)
        rest = [
            event
            for request in requests
            for event in await self.find(Kind.JOB_ACCEPTED, *ENDS, e=request.id)
        ]
        return sorted([*requests, *rest], key=lambda event: event.kind)

    async def replies(self, message: Event) -> list[Event]:
        """What the bot said to a message."""
        said = await self.find(Kind.CHAT, q=message.id)
        return [event for event in said if event.pubkey == self.roles.bot]

    async def notices(self, message: Event) -> list[Event]:
        """What the router told the owner about a message."""
        said = await self.find(Kind.CHAT, q=message.id)
        return [event for event in said if event.pubkey == self.roles.router]

    async def begun(self, message: Event, timeout_s: float = 30) -> Event:
        """Wait for the first attempt at the message's job."""
        async with asyncio.timeout(timeout_s):
            request = await first(
                self.client, Filter(kinds=frozenset({int(Kind.JOB_REQUEST)}), tags=about(message))
            )
            return await first(
                self.client,
                Filter(kinds=frozenset({int(Kind.JOB_ACCEPTED)}), tags=about(request)),
            )

    async def as_router(self, kinds: Sequence[int]) -> list[Event]:
        """The router's own events of these kinds."""
        key = read_key(self.place.key("router"))
        wanted = Filter(
            authors=frozenset({key.public}), kinds=frozenset(int(kind) for kind in kinds)
        )
        async with connect(self.place.relay_address, [key]) as link:
            return await link.fetch([wanted])

    async def grants(self) -> dict[str, Grant]:
        """The grants that stand, by client key."""
        events = await self.as_router([Kind.APP_DATA])
        return {
            grant.client: grant
            for event in events
            if (event.tag("d") or "").startswith("grant/")
            and (grant := parse_grant(event, self.roles.router))
        }

    async def live_sessions(self) -> list[str]:
        """The session keys whose grants are not revoked."""
        grants = await self.grants()
        return [key for key, g in grants.items() if g.role == "session" and not g.revoked]

    async def forget_place(self, reader: str) -> None:
        """Let a reader's place be the beginning again."""
        key = read_key(self.place.key("router"))
        async with connect(self.place.relay_address, [key]) as link:
            place = Place(link, key, reader)
            loaded = await place.load()
            assert loaded is not None
            place.advance(loaded[0], 0)
            await place.save()
            assert await Place(link, key, reader).load() == (loaded[0], 0)

    async def pair(self) -> None:
        """Name the owner as the signer does, and wait until main is theirs."""
        key = read_key(self.place.key("signer"))
        named = pairing.template(key.public, self.owner.public, int(time()))
        async with connect(self.place.relay_address, [key]) as link:
            ok = await link.publish(named.sign(key, token_bytes(32)), deadline_s=10)
            assert ok.accepted, ok.message
        router = read_key(self.place.key("router"))
        bound = Filter(
            authors=frozenset({router.public}),
            tags={"d": frozenset({f"group/{self.roles.main}"})},
        )
        async with connect(self.place.relay_address, [router]) as link, asyncio.timeout(20):
            await first(link, bound)

    async def router_process(self, *program: str, spares: int = 0) -> asyncio.subprocess.Process:
        """A router in a process of its own, that has said it is ready. program: a Python program
        for its containers, and the models that they may ask."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.image.router_process", str(self.place.data), self.image,
            *program,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "DOCKER_HOST": self.engine.url, "SPARES": str(spares)},
        )  # fmt: skip
        assert process.stdout is not None
        said = b""
        async for line in process.stdout:
            said += line
            if line == b"router: ready\n":
                return process
        raise AssertionError(said.decode())

    def containers(self) -> list[str]:
        """Those of this installation that exist, running or not."""
        label = f"nostrclaw.installation={self.installation}"
        found = self.docker.api.containers(all=True, filters={"label": label})
        return [container["Id"] for container in found]


async def first(link: Link, wanted: Filter) -> Event:
    """The first event that matches, stored or to come."""
    async with link.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery):
                return item.event
    raise AssertionError("the subscription ended")


def about(event: Event) -> dict[str, frozenset[str]]:
    return {"e": frozenset({event.id})}


@asynccontextmanager
async def a_stage(
    engine: Engine, client: docker.DockerClient, image: str, *, owned: bool = True
) -> AsyncIterator[Stage]:
    """Start relay and signer in a folder of their own; with `owned` the owner is in roles.toml."""
    owner = SecretKey.generate(token_bytes)
    root = Path(tempfile.mkdtemp(prefix="nostrclaw-stage-"))
    place = assembly.installation(root / "data")
    settings.write(place.data, {"listen": "127.0.0.1:0"})
    chosen = settings.load(place.data)
    roles = await asyncio.to_thread(
        assembly.prepare, place, chosen, owner.public if owned else None
    )
    relay = [str(part) for part in assembly.relay_argv(place, chosen)[1:]]
    signing = [
        "-m", "signer", "run", "--data", str(place.signer), "--key", str(place.key("signer")),
        "--roles", str(place.roles_file), "--relay", f"unix:{place.signer_socket}",
    ]  # fmt: skip
    try:
        async with (
            a_program(root / "relay.log", "relay: ready", relay) as line,
            a_program(root / "signer.log", "signer: ready", signing),
            connect(line.split()[2], [owner]) as link,
        ):
            stage = Stage(place, roles, owner, link, engine, client, image)
            try:
                yield stage
            finally:
                for left in stage.containers():  # of a router that a failed test had killed
                    client.api.remove_container(left, force=True)
    finally:
        rmtree(root, ignore_errors=True)
        rmtree(place.run, ignore_errors=True)


@asynccontextmanager
async def a_program(log: Path, ready: str, arguments: list[str]) -> AsyncIterator[str]:
    """Run `python` with these arguments; yields its ready line."""
    with log.open("ab") as errors:
        running = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    try:
        assert running.stdout is not None
        line = (await asyncio.wait_for(running.stdout.readline(), 30)).decode()
        assert line.startswith(ready), log.read_text()[-3000:]
        yield line
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGTERM)
        await asyncio.wait_for(running.wait(), 20)
