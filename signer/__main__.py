"""Shell: the signer's commands, and its composition.

    python -m signer init  --data DIR    make the bot's identity and the ceiling
    python -m signer pair  --data DIR    print a one-time code that names the owner
    python -m signer run   --data DIR …  serve
    python -m signer audit --data DIR    check the audit chain
    python -m signer clock --data DIR    believe this machine's clock again

Exit codes: 0 done; 1 the relay refused us, or the audit chain is broken; 2 something that a
person must put right, said in one sentence; 3 `pair`, where an owner has paired already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import sqlite3
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import structlog

from config import logs
from config.roles import RolesError, read_key
from config.roles import load as load_roles
from nips import nip19
from nips.key import SecretKey
from nips.own.roles import Roles
from nips.refusal import Malformed, Refused
from relay_local.client import connect
from signer import ceiling, pairing
from signer.desk import Desk
from signer.keystore import Keystore, KeystoreError, read_text, write_whole
from signer.ledger import Ledger
from signer.secret import Memory, MemoryUnavailable, Secret, harden_process
from signer.service import Service
from signer.work import Clocks

ALREADY_PAIRED = 3
MAIN_GROUP_KINDS = frozenset({1})  # the owner's own assistant publishes notes

log = structlog.get_logger()


def main() -> int:
    """Run one command; its sentence, where it fails, is on stderr."""
    arguments = _parser().parse_args()
    logs.to_stderr()
    try:
        return int(arguments.command(arguments))
    except (KeystoreError, RolesError, MemoryUnavailable, Malformed) as error:
        _tell(f"signer: {error}")
    except sqlite3.Error as error:
        _tell(f"signer: {arguments.data / 'ledger.sqlite'}: {error}")
    except OSError as error:
        _tell(f"signer: {error.filename}: {error.strerror}")
    except Refused as error:
        _tell(f"signer: the relay refused us: {error}")
        return 1
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m signer", description="The bot's signer.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="make the bot's identity and the ceiling")
    init.set_defaults(command=_init)
    init.add_argument("--import-fd", type=int, metavar="N", help="read an nsec from descriptor N")
    init.add_argument("--main", metavar="UUID", help="the main group, which may publish notes")
    init.add_argument("--relay-url", action="append", default=[], help="a public relay (repeat)")
    init.add_argument("--name", help="the name in the bot's profile")
    init.add_argument("--about", help="what the bot's profile says about it")

    run = commands.add_parser("run", help="serve")
    run.set_defaults(command=_run)
    run.add_argument("--key", type=Path, required=True, help="the signer's role key")
    run.add_argument("--roles", type=Path, required=True, help="roles.toml")
    run.add_argument("--relay", required=True, help="unix:PATH or ws://HOST:PORT")
    run.add_argument("--memory", type=Memory, choices=list(Memory), help="insist on this form")

    pair = commands.add_parser("pair", help="print a one-time code that names the owner")
    pair.set_defaults(command=_pair)
    audit = commands.add_parser("audit", help="check the audit chain")
    audit.set_defaults(command=_audit)

    clock = commands.add_parser("clock", help="believe this machine's clock again")
    clock.set_defaults(command=_clock)

    for command in (init, run, pair, audit, clock):
        command.add_argument("--data", type=Path, required=True, help="the signer's folder")
    for command in (init, run):
        command.add_argument("--passphrase-fd", type=int, metavar="N", help="read it from there")
    return parser


# init


def _init(arguments: argparse.Namespace) -> int:
    harden_process()
    passphrase = _passphrase(arguments)
    imported = None if arguments.import_fd is None else read_text(arguments.import_fd)
    store = Keystore(arguments.data)
    public, made = store.create(imported, passphrase)
    _write_ceiling(arguments)
    if made:
        kept = (
            f"Its passphrase is in {store.passphrase}, beside it: this protects a backup that "
            "leaves the passphrase out, not this machine. Keep a copy of both, apart from each "
            "other; without them the identity is lost."
            if passphrase is None
            else "Its passphrase is yours alone to keep; without it the identity is lost."
        )
        _tell(
            f"The bot's identity is {nip19.encode_npub(public)}, encrypted in {store.encrypted}. "
            f"{kept}"
        )
    _say(public)
    return 0


def _write_ceiling(arguments: argparse.Namespace) -> None:
    path = _ceiling_path(arguments.data)
    known = _load_ceiling(path) if path.exists() else None
    # One that says nothing yet was written by an `init` that knew no main group, say an import.
    says_nothing = known in (None, ceiling.Ceiling())
    fresh = ceiling.Ceiling(groups={arguments.main: MAIN_GROUP_KINDS} if arguments.main else {})
    wanted = fresh if says_nothing or known is None else known
    if arguments.relay_url:
        wanted = replace(wanted, relays=tuple(arguments.relay_url))
    told = {"name": arguments.name, "about": arguments.about}
    if profile := {name: value for name, value in told.items() if value is not None}:
        wanted = replace(wanted, profile=dict(wanted.profile) | profile)
    if wanted != known:
        ceiling.parse(tomllib.loads(ceiling.render(wanted)))  # a bad option is refused here
        write_whole(path, ceiling.render(wanted), mode=0o600)
        if known is not None:
            _tell(f"{path} has the new relays and profile.")


def _ceiling_path(data: Path) -> Path:
    return data / "ceiling.toml"


def _load_ceiling(path: Path) -> ceiling.Ceiling:
    try:
        return ceiling.parse(tomllib.loads(path.read_text()))
    except FileNotFoundError:
        raise KeystoreError(
            f"There is no ceiling at {path}. Make one: python -m signer init --data {path.parent}"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise KeystoreError(f"{path} is not TOML: {error}") from error
    except Malformed as error:
        raise KeystoreError(f"{path}: {error}. Correct that line and start again.") from error


# pair, audit, clock


def _pair(arguments: argparse.Namespace) -> int:
    owner = Ledger(arguments.data / "ledger.sqlite").get("owner")
    if owner is not None:
        _tell(f"{nip19.encode_npub(owner)} has paired already; there is one owner.")
        return ALREADY_PAIRED
    code, offer = pairing.make(secrets.token_bytes, time.time())
    write_whole(arguments.data / "pairing.json", json.dumps(offer.to_json()) + "\n", mode=0o600)
    _say(code)
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    chain = Ledger(arguments.data / "ledger.sqlite").verify()
    if chain.broken_at is not None:
        _tell(f"The audit chain is broken at row {chain.broken_at}.")
        return 1
    _say(f"{chain.rows} rows, head {chain.head}")
    return 0


def _clock(arguments: argparse.Namespace) -> int:
    ledger = Ledger(arguments.data / "ledger.sqlite")
    with ledger.transaction():
        ledger.set_clock(time.time())
    _tell("This machine's clock is taken for right. Restart the signer.")
    return 0


# run


def _run(arguments: argparse.Namespace) -> int:
    harden_process()
    store = Keystore(arguments.data)
    limits = _load_ceiling(_ceiling_path(arguments.data))
    roles = load_roles(arguments.roles)
    key = read_key(arguments.key)
    if key.public != roles.signer:
        raise KeystoreError(
            f"{arguments.key} is not the signer's key that {arguments.roles} names. Give the "
            "key file of this installation."
        )
    # No thread runs yet, so a copy of this process can be made to unlock the key.
    secret = Secret(store.unlock(_passphrase(arguments)), arguments.memory)
    if secret.public != roles.bot:
        raise KeystoreError(
            f"The identity in {arguments.data} is {nip19.encode_npub(secret.public)}, and "
            f"{arguments.roles} names another bot. Put the right one back."
        )
    log.info("the bot's key is in protected memory", memory=str(secret.memory))
    try:
        asyncio.run(_serve(arguments, secret, key, roles, limits))
    finally:
        secret.wipe()
    return 0


async def _serve(
    arguments: argparse.Namespace,
    secret: Secret,
    key: SecretKey,
    roles: Roles,
    limits: ceiling.Ceiling,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ledger = Ledger(arguments.data / "ledger.sqlite")
    try:
        desk = Desk(
            ledger,
            secret,
            key,
            roles,
            limits,
            arguments.data,
            Clocks(time.time, _boot_time_s),
        )
        async with connect(arguments.relay, [key]) as link:
            await Service(link, desk, key, roles).serve(_say_ready, stop)
    finally:
        ledger.close()


def _boot_time_s() -> float:
    # Unlike the monotonic clock it counts while the machine sleeps; macOS has only the other.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _say_ready() -> None:
    _say("signer: ready")


def _passphrase(arguments: argparse.Namespace) -> str | None:
    return None if arguments.passphrase_fd is None else read_text(arguments.passphrase_fd)


def _say(line: str) -> None:
    """A result, for whoever called the command."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _tell(sentence: str) -> None:
    """Words for a person."""
    sys.stderr.write(sentence + "\n")


if __name__ == "__main__":
    sys.exit(main())
