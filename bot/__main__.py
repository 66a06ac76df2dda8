"""Shell: the bot's process put together: `python -m bot run …`, started by the supervisor.

Exit status: 0 stopped by SIGTERM; 1 the relay or the engine denied what is needed; 2 something
that a person must put right, said in one sentence.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from hashlib import sha256
from pathlib import Path

import structlog

from bot.attempt import Layout, Runner
from bot.author import Author
from bot.bridges.nostr.bridge import Bridge
from bot.engine import host
from bot.engine.outcome import Limits
from bot.engine.sandbox import Sandbox, SandboxUnavailable
from bot.router import Router
from config import logs
from config.roles import RolesError, load, read_key
from config.settings import AgentSettings, Settings, SettingsError
from config.settings import load as load_settings
from nips.key import SecretKey
from nips.own.roles import Roles
from nips.refusal import Refused
from relay_local.client import Caller, connect

MIB = 1 << 20

log = structlog.get_logger()


def main() -> int:
    """Run until SIGTERM."""
    arguments = _parser().parse_args()
    logs.to_stderr()
    try:
        settings = load_settings(arguments.data)
        roles = load(arguments.data / "roles.toml")
        keys = arguments.data / "keys"
        router, bridge = read_key(keys / "router"), read_key(keys / "bridge-nostr")
        with host.engine(arguments.engine_root, install=False, announce=log.info) as engine:
            asyncio.run(_run(arguments, settings, roles, router, bridge, engine))
    except (SettingsError, RolesError, host.EngineUnavailable) as error:
        sys.stderr.write(f"bot: {error}\n")
        return 2
    except (Refused, SandboxUnavailable) as error:
        sys.stderr.write(f"bot: {error}\n")
        return 1
    return 0


async def _run(
    arguments: argparse.Namespace,
    settings: Settings,
    roles: Roles,
    router_key: SecretKey,
    bridge_key: SecretKey,
    engine: host.Engine,
) -> None:
    address = f"unix:{arguments.run / 'relay.sock'}"
    agent = settings.agent
    client = host.connect(engine)
    async with connect(address, [router_key]) as inside, connect(address, [bridge_key]) as outside:
        router = Router(
            inside,
            router_key,
            roles,
            Runner(
                Author(inside, router_key),
                roles,
                Sandbox(
                    client,
                    image=arguments.image,
                    installation=installation_name(arguments.data),
                    at_once=agent.jobs_at_once,
                ),
                Layout(arguments.data, arguments.run),
                limits(agent),
            ),
            places=agent.jobs_at_once,
        )
        bridge = Bridge(
            outside,
            bridge_key,
            roles,
            Caller(outside, bridge_key, roles.signer),
            settings.relays,
            {"name": settings.name, "about": settings.about},
            [f"ws://{settings.listen}"],
        )
        bridged = asyncio.Event()
        await _until_stopped(router.serve(), bridge.serve(bridged), router.ready, bridged)


async def _until_stopped(
    routing: Coroutine[object, object, None],
    bridging: Coroutine[object, object, None],
    *ready: asyncio.Event,
) -> None:
    """Run both until SIGTERM; say `bot: ready` once. Raises what either of them raised first."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    works = [asyncio.create_task(routing), asyncio.create_task(bridging)]
    stopping = asyncio.create_task(stop.wait())
    saying = asyncio.create_task(_say_when(*ready))
    try:
        done, _ = await asyncio.wait({*works, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for work in done - {stopping}:
            work.result()
    except BaseExceptionGroup as group:
        raise _first_of(group) from None
    finally:
        for task in (*works, stopping, saying):
            task.cancel()
        await asyncio.gather(*works, stopping, saying, return_exceptions=True)


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _say_when(*ready: asyncio.Event) -> None:
    for event in ready:
        await event.wait()
    sys.stdout.write("bot: ready\n")
    sys.stdout.flush()


def limits(agent: AgentSettings) -> Limits:
    """The limits of one container, as a person set them."""
    return Limits(
        wall_clock_s=agent.wall_clock_s,
        memory_bytes=agent.memory_mib * MIB,
        pids=agent.pids,
        cpus=agent.cpus,
        folder_bytes=agent.folder_mib * MIB,
    )


def installation_name(data: Path) -> str:
    """What this installation's containers are labelled with."""
    return sha256(os.fsencode(data.resolve())).hexdigest()[:16]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot", description="The bot's process.")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="route, bridge, and run jobs")
    run.add_argument("--data", type=Path, required=True, help="the data folder")
    run.add_argument("--run", type=Path, required=True, help="the folder for sockets")
    run.add_argument("--image", required=True, help="the agent's image")
    run.add_argument("--engine-root", type=Path, required=True, help="of a private engine")
    return parser


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # nostr-sdk may crash the interpreter's own ending
