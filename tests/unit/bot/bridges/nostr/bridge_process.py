"""Shell: the bridge alone, as a process that may be killed.

PACE in its environment: the fields of `Pace` that are not as usual, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import structlog

from bot.bridges.incoming import Incoming
from bot.bridges.nostr import login, relay_state
from bot.bridges.nostr.bridge import Bridge
from bot.bridges.nostr.tending import Pace
from bot.operate.assembly import Installation
from config.roles import load, read_key
from config.settings import load as load_settings
from relay_local.client import Caller, connect


async def main(place: Installation) -> None:
    settings, roles = load_settings(place.data), load(place.roles_file)
    key = read_key(place.key("bridge-nostr"))
    profile = {"name": settings.name, "about": settings.about}
    local = (f"ws://{settings.listen}", "ws://relay.local")
    pace = Pace(**(quick := json.loads(os.environ.get("PACE", "{}"))))
    if quick:  # what is judged so soon is connected, and logged in to, as often
        login.LOGINS *= 20
        relay_state.LONGEST_PAUSE_S = 2.0
    ready = asyncio.Event()
    async with connect(place.relay_address, [key]) as link:
        caller = Caller(link, key, roles.signer)
        incoming = Incoming(place.data / "groups", settings.agent.folder_mib << 20)
        allowed = settings.allowed_private_hosts
        bridge = Bridge(
            link, key, roles, caller, settings.relays, profile, local, incoming, allowed, pace
        )  # fmt: skip
        serving = asyncio.create_task(bridge.serve(ready))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if ready.is_set():
            sys.stdout.write("bridge: ready\n")
            sys.stdout.flush()
        with suppress(asyncio.CancelledError):
            await serving


structlog.configure(
    processors=[structlog.processors.add_log_level, structlog.processors.LogfmtRenderer()],
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
)
asyncio.run(main(Installation(Path(sys.argv[1]), Path(sys.argv[2]))))
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
