"""Shell: `python -m relay_local`: the relay as a process of its own, and work on its folder."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import signal
import sqlite3
import sys
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

import structlog

from config import logs
from config.roles import RolesError, ensure_key, load, read_key
from nips.key import SecretKey
from nips.nip19 import public_key_of
from nips.refusal import Malformed
from relay_local.greeting import greeting
from relay_local.limits import Limits
from relay_local.relay import DATABASE, CannotStart, RelaySettings, holding, running
from relay_local.statistics import gather
from relay_local.transfer import export_events, import_events

SWITCH_S = 0.0005  # the writer waits no longer for the loop, nor the loop for it, when both work

log = structlog.get_logger("relay")


def main() -> int:
    """Run until SIGTERM or SIGINT, or do what the first word says.

    0 when all went well, 1 when lines of an import were wrong, 2 when it cannot start.
    """
    logs.to_stderr()
    arguments = _parser().parse_intermixed_args()
    _take_all_files()
    sys.setswitchinterval(SWITCH_S)
    try:
        match arguments.command:
            case "import":
                return asyncio.run(_import(arguments))
            case "export":
                return _export(arguments)
            case "stats":
                return _stats(arguments)
            case _:
                asyncio.run(_run(_settings(arguments)))
    except (CannotStart, RolesError, Malformed) as error:
        sys.stderr.write(f"relay: {error}\n")
        return 2
    except sqlite3.Error as error:
        path = arguments.data / DATABASE
        told = f"relay: {path} cannot be used: {error}. Replace a damaged file by its backup.\n"
        sys.stderr.write(told)
        return 2
    except OSError as error:
        sys.stderr.write(f"relay: {error.filename or arguments.file}: {error.strerror}\n")
        return 2
    return 0


def _take_all_files() -> None:
    """Use as many descriptors as the system allows: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS names a limit that it then refuses
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _import(arguments: argparse.Namespace) -> int:
    with _source(arguments.file) as lines:
        async with holding(_settings(arguments), int(time.time())) as held:
            tally = await import_events(held.store, held.world, lines, held.sign, _tell)
    _tell(f"imported: {tally}")
    return 1 if tally.wrong else 0


def _export(arguments: argparse.Namespace) -> int:
    with _sink(arguments.file) as out:
        count = export_events(_database(arguments.data), out, int(time.time()), _tell)
    _tell(f"exported: {count:,} events")
    return 0


def _stats(arguments: argparse.Namespace) -> int:
    found = gather(_database(arguments.data))
    sys.stdout.write(f"{json.dumps(found.to_json()) if arguments.json else found}\n")
    return 0


def _database(data: Path) -> Path:
    path = data / DATABASE
    if not path.exists():
        raise CannotStart(f"{path} is not there: give the --data folder of a relay that has run")
    return path


def _source(path: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb")


def _sink(path: str) -> AbstractContextManager[BinaryIO]:
    if path == "-":
        return nullcontext(sys.stdout.buffer)
    # What a private relay holds is for its owner's eyes, in a file as well.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _tell(line: str) -> None:
    sys.stderr.write(f"relay: {line}\n")
    sys.stderr.flush()


async def _run(settings: RelaySettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    async with running(settings) as relay:
        where = f" unix {relay.unix}" if relay.unix else ""
        gc.freeze()  # what is here now stays: the collector need not walk over it again and again
        sys.stdout.write(f"relay: ready {relay.url}{where}\n")
        sys.stdout.flush()
        if sys.stderr.isatty() and settings.roles is None:
            owner, data = settings.owner, str(settings.data)
            sys.stderr.write(greeting(relay.url, data, owner, public=settings.public))
        elif not settings.public and settings.roles is None and settings.owner is None:
            log.warning(
                "nobody can use this relay yet: start it with --owner and your public key, or "
                "with --open for everybody"
            )
        await stop.wait()


def _settings(arguments: argparse.Namespace) -> RelaySettings:
    host, port = _address(arguments.listen, "--listen")
    key_file: Path | None = arguments.key
    return RelaySettings(
        data=arguments.data,
        key=read_key(key_file) if key_file else _own_key(arguments.data / "key"),
        host=host,
        port=port,
        unix=arguments.unix[0] if arguments.unix else None,
        more_unix=tuple(arguments.unix[1:]),
        roles=load(arguments.roles) if arguments.roles else None,
        owner=_owner(arguments.owner) if arguments.owner else None,
        sessions=arguments.sessions,
        urls=tuple(arguments.url),
        public=arguments.open,
        version=_version(),
        limits=Limits(
            max_event_tags=arguments.max_tags,
            unauthenticated_s=arguments.auth_within,
            max_connections=arguments.max_connections,
        ),
        metrics=_address(arguments.metrics, "--metrics") if arguments.metrics else None,
    )


def _own_key(path: Path) -> SecretKey:
    try:
        return ensure_key(path)
    except OSError as error:
        raise CannotStart(
            f"{path} cannot be made: {error.strerror}. Choose another folder with --data."
        ) from error


def _owner(given: str) -> str:
    try:
        return public_key_of(given)
    except Malformed as error:
        raise CannotStart(f"--owner: {error}") from error


def _address(given: str, option: str) -> tuple[str, int]:
    host, separator, port = given.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65_535:
        raise CannotStart(f"{option} {given}: give an address and a port, such as 127.0.0.1:7447")
    return host.strip("[]"), int(port)


def _version() -> str:
    try:
        return version("nostrclaw")
    except PackageNotFoundError:
        return "0"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nostrclaw relay",
        description="A private Nostr relay with groups (NIP-29). Without a command it runs: "
        "nostrclaw relay --owner npub1…",
    )
    add = parser.add_argument
    add(
        "command",
        nargs="?",
        choices=("import", "export", "stats"),
        help="import or export events as JSON lines; count what is stored",
    )
    add("file", nargs="?", default="-", help="of an import or export; else the standard streams")
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    add(
        "--data",
        type=Path,
        default=home / "nostrclaw-relay",
        help="folder for its key and its events; unless given %(default)s",
    )
    add("--listen", default="127.0.0.1:7447", help="address and port; port 0 picks a free one")
    add(
        "--unix",
        type=Path,
        action="append",
        default=[],
        help="listen on this Unix socket too (repeat); it belongs to whom its folder belongs to",
    )
    add("--roles", type=Path, help="roles.toml, which names the parts' public keys")
    add("--owner", help="public key of whom it belongs to: npub or hex")
    add("--sessions", type=Path, help="folder for the sockets of containers")
    add("--key", type=Path, help="file of the relay's own key; else made in the data folder")
    add("--open", action="store_true", help="a public relay: everybody reads and writes")
    add("--url", action="append", default=[], help="a further address of this relay (ws:// …)")
    add("--metrics", help="a loopback address and port for Prometheus, such as 127.0.0.1:9447")
    limits = Limits()
    add("--max-tags", type=_positive, default=limits.max_event_tags, help="tags of one event")
    add(
        "--max-connections",
        type=_positive,
        default=limits.max_connections,
        help="connections at a time from one address",
    )
    add(
        "--auth-within",
        type=_positive,
        default=limits.unauthenticated_s,
        metavar="SECONDS",
        help="how long a silent connection may stay without authenticating",
    )
    add("--json", action="store_true", help="stats as JSON")
    return parser  # fmt: skip


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
