"""Shell: `python -m bench.relay_peer`: nostr-sdk's LocalRelay as a process of its own.

It keeps its events in memory and takes them from everybody: the peer of the relay's figures.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import nostr_sdk as sdk

NO_LIMIT = 2**31 - 1
MAX_EVENTS = 2_000_000


async def main() -> None:
    """Print where it listens and serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    sdk.uniffi_set_event_loop(loop)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    limits = sdk.RateLimit(max_reqs=NO_LIMIT, notes_per_minute=NO_LIMIT)
    relay = sdk.LocalRelayBuilder().rate_limit(limits).build()
    await relay.run()
    sys.stdout.write(f"relay: ready {await relay.url()}\n")
    sys.stdout.flush()
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)  # nostr-sdk's threads may crash in the interpreter's own ending
