"""Shell: `python -m signer run`: serve; the composition of the process."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from config.roles import load as load_roles
from config.roles import read_key
from nips.key import SecretKey
from nips.own.roles import Roles
from relay_local.client import connect
from signer import ceiling_file
from signer.ceiling import Ceiling
from signer.commands.terminal import Commands, add_passphrase, command, say
from signer.descent import CannotDescend, descend, reachable, settle
from signer.desk import Desk
from signer.doorkeeper import Door, open_door
from signer.exclusive import hold_serving
from signer.kernel_keyring import KernelKeyring
from signer.keystore import Keystore, KeystoreError, NoPassphrase
from signer.ledger import Ledger
from signer.passphrase import carried
from signer.safe import Safe, answer_door
from signer.secret import Memory, Secret, harden_process
from signer.service import Service
from signer.work import Clocks

SWITCH_S = 0.0005  # the desk waits no longer for the loop, nor the loop for it, when both work

log = structlog.get_logger()


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = command(commands, "run", _run, summary="serve")
    parser.add_argument("--key", type=Path, required=True, help="the signer's role key")
    parser.add_argument("--roles", type=Path, required=True, help="roles.toml")
    parser.add_argument("--relay", required=True, help="unix:PATH or ws://HOST:PORT")
    parser.add_argument("--memory", type=Memory, choices=list(Memory), help="insist on this form")
    parser.add_argument(
        "--keyring-hours",
        type=int,
        default=0,
        metavar="N",
        help="a start within the same boot needs no passphrase for so long (0: it always does)",
    )
    add_passphrase(parser)


def _run(arguments: argparse.Namespace) -> int:
    harden_process()
    sys.setswitchinterval(SWITCH_S)
    Keystore(arguments.data).require_identity()
    limits = ceiling_file.load(arguments.data)
    roles = load_roles(arguments.roles)
    key = read_key(arguments.key)
    if key.public != roles.signer:
        raise KeystoreError(
            f"{arguments.key} is not the signer's key that {arguments.roles} names. Give the "
            "key file of this installation."
        )
    handed = carried(arguments.passphrase_fd)
    _serving = hold_serving(arguments.data)  # open for as long as this process lives
    # Opened while we still are who we were started as: its path may lead through closed folders.
    ledger = Ledger(arguments.data / "ledger.sqlite")
    ground = _descended(arguments.data, arguments.relay)
    store = Keystore(ground.data, named=arguments.data)
    kept_by_a_person = not store.passphrase.exists()
    keyring = None
    if kept_by_a_person and arguments.keyring_hours:
        keyring = KernelKeyring(roles.bot, arguments.keyring_hours * 3_600)
    # No thread runs yet, so a copy of this process can be made to unlock the key.
    door = open_door(store, keyring) if kept_by_a_person else None
    safe = Safe(arguments.memory, roles.bot)
    try:
        secret: Secret | None = safe.take(store.unlock(None, keyring, handed))
    except NoPassphrase as error:
        log.warning("the signer is locked; unlock it: nostrclaw key unlock", reason=str(error))
        secret = None
    try:
        asyncio.run(_serve(ledger, ground, safe, secret, door, key, roles, limits))
    finally:
        ledger.close()
    return 0


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the process stands once it is the user that it stays.

    data: the signer's folder; relay: the relay's address.
    """

    data: Path
    relay: str


def _descended(data: Path, relay: str) -> Ground:
    try:
        uid = settle(data)
    except CannotDescend as error:
        log.info("the signer stays the user it was started as", uid=os.geteuid(), why=str(error))
        return Ground(data, relay)
    ground = Ground(reachable(data), relay)
    socket = Path(relay.removeprefix("unix:"))
    if relay.startswith("unix:"):
        ground = Ground(ground.data, f"unix:{reachable(socket.parent) / socket.name}")
    descend(uid)
    if relay.startswith("unix:"):
        _require_reachable(socket, Path(ground.relay.removeprefix("unix:")), uid)
    log.info("the signer is a user of its own", uid=uid)
    return ground


def _require_reachable(named: Path, socket: Path, uid: int) -> None:
    if os.access(socket.parent, os.X_OK) and (not socket.exists() or os.access(socket, os.W_OK)):
        return
    raise KeystoreError(
        f"Started as root the signer is user {uid}, who may not use {named}. Give the relay a "
        f"second --unix, in a folder that belongs to this user: install -d -m 700 -o {uid} FOLDER."
    )


async def _serve(
    ledger: Ledger,
    ground: Ground,
    safe: Safe,
    secret: Secret | None,
    door: Door | None,
    key: SecretKey,
    roles: Roles,
    limits: Ceiling,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clocks = Clocks(time.time, _boot_time_s)
    desk = Desk(ledger, secret, key, roles, limits, ground.data, clocks)
    async with connect(ground.relay, [key]) as link:
        service = Service(link, desk, key, roles)
        if door is not None:
            link.spawn(answer_door(door, safe, service, stop))
        try:
            await service.serve(_say_ready, stop)
        finally:
            desk.lock()


def _boot_time_s() -> float:
    # Unlike the monotonic clock it counts while the machine sleeps; macOS has only the other.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _say_ready() -> None:
    say("signer: ready")
