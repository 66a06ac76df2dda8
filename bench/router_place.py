"""Shell: relay, signer and router as the processes they are, on a fresh folder, for measuring, and
the owner's own client."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from bench.router_process import READY
from bench.signer_place import process
from bot.author import Author
from bot.operate import assembly
from config import settings
from config.roles import read_key
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.roles import Roles
from relay_local.client import Delivery, Link, connect
from signer import ceiling_file
from signer.ceiling import Caps

NO_LIMIT = 1_000_000
DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """A running installation without bridges. client: authenticated with `owner`, their key.
    data: its data folder. router_pid: the router's process."""

    roles: Roles
    owner: SecretKey
    client: Link
    data: Path
    router_pid: int

    async def group(self, number: int) -> str:
        """A conversation of the owner's: made as any NIP-29 client makes one. Returns its id when
        the router has registered it."""
        group = str(uuid4())
        bound = Filter(
            authors=frozenset({self.roles.router}),
            kinds=frozenset({int(Kind.APP_DATA)}),
            tags={"d": frozenset({f"group/{group}"})},
        )
        await self.put(Kind.CREATE_GROUP, ("h", group), ("name", f"group {number}"))
        async with asyncio.timeout(DEADLINE_S), self.client.subscribe([bound]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    return group
        raise RuntimeError("the subscription ended")

    def message(self, group: str, text: str) -> Event:
        """A message of the owner's that names the assistant, which triggers in any group."""
        tags = (("h", group), ("p", self.roles.bot), ("nonce", secrets.token_hex(4)))
        return self.event(Kind.CHAT, tags, text)

    async def put(self, kind: Kind, *tags: Tag) -> None:
        """Publish an event of the owner's. Raises RuntimeError when the relay refuses it."""
        await self.publish(self.event(kind, tags, ""))

    async def publish(self, event: Event) -> None:
        """Publish; the relay has stored it when this returns. Raises RuntimeError."""
        ok = await self.client.publish(event, deadline_s=DEADLINE_S)
        if not ok.accepted:
            raise RuntimeError(f"the relay refused kind {event.kind}: {ok.message}")

    def event(self, kind: Kind, tags: tuple[Tag, ...], text: str) -> Event:
        """An event of the owner's."""
        template = Template(self.owner.public, int(time.time()), kind, tags, text)
        return template.sign(self.owner, secrets.token_bytes(32))


@asynccontextmanager
async def place(
    image: str,
    places: int,
    spares: int = 0,
    program: str = "",
    prepared: Callable[[Author, Roles], Awaitable[None]] | None = None,
) -> AsyncIterator[Place]:
    """Prepare and start all; they are ended with the block. DOCKER_HOST says which engine runs the
    containers; spares, program: as `bench.router_process` takes them. prepared: is called with the
    router's pen before there is a router. Raises RuntimeError."""
    owner = SecretKey.generate(secrets.token_bytes)
    root = Path(tempfile.mkdtemp(prefix="router-bench-"))
    there = assembly.installation(root / "data")
    settings.write(there.data, {"listen": "127.0.0.1:0"})
    chosen = settings.load(there.data)
    roles = await asyncio.to_thread(assembly.prepare, there, chosen, owner.public)
    limits = ceiling_file.load(there.signer)
    # The caps are for agents; what is measured is how fast the machine is.
    caps = Caps(NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT)
    ceiling_file.store(there.signer, replace(limits, caps=caps))
    try:
        async with AsyncExitStack() as stack:
            relay = [str(part) for part in assembly.relay_argv(there, chosen)[2:]]
            await stack.enter_async_context(process("relay: ready", *relay))
            await stack.enter_async_context(
                process(
                    "signer: ready", "signer", "run", "--data", str(there.signer),
                    "--key", str(there.key("signer")), "--roles", str(there.roles_file),
                    "--relay", f"unix:{there.signer_socket}",
                )
            )  # fmt: skip
            argv = (
                "bench.router_process", str(there.data), image, str(places), str(spares), program
            )  # fmt: skip
            if prepared is not None:
                key = read_key(there.key("router"))
                async with connect(there.relay_address, [key]) as link:
                    await prepared(Author(link, key), roles)
            pid = await stack.enter_async_context(process(READY, *argv))
            client = await stack.enter_async_context(connect(there.relay_address, [owner]))
            yield Place(roles, owner, client, there.data, pid)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(there.run, ignore_errors=True)
