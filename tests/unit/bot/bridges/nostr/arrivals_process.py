"""Shell: only the listening part, as a process; prints the id of each wrap it takes in, and of
what comes of the filters in WATCH, and how the relays are whenever that changes.

argv: public key, seconds between probes, the unix second of the last healthy moment or "-", relays.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import suppress
from secrets import token_bytes

import structlog

from bot.bridges.nostr import arrivals as arrivals_
from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.pool import Pool
from bot.bridges.nostr.tending import Pace
from nips.key import SecretKey
from nips.nip42 import auth_template

KEY = SecretKey(bytes([9]) * 32)  # as foreign_relay.py has it


async def login(url: str, challenge: str) -> str | None:
    template = auth_template(KEY.public, challenge, url, int(time.time()))
    return json.dumps(template.sign(KEY, token_bytes(32)).to_json())


async def main(public_key: str, probe_s: float, healthy: str, *relays: str) -> None:
    if most_bytes := os.environ.get("QUEUED_BYTES"):
        arrivals_.MAX_QUEUED_BYTES = int(most_bytes)
    pace = Pace(probe_s, probe_s, 4 * probe_s, probe_s, 60 * probe_s, 5 * probe_s)
    known = {} if healthy == "-" else dict.fromkeys(relays, int(healthy))
    async with Pool(relays, login) as pool, Arrivals(pool, public_key, known, pace) as arrivals:
        reading = asyncio.create_task(read(arrivals, slowly=bool(most_bytes)))
        telling = asyncio.create_task(tell(arrivals))
        watching = asyncio.create_task(watch(arrivals))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reading.cancel)
        with suppress(asyncio.CancelledError):
            await reading
        telling.cancel()
        watching.cancel()
        say_health(arrivals)


async def watch(arrivals: Arrivals) -> None:
    await arrivals.watch(json.loads(os.environ.get("WATCH") or "[]"))
    async for event in arrivals.watched():
        sys.stdout.write(f"{event.id}\n")
        sys.stdout.flush()


async def tell(arrivals: Arrivals) -> None:
    while True:
        change = arrivals.change
        say_health(arrivals)
        await change.wait()


def say_health(arrivals: Arrivals) -> None:
    health = {url: it.to_json() for url, it in arrivals.health().items()}
    sys.stdout.write(json.dumps(health) + "\n")
    sys.stdout.flush()


async def read(arrivals: Arrivals, *, slowly: bool) -> None:
    async for wraps in arrivals.wraps():
        assert sum(len(wrap.content) for wrap in wraps) < arrivals_.MAX_QUEUED_BYTES + 100_000
        sys.stdout.write("".join(f"{wrap.id}\n" for wrap in wraps))
        sys.stdout.flush()
        if slowly:
            await asyncio.sleep(0.2)  # slower than the relays


structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
asyncio.run(main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:]))
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
