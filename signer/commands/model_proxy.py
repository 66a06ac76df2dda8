"""Shell: `python -m signer model-proxy`: calls language models for sessions; its composition.

A process of its own: it gets the providers' keys through a pipe, never has the passphrase, and
gives up, before it serves anybody, every file but its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import site
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from config.roles import load as load_roles
from config.roles import read_key
from nips.key import SecretKey
from nips.own.roles import Roles
from relay_local.client import Caller, connect
from signer import ceiling_file, grants
from signer.ceiling import Ceiling
from signer.commands.terminal import Commands, add_passphrase, command, say
from signer.confinement import confine, require_closed
from signer.keystore import Keystore, KeystoreError, NoPassphrase
from signer.model_door import open_door
from signer.model_ledger import ModelLedger
from signer.model_store import ModelStore
from signer.secret import harden_process
from signer.work import Clocks

if TYPE_CHECKING:
    from signer.model_upstream import Upstream

PROJECT = Path(__file__).resolve().parents[2]
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/run/systemd/resolve", "/dev/urandom")

log = structlog.get_logger("model")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = command(commands, "model-proxy", _run, summary="call language models for sessions")
    parser.add_argument("--key", type=Path, required=True, help="the proxy's role key")
    parser.add_argument("--roles", type=Path, required=True, help="roles.toml")
    parser.add_argument("--relay", required=True, help="unix:PATH or ws://HOST:PORT")
    parser.add_argument("--sessions", type=Path, required=True, help="the folder of their sockets")
    add_passphrase(parser)


def _run(arguments: argparse.Namespace) -> int:
    # Here, so that the signer's own process is spared what it never uses.
    from signer.model_upstream import Upstream, trusted_roots

    harden_process()
    store = ModelStore(arguments.data)
    providers = store.providers()
    if not providers:
        raise KeystoreError("No provider is configured. Add one: nostrclaw model add")
    limits = ceiling_file.load(arguments.data)
    roles = load_roles(arguments.roles)
    key = read_key(arguments.key)
    if key.public != roles.model:
        raise KeystoreError(
            f"{arguments.key} is not the model proxy's key that {arguments.roles} names. Give the "
            "key file of this installation."
        )
    # No thread runs yet, so a copy of this process can be made to open the keys.
    try:
        keys = store.unlock(lambda: store.passphrases(arguments.passphrase_fd), providers)
    except NoPassphrase:
        log.warning("the keys of models are locked; unlock them: nostrclaw model unlock")
        keys = {}
    if arguments.passphrase_fd is not None:
        # Attack: code that takes this process over reads it again; a file can be.
        with suppress(OSError):
            os.close(arguments.passphrase_fd)
    roots = trusted_roots()
    upstreams = {
        name: Upstream(provider, keys.get(name, b""), roots) for name, provider in providers.items()
    }
    store.make_folder()
    arguments.sessions.mkdir(mode=0o700, exist_ok=True)
    _give_up_the_rest(store, arguments.sessions)
    ledger = ModelLedger(store.ledger)
    try:
        asyncio.run(_serve(arguments, ledger, upstreams, limits, roles, key, store.folder))
    finally:
        ledger.close()
    return 0


def _give_up_the_rest(store: ModelStore, sessions: Path) -> None:
    own = (sys.prefix, sys.base_prefix, *site.getsitepackages(), *map(str, _code()))
    if confine(map(Path, (*SYSTEM, *own)), (store.folder, sessions)):
        identity = Keystore(store.data)
        require_closed((identity.encrypted, identity.passphrase, store.file))
        log.info("every file but its own is closed to this process")
    else:
        log.warning("this kernel has no Landlock: files are closed to this process by mode only")


def _code() -> Iterable[Path]:
    return (PROJECT / room for room in ("nips", "relay_local", "signer", "config"))


async def _serve(
    arguments: argparse.Namespace,
    ledger: ModelLedger,
    upstreams: dict[str, Upstream],
    limits: Ceiling,
    roles: Roles,
    key: SecretKey,
    folder: Path,
) -> None:
    from signer.model_proxy import ModelProxy
    from signer.model_sockets import ModelSockets
    from signer.model_telling import Telling

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    proxy = ModelProxy(
        ledger,
        upstreams,
        limits,
        Clocks(time.time, _boot_time_s),
        lambda session: sockets.held(session),
        lambda: sockets.caught_up.is_set(),
        lambda job: telling.changed(job),
    )

    async def known(client: str) -> grants.Held | None:
        return await proxy.in_ledger(ledger.held, client)

    async def hold(held: grants.Held) -> None:
        await proxy.in_ledger(ledger.hold, held)

    def take(keys: Mapping[str, bytes]) -> list[str]:
        taken = [name for name in keys if name in upstreams]
        for name in taken:
            upstreams[name].key = keys[name]
        log.info("the keys of models were unlocked", providers=" ".join(taken))
        return taken

    door = await open_door(folder, take)
    async with connect(arguments.relay, [key]) as link:
        router = Caller(link, key, roles.router)
        telling = Telling(router, ledger.reports, proxy.in_ledger, proxy.now_s)
        sockets = ModelSockets(
            arguments.sessions, roles, proxy.handle, known, hold, proxy.now_s, telling.changed
        )
        following = asyncio.create_task(sockets.follow(link))
        ready = asyncio.create_task(sockets.caught_up.wait())
        telling_all = asyncio.create_task(telling.run())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({following, ready, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                say("model-proxy: ready")
                await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            tasks = (following, ready, stopping, telling_all)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            door.close()
            await sockets.close()
            await proxy.close()
            for upstream in upstreams.values():
                await upstream.close()


def _boot_time_s() -> float:
    # Unlike the monotonic clock it counts while the machine sleeps; macOS has only the other.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
