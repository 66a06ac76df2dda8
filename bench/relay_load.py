"""Shell: `python -m bench.relay_load`: one load on one relay, in a process of its own.

Figures go to stdout as one JSON object, name to number. Latencies are from the write of a frame
to the reading of its answer, both here.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.pss import pss_mib
from bench.relay_events import ARTICLE, COMMENT, Cast, cast
from bench.wire import Wire, dial, masked
from nips import nip42
from nips.event import Event

CONNECTIONS = 8
WINDOW = 512  # unanswered events of one connection
WRITTEN_AT_ONCE = 16
SUBSCRIBERS = 50
FAN_OUT_PER_S = 200
MEMORY_AFTER = 40_000
MOST_AT_ONCE = 5_000  # of one connection: nostr-sdk's LocalRelay ends it after 6,000 messages
ANSWER_WAIT_S = 180.0
GREETING_WAIT_S = 0.3  # how long a relay has for its challenge


@dataclass(frozen=True, slots=True)
class Load:
    """The frames to send, ready made."""

    set_up: list[bytes]
    stored: list[bytes]
    single: list[bytes]
    live: list[bytes]
    replacing: list[bytes]
    wrong: list[bytes]
    ids: list[str]


def read_load(folder: Path) -> Load:
    """What `bench.relay` wrote: a file of messages a line for each part."""

    def lines(name: str) -> list[bytes]:
        return (folder / name).read_bytes().splitlines()

    stored = lines("stored")
    # LocalRelay keeps the newest 75,000 by their own time: of 100,000 these are among them.
    made = sorted((orjson.loads(line)[1] for line in stored), key=lambda one: -one["created_at"])
    kept = made[: len(made) * 4 // 10]
    ids = [one["id"] for one in kept[:: max(1, len(kept) // 2_000)]]

    def frames(name: str) -> list[bytes]:
        return [masked(line) for line in lines(name)]

    return Load(
        frames("set_up"),
        [masked(line) for line in stored],
        frames("single"),
        frames("live"),
        frames("replacing"),
        frames("wrong"),
        ids,
    )


class Client:
    """A connection that knows the protocol: greets, authenticates, counts answers."""

    wire: Wire
    _watching: asyncio.Task[None]

    def __init__(self) -> None:
        self.accepted = self.refused = 0
        self._wanted = 0
        self._done = asyncio.Event()
        self._greeted = asyncio.Event()
        self._challenge = ""
        self._events: list[bytes] = []
        self.last_refusal = b""

    @classmethod
    async def to(cls, url: str) -> Client:
        """Connect. Raises OSError."""
        client = cls()
        client.wire = await dial(url, client._heard)
        client._watching = asyncio.create_task(client._watch())
        return client

    async def _watch(self) -> None:
        """Wake who waits when the connection is over."""
        await self.wire.lost.wait()
        self._done.set()

    def _heard(self, message: bytes) -> None:
        if message.startswith(b'["OK"'):
            # A JSON writer may put a space after each comma; ids hold no "true".
            if b"true" in message[72:80]:
                self.accepted += 1
            else:
                self.refused += 1
                self.last_refusal = message
            if 0 < self._wanted <= self.accepted + self.refused:
                self._wanted = 0
                self._done.set()
        elif message.startswith(b'["EVENT"'):
            self._events.append(message)
        elif message.startswith((b'["EOSE"', b'["CLOSED"')):
            self._done.set()
        elif message.startswith(b'["AUTH"'):
            self._challenge = orjson.loads(message)[1]
            self._greeted.set()

    async def _answered(self) -> None:
        if not self.wire.lost.is_set():
            async with asyncio.timeout(ANSWER_WAIT_S):
                await self._done.wait()
        if self.wire.lost.is_set():
            raise ConnectionError("the relay ended the connection")

    async def publish(self, frames: Sequence[bytes]) -> None:
        """Send them, at most WINDOW unanswered, and wait for every OK."""
        before = self.accepted + self.refused
        for start in range(0, len(frames), WRITTEN_AT_ONCE):
            some = frames[start : start + WRITTEN_AT_ONCE]
            await self.until(before + start + len(some) - WINDOW)
            self.wire.write(b"".join(some))
        await self.until(before + len(frames))

    async def until(self, answers: int) -> None:
        """Wait until so many OKs have come, of one sort or the other."""
        while self.accepted + self.refused < answers:
            self._done.clear()
            self._wanted = answers
            await self._answered()

    async def publish_one(self, frame: bytes) -> float:
        """Send one; returns the seconds to its OK."""
        self._done.clear()
        self._wanted = self.accepted + self.refused + 1
        began = time.perf_counter()
        self.wire.write(frame)
        await self._done.wait()
        return time.perf_counter() - began

    async def query(self, frame: bytes) -> tuple[float, list[bytes]]:
        """Send a REQ; returns the seconds to its EOSE, and the events."""
        self._events = []
        self._done.clear()
        began = time.perf_counter()
        self.wire.write(frame)
        await self._answered()
        return time.perf_counter() - began, self._events

    async def authenticate(self, people: Cast, url: str) -> None:
        """Answer the challenge for every key; nothing to do where none comes."""
        try:
            async with asyncio.timeout(GREETING_WAIT_S):
                await self._greeted.wait()
        except TimeoutError:
            return
        now_s = int(time.time())
        frames = [
            masked(b'["AUTH",' + orjson.dumps(answer.to_json()) + b"]")
            for key in (people.owner, *people.authors)
            for answer in [
                nip42.auth_template(key.public, self._challenge, url, now_s).sign(key, bytes(32))
            ]
        ]
        await self.publish(frames)
        self.accepted = self.refused = 0


async def clients(url: str, people: Cast, n: int) -> list[Client]:
    """That many connections, greeted."""
    made = [await Client.to(url) for _ in range(n)]
    await asyncio.gather(*(one.authenticate(people, url) for one in made))
    return made


async def rate(
    url: str, people: Cast, frames: list[bytes], connections: int, *, accepted: bool = True
) -> float:
    """Answers a second over new connections. Raises RuntimeError for a wrong answer."""
    made = await clients(url, people, connections)
    shares = [frames[i::connections] for i in range(connections)]
    began = time.perf_counter()
    await asyncio.gather(*(one.publish(share) for one, share in zip(made, shares, strict=True)))
    took_s = time.perf_counter() - began
    right = sum(one.accepted if accepted else one.refused for one in made)
    if right != len(frames):
        words = next((one.last_refusal for one in made if one.last_refusal), b"")
        raise RuntimeError(f"{right} right answers of {len(frames)}: {words[:200]!r}")
    for one in made:
        one.wire.close()
    return len(frames) / took_s


def percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds, by nearest rank."""
    ordered = sorted(seconds)
    at = {"p50": len(ordered) // 2, "p99": -(-99 * len(ordered) // 100) - 1}
    return {f"{name} {which}": ordered[rank] * 1000 for which, rank in at.items()}


async def fan_out(url: str, people: Cast, publisher: Client, frames: list[bytes]) -> list[float]:
    """Seconds from a live event's write to its arrival at each of the subscribers."""
    listeners = await clients(url, people, SUBSCRIBERS)
    req = masked(orjson.dumps(["REQ", "live", {"kinds": [COMMENT], "#h": [people.group]}]))
    await asyncio.gather(*(one.query(req) for one in listeners))
    sent: list[float] = []
    took: list[float] = []
    wanted = len(frames) * SUBSCRIBERS
    everybody = asyncio.Event()

    def listen(wire: Wire) -> None:
        seen = 0

        def heard(message: bytes) -> None:
            nonlocal seen
            if message.startswith(b'["EVENT"'):  # in the order sent: one publisher
                took.append(time.perf_counter() - sent[seen])
                seen += 1
                if len(took) == wanted:
                    everybody.set()

        wire.heard = heard

    for one in listeners:
        listen(one.wire)
    loop = asyncio.get_running_loop()
    began, before = loop.time(), publisher.accepted + publisher.refused
    for number, frame in enumerate(frames):
        await asyncio.sleep(max(0.0, began + number / FAN_OUT_PER_S - loop.time()))
        sent.append(time.perf_counter())
        publisher.wire.write(frame)
    async with asyncio.timeout(ANSWER_WAIT_S):
        await everybody.wait()
        await publisher.until(before + len(frames))
    for one in listeners:
        one.wire.close()
    return took


async def queries(client: Client, people: Cast, ids: list[str], n: int) -> dict[str, float]:
    """The three questions over what is stored."""
    source = random.Random(5)
    asked: dict[str, tuple[int, list[dict[str, object]]]] = {
        "author+kind, limit 100": (
            100,
            [
                {"authors": [source.choice(people.authors).public], "kinds": [9], "limit": 100}
                for _ in range(n)
            ],
        ),
        "#p, limit 50": (50, [{"#p": [source.choice(people.told)], "limit": 50} for _ in range(n)]),
        "ten ids": (10, [{"ids": source.sample(ids, 10)} for _ in range(n)]),
    }
    out: dict[str, float] = {}
    for name, (most, filters) in asked.items():
        took = []
        for one in filters:
            seconds, events = await client.query(masked(orjson.dumps(["REQ", "q", one])))
            if len(events) != most:
                raise RuntimeError(f"{name}: {len(events)} events instead of {most}")
            took.append(seconds)
        out |= percentiles(name, took)
    return out


async def right_versions(client: Client, people: Cast, newest: dict[str, str]) -> int:
    """Of how many addresses exactly the newest version is stored."""
    question = {"authors": [people.owner.public], "kinds": [ARTICLE], "limit": 500}
    _, messages = await client.query(masked(orjson.dumps(["REQ", "r", question])))
    found = [Event.from_json(orjson.loads(message)[2]) for message in messages]
    versions: dict[str, list[str]] = {}
    for event in found:
        versions.setdefault(event.tag("d") or "", []).append(event.id)
    return sum(versions.get(address) == [latest] for address, latest in newest.items())


async def run(url: str, folder: Path, seed: int, pid: int | None, n: int) -> dict[str, float]:
    """Everything in order on a fresh relay. `n`: questions of each sort."""
    people, load = cast(seed), read_load(folder)
    out: dict[str, float] = {}
    (one,) = await clients(url, people, 1)
    await one.publish(load.set_up)
    first, rest = load.stored[:MEMORY_AFTER], load.stored[MEMORY_AFTER:]
    out["ingest, 8 connections"] = await rate(url, people, first, CONNECTIONS)
    if pid is not None:
        out["memory after 40,000"] = pss_mib(pid)
    out["ingest, 1 connection"] = await rate(url, people, rest[:MOST_AT_ONCE], 1)
    for start in range(MOST_AT_ONCE, len(rest), MEMORY_AFTER):
        await rate(url, people, rest[start : start + MEMORY_AFTER], CONNECTIONS)
    out |= percentiles("one in flight", [await one.publish_one(frame) for frame in load.single])
    out |= percentiles("fan-out 200/s to 50", await fan_out(url, people, one, load.live))
    out |= await queries(one, people, load.ids, n)
    out["replacements"] = await rate(url, people, load.replacing, 1)
    newest = orjson.loads((folder / "newest").read_bytes())
    out["replacements that are right"] = await right_versions(one, people, newest)
    out["bad signatures refused"] = await rate(url, people, load.wrong, CONNECTIONS, accepted=False)
    one.wire.close()
    return out


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay_load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--pid", type=int)
    parser.add_argument("--queries", type=int, default=300)
    options = parser.parse_args()
    found = asyncio.run(
        run(options.url, options.folder, options.seed, options.pid, options.queries)
    )
    sys.stdout.write(orjson.dumps(found).decode() + "\n")


if __name__ == "__main__":
    main()
