"""Relays of other people's making, good and bad, and the listening part as a process beside them.

A relay here is a script of a few lines on a real socket: what it does wrong is the test.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from bot.operate.assembly import SOURCE_TREE
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey

BOT = SecretKey(bytes([9]) * 32).public  # by whose key the listening part logs in
PROCESS = Path(__file__).with_name("arrivals_process.py")
DAY_S = 86_400


def wrap(age_s: int = 0, to: str = BOT, kind: int = 1059, content: str = "x") -> Event:
    key = SecretKey.generate(token_bytes)
    template = Template(key.public, int(time.time()) - age_s, kind, (("p", to),), content)
    return template.sign(key, token_bytes(32))


@dataclass(slots=True)
class ForeignRelay:
    """Stored events, newest first and `cap` at most for each REQ, and the REQs it got.

    closes: what it says to every REQ instead of an answer. new: what comes, under all
    subscriptions, while it answers the first page. takes: whether it says OK to events, and echoes:
    whether it passes them on to the subscriptions of their author.
    """

    events: list[Event] = field(default_factory=list)
    cap: int = 500
    ignores_until: bool = False
    deaf: bool = False
    closes: str | None = None
    new: list[Event] = field(default_factory=list)
    takes: bool = False
    echoes: bool = True
    requests: list[dict[str, Any]] = field(default_factory=list)
    pages_closed: int = 0
    logins: int = 0
    login_answer: tuple[bool, str] = (True, "")
    echoed: int = 0
    connections: list[ServerConnection] = field(default_factory=list)
    url: str = ""

    async def handle(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        open_: dict[str, dict[str, Any]] = {}
        async for data in connection:
            match json.loads(data):
                case ["REQ", name, _] if self.closes is not None:
                    await connection.send(json.dumps(["CLOSED", name, self.closes]))
                case ["REQ", name, filter_] if not self.deaf:
                    self.requests.append(filter_)
                    open_[name] = filter_
                    for event in self.found(dict(filter_)):
                        await connection.send(json.dumps(["EVENT", name, event.to_json()]))
                    if str(name).startswith("page-"):
                        new, self.new = self.new, []
                        for event in new:
                            for each in (name, "live-1"):
                                await connection.send(json.dumps(["EVENT", each, event.to_json()]))
                    await connection.send(json.dumps(["EOSE", name]))
                case ["CLOSE", str(name)]:
                    open_.pop(name, None)
                    self.pages_closed += name.startswith("page-")
                case ["AUTH", {"id": event_id}]:
                    self.logins += 1
                    await connection.send(json.dumps(["OK", event_id, *self.login_answer]))
                case ["EVENT", {"id": event_id, "pubkey": author} as event] if self.takes:
                    await connection.send(json.dumps(["OK", event_id, True, ""]))
                    for name, wanted in open_.items():
                        if self.echoes and author in wanted.get("authors", ()):
                            self.echoed += 1
                            await connection.send(json.dumps(["EVENT", name, event]))
                case _:
                    pass

    def found(self, wanted: dict[str, Any]) -> list[Event]:
        limit = min(wanted.pop("limit", self.cap), self.cap)
        if self.ignores_until:
            wanted.pop("until", None)
        asked = Filter.from_json(wanted)
        matching = [event for event in self.events if asked.matches(event)]
        return sorted(matching, key=lambda event: (-event.created_at, event.id))[:limit]

    async def asked(self) -> None:
        """Wait for the first REQ."""
        async with asyncio.timeout(20):
            while not self.requests:
                await asyncio.sleep(0.01)

    async def send_live(self, event: Event) -> None:
        """Send an event under the live subscription, which is the first that was asked for."""
        for connection in self.connections:
            await connection.send(json.dumps(["EVENT", "live-1", event.to_json()]))


@asynccontextmanager
async def running(relay: ForeignRelay) -> AsyncIterator[ForeignRelay]:
    async with serve(relay.handle, "127.0.0.1", 0) as server:
        relay.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield relay


@dataclass(slots=True)
class Listener:
    """What the listening part says. Called: the next id that it took in. log: its lines."""

    ids: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    health: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    change: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self) -> str:
        return await asyncio.wait_for(self.ids.get(), 30)

    async def all_of(self, count: int) -> list[str]:
        return [await self() for _ in range(count)]

    async def state(self, url: str, *states: str, timeout_s: float = 30) -> dict[str, Any]:
        """Wait until a relay is in one of these states; its whole health."""
        async with asyncio.timeout(timeout_s), self.change:
            while self.health.get(url, {}).get("state") not in states:
                await self.change.wait()
            return self.health[url]

    async def logged(self, words: str, timeout_s: float = 30) -> str:
        """Wait for a line of its log."""
        async with asyncio.timeout(timeout_s), self.change:
            while not (found := [line for line in self.log if words in line]):
                await self.change.wait()
            return found[0]

    async def read_log(self, stderr: asyncio.StreamReader) -> None:
        async for data in stderr:
            async with self.change:
                self.log.append(data.decode(errors="replace").strip())
                self.change.notify_all()

    async def read(self, stdout: asyncio.StreamReader) -> None:
        async for data in stdout:
            line = data.decode().strip()
            if not line.startswith("{"):
                self.ids.put_nowait(line)
                continue
            async with self.change:
                self.health = json.loads(line)
                self.change.notify_all()


@asynccontextmanager
async def listening(
    *urls: str, probe_s: float = 5, healthy: str = "-", queued_bytes: str = "", watch: str = ""
) -> AsyncIterator[Listener]:
    """Run the listening part beside these relays."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROCESS), BOT, str(probe_s), healthy, *urls,
        cwd=SOURCE_TREE,
        env={
            "PYTHONPATH": str(SOURCE_TREE), "PATH": "/usr/bin:/bin", "QUEUED_BYTES": queued_bytes,
            "WATCH": watch,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    listener = Listener()
    reading = [
        asyncio.create_task(listener.read(process.stdout)),
        asyncio.create_task(listener.read_log(process.stderr)),
    ]
    try:
        yield listener
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await asyncio.gather(*reading)
        sys.stderr.write("\n".join(listener.log) + "\n")
