"""Shell: `python -m tests.fault_proxy UPSTREAM [--seed N] [--port N]`: the proxy's process.

It says `fault-proxy: ready ws://…`, then answers each line of its stdin, one JSON object, with one:

    {"fault": "slow", "after_ms": 300}    {"fault": "slow"}
    {"stats": true}                       {"connections": 3, "open": 1, "up": {"REQ": 4}, "down": …}

up: the frames that the client sent; down: those that it was sent. It ends with its stdin.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.fault_proxy.faults import FAULTS, Fault, Frame, Sent
from tests.fault_proxy.gate import Entrance

MAX_FRAME_BYTES = 1 << 24


class Proxy:
    """Every connection, and the fault of now."""

    def __init__(self, upstream: str, seed: int) -> None:
        self._upstream, self._seed = upstream, seed
        self.fault: Fault = FAULTS["pass"](dice=random.Random(seed))
        self.connections = 0
        self.up, self.down = Counter[str](), Counter[str]()
        self._open: set[Session] = set()

    async def handle(self, client: ServerConnection) -> None:
        """Carry one connection until either side ends it."""
        self.connections += 1
        with suppress(OSError, ConnectionClosed):
            async with connect(
                self._upstream, compression=None, ping_interval=None, max_size=MAX_FRAME_BYTES
            ) as relay:
                session = Session(self, client, relay)
                self._open.add(session)
                try:
                    await session.carry()
                finally:
                    self._open.discard(session)

    def begin(self, name: str, **options: Any) -> None:
        """Have another fault from now on. Raises KeyError or TypeError for what there is not."""
        self.fault = FAULTS[name](dice=random.Random(f"{self._seed}/{name}"), **options)
        for session in self._open:
            session.begins()

    def stats(self) -> dict[str, Any]:
        """What has been carried since the start."""
        return {
            "connections": self.connections, "open": len(self._open),
            "up": dict(self.up), "down": dict(self.down),
        }  # fmt: skip


class Session:
    """One client's connection, with one of its own to the relay."""

    def __init__(self, proxy: Proxy, client: ServerConnection, relay: ClientConnection) -> None:
        self._proxy, self._client, self._relay = proxy, client, relay
        self._subscriptions: dict[str, dict[str, Any]] = {}
        self._to_client, self._to_relay = Line(client, proxy.down), Line(relay)

    async def carry(self) -> None:
        """Both ways, until one of them ends."""
        self.begins()
        ways = (
            self._read_client(),
            self._read_relay(),
            self._to_client.run(),
            self._to_relay.run(),
        )
        tasks = {asyncio.create_task(way) for way in ways}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def begins(self) -> None:
        """The fault of now begins here."""
        self._put(self._proxy.fault.begins(self._subscriptions))

    async def _read_client(self) -> None:
        async for data in self._client:
            frame = _frame(data)
            self._proxy.up[frame.verb] += 1
            match frame.said:
                case ["REQ", str(name), dict(wanted), *_]:
                    self._subscriptions[name] = wanted
                case ["CLOSE", str(name)]:
                    self._subscriptions.pop(name, None)
            self._put(self._proxy.fault.up(frame))

    async def _read_relay(self) -> None:
        async for data in self._relay:
            frame = _frame(data)
            match frame.said:
                case ["CLOSED", str(name), *_]:
                    self._subscriptions.pop(name, None)
            self._put(self._proxy.fault.down(frame, self._subscriptions))

    def _put(self, frames: list[Sent]) -> None:
        for sent in frames:
            (self._to_relay if sent.to_relay else self._to_client).put(sent)


class Line:
    """Frames on their way to one end, each sent when it is due."""

    def __init__(
        self, end: ClientConnection | ServerConnection, sent: Counter[str] | None = None
    ) -> None:
        self._end, self._sent = end, sent
        self._due: list[tuple[float, int, str | bytes]] = []
        self._last_s = 0.0
        self._numbers = count()
        self._news = asyncio.Event()

    def put(self, sent: Sent) -> None:
        """Have it sent in its time."""
        due_s = asyncio.get_running_loop().time() + sent.after_s
        if sent.in_line:
            due_s = max(due_s, self._last_s) + sent.takes_s
        self._last_s = max(self._last_s, due_s)
        heappush(self._due, (due_s, next(self._numbers), sent.data))
        self._news.set()

    async def run(self) -> None:
        """Send until the connection ends."""
        while True:
            now_s = asyncio.get_running_loop().time()
            while self._due and self._due[0][0] <= now_s:
                data = heappop(self._due)[2]
                if self._sent is not None:
                    self._sent[_frame(data).verb] += 1
                await self._end.send(data)
            wait_s = self._due[0][0] - now_s if self._due else None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait_s)
            self._news.clear()


def _frame(data: str | bytes) -> Frame:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        said = None
    return Frame(data, said if isinstance(said, list) else [])


async def main(upstream: str, seed: int, port: int) -> None:
    """Serve until stdin ends."""
    proxy = Proxy(upstream, seed)
    # Neither side is pinged by us: whether a relay lives is the bridge's to find out.
    async with serve(
        proxy.handle, "127.0.0.1", 0,
        compression=None, ping_interval=None, max_size=MAX_FRAME_BYTES, close_timeout=1,
    ) as server:  # fmt: skip
        entrance = Entrance(server.sockets[0].getsockname()[1], port)
        await entrance.set(proxy.fault.gate)
        _say(f"fault-proxy: ready ws://127.0.0.1:{entrance.port}")
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        while line := await lines.readline():
            _say(json.dumps(await _answer(proxy, entrance, json.loads(line))))


async def _answer(proxy: Proxy, entrance: Entrance, asked: dict[str, Any]) -> dict[str, Any]:
    if "stats" in asked:
        return proxy.stats()
    try:
        name = asked.pop("fault")
        proxy.begin(name, **asked)
    except (KeyError, TypeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    await entrance.set(proxy.fault.gate)
    return {"fault": name}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fault_proxy", description=__doc__)
    parser.add_argument("upstream", help="the relay's address")
    parser.add_argument("--seed", type=int, default=0, help="of the faults that roll dice")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    given = parser.parse_args()
    asyncio.run(main(given.upstream, given.seed, given.port))
