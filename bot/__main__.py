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
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path

import structlog

from bot.attempt import Runner
from bot.author import Author
from bot.backends import Backends, ConfiguredModel
from bot.backends import model as model_of
from bot.bridges.incoming import Incoming
from bot.bridges.nostr.bridge import Bridge
from bot.bridges.signal.bridge import Access
from bot.bridges.signal.bridge import Bridge as SignalBridge
from bot.budgets import Budgets
from bot.elsewhere.carrier import Carrier
from bot.elsewhere.login import BotLogin
from bot.engine import host, project
from bot.engine.folders import UnsafeFolder
from bot.engine.outcome import Limits
from bot.engine.sandbox import Sandbox, SandboxUnavailable
from bot.engine.spare_rules import Bounds
from bot.router import Router
from bot.run_folders import Layout
from config import logs
from config.roles import RolesError, load, read_key
from config.settings import (
    AgentSettings,
    BudgetSettings,
    Settings,
    SettingsError,
    SignalSettings,
)
from config.settings import load as load_settings
from nips.key import SecretKey
from nips.own.backend_name import parse
from nips.own.binding import Budget
from nips.own.model_scope import ModelScope
from nips.own.roles import Roles
from nips.refusal import Refused
from relay_local.client import Caller, Login, connect

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
    async with AsyncExitStack() as links:
        inside = await links.enter_async_context(connect(address, [router_key]))
        outside = await links.enter_async_context(connect(address, [bridge_key]))
        caller = Caller(outside, bridge_key, roles.signer)
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
                    at_once=agent.jobs_at_once + agent.spares,
                ),
                Layout(arguments.data, arguments.run, source_shown(arguments.run)),
                limits(agent),
                models=models_of_a_job(agent, arguments.model),
                claude_memory_bytes=agent.claude_memory_mib * MIB,
                bounds=Bounds(agent.spares, agent.spare_idle_s, agent.spare_free_mib * MIB),
            ),
            _say,
            places=agent.jobs_at_once,
            name=settings.name,
            backends=Backends(tuple(map(parse, agent.backends)), tuple(arguments.model)),
            least_ms=settings.tasks.min_interval_s * 1000,
            webhooks=settings.webhooks.listen,
        )
        incoming = Incoming(arguments.data / "groups", agent.folder_mib * MIB)
        bridge = Bridge(
            outside,
            bridge_key,
            roles,
            caller,
            settings.relays,
            {"name": settings.name, "about": settings.about},
            [f"ws://{settings.listen}"],
            incoming,
            settings.allowed_private_hosts,
        )
        ready = [router.ready, asyncio.Event()]
        works = [router.serve(), bridge.serve(ready[-1])]
        if settings.signal.number:
            phone = read_key(arguments.data / "keys" / "bridge-signal")
            link = await links.enter_async_context(connect(address, [phone]))
            on_signal = SignalBridge(
                link,
                phone,
                roles,
                access(settings.signal),
                settings.name,
                incoming,
                arguments.data,
            )
            ready.append(asyncio.Event())
            works.append(on_signal.serve(ready[-1]))
        if url := settings.router_relay:
            keys: list[SecretKey | Login] = [router_key, BotLogin(roles.bot, caller)]
            elsewhere = await links.enter_async_context(connect(url, keys))
            carrier = Carrier(inside, elsewhere, router_key, roles, url, _say)
            works.append(_carry(carrier, router))
        await _until_stopped(works, *ready)


async def _carry(carrier: Carrier, router: Router) -> None:
    await carrier.serve(await router.owner)


async def _until_stopped(
    coroutines: Sequence[Coroutine[object, object, None]],
    *ready: asyncio.Event,
) -> None:
    """Run all until SIGTERM; say `bot: ready` once. Raises what any of them raised first."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    works = [asyncio.create_task(coroutine) for coroutine in coroutines]
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
    _say("bot: ready")


def _say(line: str) -> None:
    """A line for the person at the terminal, through the supervisor."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        log.info("nobody reads what is said", line=line)


def limits(agent: AgentSettings) -> Limits:
    """The limits of one container, as a person set them."""
    return Limits(
        wall_clock_s=agent.wall_clock_s,
        memory_bytes=agent.memory_mib * MIB,
        pids=agent.pids,
        cpus=agent.cpus,
        folder_bytes=agent.folder_mib * MIB,
    )


def models_of_a_job(
    agent: AgentSettings, configured: Sequence[ConfiguredModel]
) -> ModelScope | None:
    """What a job may ask of language models; None where no provider is configured."""
    if not configured:
        return None
    return ModelScope(
        names=agent.model_names or tuple(model.name for model in configured),
        requests=agent.model_requests,
        tokens=agent.model_tokens,
        money_microusd=round(agent.model_usd * 1_000_000),
    )


def source_shown(run: Path) -> Path | None:
    """The copy of our source that main's agent may read; without it the assistant works as well."""
    try:
        return project.refresh(run)
    except (OSError, UnsafeFolder) as error:
        log.error("main's agent cannot read the source", reason=str(error))
        return None


def access(signal: SignalSettings) -> Access:
    """How Signal is reached, as a person set it."""
    return Access(
        signal.url, signal.number, signal.poll_s, signal.max_messages, signal.read_receipts
    )


def budgets(budget: BudgetSettings) -> Budgets:
    """What a day may take, as a person set it: 0 is no limit."""
    return Budgets(
        group=Budget(
            budget.group_runs_per_day or None,
            budget.group_tokens_per_day or None,
            round(budget.group_usd_per_day * 1_000_000) or None,
        ),
        everything=Budget(
            budget.runs_per_day or None,
            budget.tokens_per_day or None,
            round(budget.usd_per_day * 1_000_000) or None,
        ),
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
    run.add_argument(
        "--model", type=model_of, action="append", default=[], help="STYLE:NAME (repeat)"
    )
    run.add_argument("--engine-root", type=Path, required=True, help="of a private engine")
    return parser


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # nostr-sdk may crash the interpreter's own ending
