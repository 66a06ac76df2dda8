"""Shell: a relay and a signer as the processes they are, on a fresh folder, for measuring."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from nips.event import Template
from nips.key import SecretKey
from nips.own import grant as own_grant
from nips.own.grant import Grant, Rate, Rule
from nips.own.roles import Roles
from relay_local.client import Caller, Link, connect
from signer import ceiling_file
from signer.ceiling import Caps

START_WAIT_S = 60.0
DEADLINE_S = 60.0
NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Place:
    """An installation of two processes. `links`: what the measuring side has opened to it."""

    folder: Path
    roles: Roles
    keys: dict[str, SecretKey]
    router: Link
    links: contextlib.AsyncExitStack
    relay_pid: int
    signer_pid: int

    async def group(self, group: str) -> None:
        """Make a group in which the bot speaks."""
        for kind, tags in ((9_007, ()), (9_000, (("p", self.roles.bot, "member"),))):
            await self._publish(
                Template(self.roles.router, int(time.time()), kind, (("h", group), *tags), "")
            )

    async def session(self, group: str) -> Caller:
        """A container's side: a key, its grant, its own socket."""
        key, now = SecretKey.generate(secrets.token_bytes), int(time.time())
        rule = Rule(9, required=(("h", group),), rate=Rate(NO_LIMIT, NO_LIMIT), daily=NO_LIMIT)
        await self._grant(
            Grant(
                key.public, "session", ("sign_event",), (rule,), now, now + 180, now + 900,
                NO_LIMIT, group, secrets.token_hex(32),
            )
        )  # fmt: skip
        return await self._caller(f"unix:{self.folder}/c/{key.public[:16]}/relay.sock", key)

    async def bridge(self) -> Caller:
        """The bridge's side."""
        key, now = self.keys["bridge"], int(time.time())
        await self._grant(
            Grant(key.public, "bridge", ("unwrap",), (), now, now + 3_600, now + 3_600, NO_LIMIT)
        )
        return await self._caller(f"unix:{self.folder}/r.sock", key)

    async def _caller(self, address: str, key: SecretKey) -> Caller:
        link = await self.links.enter_async_context(connect(address, [key]))
        await link.connected()
        return Caller(link, key, self.roles.signer)

    async def _grant(self, grant: Grant) -> None:
        await self._publish(own_grant.template(grant, self.roles.router, int(time.time())))

    async def _publish(self, template: Template) -> None:
        event = template.sign(self.keys["router"], secrets.token_bytes(32))
        ok = await self.router.publish(event, deadline_s=DEADLINE_S)
        if not ok.accepted:
            raise RuntimeError(f"the relay refused kind {event.kind}: {ok.message}")


@contextlib.asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """Prepare and start both; they are ended with the block. Raises RuntimeError."""
    async with contextlib.AsyncExitStack() as stack:
        made = stack.enter_context(tempfile.TemporaryDirectory(prefix="signer-bench-"))
        folder = Path(made)
        names = ("relay", "signer", "router", "bridge", "owner")
        keys = {name: SecretKey.generate(secrets.token_bytes) for name in names}
        for name in ("relay", "signer"):
            (folder / name).write_text(keys[name].raw.hex() + "\n")
            (folder / name).chmod(0o600)
        bot = await _run("signer", "init", "--data", str(folder / "s"))
        limits = ceiling_file.load(folder / "s")
        # The caps are for agents; what is measured is how fast the machine is.
        ceiling_file.store(
            folder / "s", replace(limits, caps=Caps(NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT))
        )
        roles = Roles(
            relay=keys["relay"].public,
            signer=keys["signer"].public,
            router=keys["router"].public,
            bot=bot,
            main="6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
            owner=keys["owner"].public,
            bridges={"nostr": keys["bridge"].public},
        )
        (folder / "roles.toml").write_text(roles.to_toml())
        address, signers = f"unix:{folder}/r.sock", folder / "g" / "r.sock"
        signers.parent.mkdir(mode=0o700)
        # Started as root the signer becomes the user to whom `init` has given its folder.
        own = (folder / "s").stat()
        os.chown(signers.parent, own.st_uid, own.st_gid)
        trusted = ("--roles", str(folder / "roles.toml"))
        relay_pid = await stack.enter_async_context(
            process(
                "relay: ready", "relay_local", "--data", str(folder / "relay-data"),
                "--listen", "127.0.0.1:0", "--unix", str(folder / "r.sock"),
                "--unix", str(signers),
                "--sessions", str(folder / "c"), "--key", str(folder / "relay"), *trusted,
            )
        )  # fmt: skip
        signer_pid = await stack.enter_async_context(
            process(
                "signer: ready", "signer", "run", "--data", str(folder / "s"),
                "--key", str(folder / "signer"), "--relay", f"unix:{signers}", *trusted,
            )
        )  # fmt: skip
        links = await stack.enter_async_context(contextlib.AsyncExitStack())
        router = await links.enter_async_context(connect(address, [keys["router"]]))
        yield Place(folder, roles, keys, router, links, relay_pid, signer_pid)


async def _run(*argv: str) -> str:
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *argv,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await running.communicate()
    if running.returncode != 0:
        raise RuntimeError(f"{' '.join(argv[:2])} ended with {running.returncode}")
    return out.decode().strip()


@contextlib.asynccontextmanager
async def process(ready: str, *argv: str) -> AsyncIterator[int]:
    """A program of ours, `python -m argv`, that has said it is ready; yields its process id and
    ends it with the block. Raises RuntimeError."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *argv,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert running.stdout is not None
    try:
        async with asyncio.timeout(START_WAIT_S):
            line = await running.stdout.readline()
        if not line.decode().startswith(ready):
            raise RuntimeError(f"{argv[0]} did not start: {line!r}")
        yield running.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START_WAIT_S):
            await running.wait()
