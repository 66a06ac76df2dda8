"""Shell: a whole installation in a folder of its own, with two open relays as public relays.

The demonstration, the end-to-end tests and the measurements live in it: every part is the real
process, started by the real supervisor, and everything is gone afterwards.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bot.operate import assembly
from bot.operate.assembly import Installation
from bot.operate.plan import Program
from config import settings
from nips.own.roles import Roles

START_WAIT_S = 120.0
STOP_WAIT_S = 90.0
GREETING = "house: ready"
PORTS = range(10_240, 32_000)


class HouseError(Exception):
    """The installation did not come up; the message has its last words."""


@dataclass(frozen=True, slots=True)
class House:
    """A running installation."""

    place: Installation
    roles: Roles
    public_relays: tuple[str, ...]
    listen: str
    code: str | None

    def pid(self, program: str) -> int | None:
        """The process of `relay`, `signer`, `bot`, `public-1` …, or None while it is down."""
        state = json.loads(self.place.status_file.read_text())["programs"].get(program, {})
        return state.get("pid")  # type: ignore[no-any-return]

    def log(self, program: str) -> str:
        """What the program has logged."""
        return (self.place.logs / f"{program}.log").read_text(errors="replace")


@asynccontextmanager
async def house(
    *,
    image: str,
    engine_root: Path,
    owner: str | None = None,
    folder: Path | None = None,
    prepared: Callable[[Installation], None] | None = None,
    **given: object,
) -> AsyncIterator[House]:
    """Start a whole installation and stop it afterwards.

    owner: hex, or None to have it paired by code. folder: kept afterwards; without it a
    temporary one that is removed. prepared: called before anything starts. given: settings. Raises
    HouseError when it does not start.
    """
    root = folder or Path(tempfile.mkdtemp(prefix="nostrclaw-"))
    place = assembly.installation(root / "data")
    try:
        ports = free_ports(3)
        public = tuple(f"ws://127.0.0.1:{port}" for port in ports[:2])
        listen = f"127.0.0.1:{ports[2]}"
        settings.write(place.data, given | {"listen": listen, "relays": public})
        chosen = settings.load(place.data)
        roles = await asyncio.to_thread(assembly.prepare, place, chosen, owner)
        if prepared is not None:
            await asyncio.to_thread(prepared, place)
        code = None if roles.owner else await asyncio.to_thread(assembly.pairing_code, place)
        made = assembly.plan(place, chosen, roles, image=image, engine_root=engine_root)
        relays = tuple(
            _public_relay(f"public-{number}", url, root / f"public-{number}")
            for number, url in enumerate(public, 1)
        )
        plan_file = assembly.write_plan(
            place, replace(made, programs=relays + made.programs), greeting=GREETING
        )
        async with _supervised(plan_file, place):
            yield House(place, roles, public, listen, code)
    finally:
        if folder is None:
            shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(place.run, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports of this machine's loopback that nobody listens on now.

    Below those that the system gives to outgoing connections: one of them could take a port before
    its program listens there, or while that program is started again.
    """
    found: list[int] = []
    while len(found) < count:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found = list(dict.fromkeys([*found, port]))
    return found


def _public_relay(name: str, url: str, data: Path) -> Program:
    argv = (
        sys.executable, "-m", "relay_local", "--open",
        "--data", str(data), "--listen", url.removeprefix("ws://"),
    )  # fmt: skip
    return Program(name, argv, "relay: ready")


@asynccontextmanager
async def _supervised(plan_file: Path, place: Installation) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.operate.supervisor", str(plan_file),
        cwd=assembly.SOURCE_TREE,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    said: list[str] = []

    async def until_ready() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            said.append(line.decode(errors="replace").rstrip())
            if said[-1] == GREETING:
                return
        raise HouseError("The installation did not start: " + " / ".join(said[-5:]))

    async def drain() -> None:
        assert process.stdout is not None
        async for _ in process.stdout:
            pass  # restarts are in status.json and the logs

    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(START_WAIT_S):
            await until_ready()
        reading = asyncio.create_task(drain())
        yield
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait({asyncio.create_task(process.wait())}, timeout=STOP_WAIT_S)
        if process.returncode is None:
            process.kill()
            await process.wait()
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
