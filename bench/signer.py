"""Shell: the signer at work: a real relay, a real signer, and their callers in this process.

A figure is the time from a caller's call to its answer: request sealed, over the relay, opened,
judged, in the ledger and on the disk, signed, on the relay and on its disk, answered the same way.
Beside them stand the disk's own fsync, of which a signature takes two, and a peer that has no
separate signer at all: nostr-sdk signs in the caller's process for its LocalRelay in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from uuid import uuid4

import orjson
from rich.table import Table

from bench.cpu import each_cpu_s
from bench.figures import Figures, summarise
from bench.pss import pss_mib
from bench.signer_place import Place, place
from bot.operate.person import person
from nips import nip59
from nips.event import Event, Template
from nips.key import SecretKey
from relay_local.client import Caller

GROUPS, SESSIONS_OF_EACH = 6, 4
PER_S = 200
WARM_UP = 50
BACKLOG = 1_000
FSYNCS = 300
DEADLINE_S = 60.0

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure, and what its p50 and p99 are to reach."""

    figures: Figures
    reach_p50: float | None = None
    reach_p99: float | None = None

    def to_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self)


def run(n: int, announce: Callable[[str], None]) -> list[Measured]:
    """Measure `n` of each after warming up. Raises RuntimeError where a process does not start."""
    return asyncio.run(_run(n, announce))


async def _run(n: int, announce: Callable[[str], None]) -> list[Measured]:
    announce(f"this machine's load: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    announce(f"{FSYNCS} writes of 4 KiB, each on the disk before the next")
    disk = fsync_ms(FSYNCS)
    async with place() as there:
        sessions = await _sessions(there)
        announce(f"{n:,} sign_event at {PER_S}/s from {len(sessions)} sessions")
        names = cycle(sessions)
        pids = {"caller": os.getpid(), "relay": there.relay_pid, "signer": there.signer_pid}
        before = each_cpu_s(pids)
        signed = await at_a_rate([_sign(there, *next(names)) for _ in range(n + WARM_UP)])
        after = each_cpu_s(pids)
        spent = {name: (after[name] - before[name]) / (n + WARM_UP) * 1_000 for name in pids}
        bridge = await there.bridge()
        wraps = [gift(there, str(number)) for number in range(n + WARM_UP)]
        announce(f"{n:,} unwrap at {PER_S}/s from the bridge")
        opened = await at_a_rate([_unwrap(bridge, wrap) for wrap in wraps])
        backlog = [_unwrap(bridge, gift(there, f"waiting {n}")) for n in range(BACKLOG)]
        announce(f"{BACKLOG:,} unwrap at once")
        began = time.perf_counter()
        await asyncio.gather(*(call() for call in backlog))
        backlog_s = time.perf_counter() - began
        memory = pss_mib(there.signer_pid)
    announce("the peer: nostr-sdk signs for its LocalRelay")
    peer = await peer_ms(n)
    return [
        Measured(summarise(f"sign_event at {PER_S}/s", "ms", signed), 4, 15),
        Measured(summarise(f"unwrap at {PER_S}/s", "ms", opened), 4, 15),
        Measured(summarise(f"a backlog of {BACKLOG:,} wraps unwrapped", "s", [backlog_s]), 10),
        *(
            Measured(summarise(f"CPU of the {name} for one sign_event", "ms", [ms]))
            for name, ms in spent.items()
        ),
        Measured(summarise("the disk: 4 KiB and fsync", "ms", disk)),
        Measured(summarise("peer: signed by the caller, relay in memory", "ms", peer)),
        Measured(summarise("memory of the signer (Pss) after all this", "MiB", [memory])),
    ]


async def at_a_rate(calls: Sequence[Call]) -> list[float]:
    """Begin PER_S a second whatever is still unanswered; milliseconds of all but the first."""
    loop = asyncio.get_running_loop()

    async def one(call: Call) -> float:
        began = time.perf_counter()
        await call()
        return (time.perf_counter() - began) * 1_000

    began = loop.time()
    tasks = []
    for number, call in enumerate(calls):
        await asyncio.sleep(max(0.0, began + number / PER_S - loop.time()))
        tasks.append(asyncio.create_task(one(call)))
    return (await asyncio.gather(*tasks))[WARM_UP:]


async def _sessions(there: Place) -> list[tuple[str, Caller]]:
    groups = [str(uuid4()) for _ in range(GROUPS)]
    for group in groups:
        await there.group(group)
    return [
        (group, await there.session(group)) for _ in range(SESSIONS_OF_EACH) for group in groups
    ]


def _sign(there: Place, group: str, caller: Caller) -> Call:
    async def call() -> None:
        now = int(time.time())
        template = Template(there.roles.bot, now, 9, (("h", group),), secrets.token_hex(60))
        value = template.to_json()
        del value["id"], value["pubkey"]
        answer = await caller.call(
            "sign_event", orjson.dumps(value).decode(), deadline_s=DEADLINE_S
        )
        if orjson.loads(answer)["content"] != template.content:
            raise RuntimeError("something else was signed")

    return call


def _unwrap(bridge: Caller, wrap: Event) -> Call:
    text = orjson.dumps(wrap.to_json()).decode()

    async def call() -> None:
        answer = orjson.loads(await bridge.call("unwrap", text, deadline_s=DEADLINE_S))
        if not answer["rumor"]["content"]:
            raise RuntimeError("something else was opened")

    return call


def gift(there: Place, text: str) -> Event:
    """A message of the owner's to the bot, wrapped by a key of its own."""
    owner, bot, now = there.keys["owner"], there.roles.bot, int(time.time())
    rumor = Template(owner.public, now, 14, (("p", bot),), text)
    seal = nip59.seal(rumor, owner, bot, now, secrets.token_bytes(32), secrets.token_bytes(32))
    ephemeral = SecretKey.generate(secrets.token_bytes)
    return nip59.wrap(seal, ephemeral, bot, now, secrets.token_bytes(32), secrets.token_bytes(32))


def fsync_ms(n: int) -> list[float]:
    """Milliseconds that each of `n` writes takes to be on the disk on which the rest is."""
    took = []
    with tempfile.TemporaryFile(prefix="signer-bench-") as file:
        for _ in range(n):
            began = time.perf_counter()
            os.write(file.fileno(), bytes(4_096))
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1_000)
    return took


async def peer_ms(n: int) -> list[float]:
    """Milliseconds from an event's making to the OK of nostr-sdk's relay, at the same rate."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.relay_peer",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert running.stdout is not None
    try:
        url = (await running.stdout.readline()).decode().split()[2]
        async with person([url], inbox=False) as sdk:
            return await at_a_rate(
                [lambda: sdk.publish(9, secrets.token_hex(60)) for _ in range(n + WARM_UP)]
            )
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.terminate()
        await running.wait()


def table(measured: Sequence[Measured]) -> Table:
    """A row a figure, with what it is to reach."""
    shown = Table(title="signer")
    for column in ("figure", "unit", "n", "p50", "reach", "p99", "reach", "max"):
        shown.add_column(column, justify="left" if column in ("figure", "unit") else "right")
    for one in measured:
        f = one.figures
        shown.add_row(
            f.name, f.unit, f"{f.samples:,}",
            f"{f.p50:.2f}", _reach(f.p50, one.reach_p50),
            f"{f.p99:.2f}", _reach(f.p99, one.reach_p99),
            f"{f.maximum:.2f}",
        )  # fmt: skip
    return shown


def _reach(value: float, reach: float | None) -> str:
    if reach is None:
        return ""
    return f"[{'green' if value <= reach else 'red'}]≤ {reach:g}[/]"
