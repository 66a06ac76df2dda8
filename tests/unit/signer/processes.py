"""The relay and the signer as the processes they are, in a folder of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from nips.event import Event, Template
from nips.key import SecretKey
from nips.own.grant import Grant
from nips.own.roles import Roles
from relay_local.client import Caller, Link, connect
from tests.unit.signer.house import House

START_S = 30.0


@dataclass
class Process:
    """A program of ours that has said its ready line, `said`. Its stderr grows in `log`."""

    running: asyncio.subprocess.Process
    log: Path
    said: str = ""

    async def kill(self) -> None:
        self.running.kill()
        await self.running.wait()

    async def stop(self) -> int:
        if self.running.returncode is None:
            self.running.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.running.wait(), 20)


async def start(log: Path, ready: str, *argv: str, descriptors: tuple[int, ...] = ()) -> Process:
    with log.open("ab") as errors:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *argv,
            stdout=asyncio.subprocess.PIPE, stderr=errors, pass_fds=descriptors,
        )  # fmt: skip
    assert running.stdout is not None
    line = await asyncio.wait_for(running.stdout.readline(), START_S)
    assert line.decode().startswith(ready), f"{argv[0]}: {log.read_text()[-2000:]}"
    return Process(running, log, line.decode().strip())


@dataclass
class Installation:
    """A data folder with an identity, and what runs on it."""

    folder: Path
    house: House
    bot: str = ""
    relay: Process | None = None
    signer: Process | None = None
    links: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def address(self) -> str:
        return f"unix:{self.folder / 'r.sock'}"

    @property
    def signers_address(self) -> str:
        """The relay's socket that the signer's own user reaches."""
        return f"unix:{self.folder / 'g' / 'r.sock'}"

    @property
    def url(self) -> str:
        """Where the relay answers on TCP."""
        assert self.relay is not None
        return self.relay.said.split()[2]

    @property
    def roles(self) -> Roles:
        return replace(self.house.roles, bot=self.bot)

    async def prepare(self) -> None:
        for name in ("relay", "signer"):
            path = self.folder / name
            path.write_text(getattr(self.house, name).raw.hex() + "\n")
            path.chmod(0o600)
        self.bot = await self.command("init", "--main", self.roles.main, "--name", "Bot",
                                      "--relay-url", "wss://a.example")  # fmt: skip
        (self.folder / "roles.toml").write_text(self.roles.to_toml())
        self.open_to_user_of(self.folder / "s")

    def open_to_user_of(self, data: Path) -> None:
        """Let the signer whose folder this is reach the relay."""
        own = self.folder / "g"
        own.mkdir(mode=0o700, exist_ok=True)
        os.chown(own, data.stat().st_uid, data.stat().st_gid)

    async def command(self, name: str, *options: str) -> str:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "signer", name, "--data", str(self.folder / "s"), *options,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await running.communicate()
        assert running.returncode == 0, err.decode()
        return out.decode().strip()

    async def start_relay(self) -> None:
        self.relay = await start(
            self.folder / "relay.log", "relay: ready", "relay_local",
            "--data", str(self.folder / "relay-data"), "--listen", "127.0.0.1:0",
            "--unix", str(self.folder / "r.sock"),
            "--unix", self.signers_address.removeprefix("unix:"),
            "--roles", str(self.folder / "roles.toml"),
            "--sessions", str(self.folder / "c"), "--key", str(self.folder / "relay"),
        )  # fmt: skip

    def signer_argv(self, relay: str) -> list[str]:
        """The serving signer's command."""
        return [
            sys.executable, "-m", "signer", "run", "--data", str(self.folder / "s"),
            "--key", str(self.folder / "signer"), "--roles", str(self.folder / "roles.toml"),
            "--relay", relay,
        ]  # fmt: skip

    async def start_signer(self, *options: str, descriptors: tuple[int, ...] = ()) -> None:
        argv = [*self.signer_argv(self.signers_address)[2:], *options]
        log = self.folder / "signer.log"
        self.signer = await start(log, "signer: ready", *argv, descriptors=descriptors)

    async def link(self, *keys: SecretKey) -> Link:
        return await self.links.enter_async_context(connect(self.address, keys))

    async def caller(self, key: SecretKey, *, authenticated: bool = True) -> Caller:
        return Caller(
            await self.link(*([key] if authenticated else [])), key, self.house.signer.public
        )

    async def grant(self, router: Link, grant: Grant, at: int | None = None) -> Event:
        event = self.house.granted(grant, at or int(time.time()))
        ok = await router.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    def template(self, kind: int = 9, *tags: tuple[str, ...], content: str = "hi") -> Template:
        made = self.house.template(kind, *tags, content=content, at=int(time.time()))
        return replace(made, pubkey=self.bot)

    async def close(self) -> None:
        await self.links.aclose()
        for process in (self.signer, self.relay):
            if process is not None:
                await process.stop()


@contextlib.asynccontextmanager
async def installation(folder: Path, house: House) -> AsyncIterator[Installation]:
    """A prepared installation, nothing running; what is started is stopped at the end."""
    place = Installation(folder, house)
    try:
        await place.prepare()
        yield place
    finally:
        await place.close()


def environment_and_arguments(process: Process) -> bytes:
    """What any process of the same user may read of this one."""
    folder = Path(f"/proc/{process.running.pid}")
    return (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()


def short_folder(base: Path) -> Path:
    """A path short enough for a Unix socket."""
    made = Path(os.path.realpath(base))
    assert len(os.fsencode(made)) < 80, made
    return made
