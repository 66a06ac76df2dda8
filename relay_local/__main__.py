"""Shell: `python -m relay_local`: the relay as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import structlog

from config import logs
from config.roles import RolesError, ensure_key, load, read_key
from nips.key import SecretKey
from nips.nip19 import public_key_of
from nips.refusal import Malformed
from relay_local.relay import CannotStart, RelaySettings, running

log = structlog.get_logger("relay")


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 when closed cleanly, 2 when it cannot start."""
    logs.to_stderr()
    arguments = _parser().parse_args()
    _take_all_files()
    try:
        asyncio.run(_run(_settings(arguments)))
    except (CannotStart, RolesError, Malformed) as error:
        sys.stderr.write(f"relay: {error}\n")
        return 2
    return 0


def _take_all_files() -> None:
    """Use as many descriptors as the system allows: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS names a limit that it then refuses
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(settings: RelaySettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    async with running(settings) as relay:
        where = f" unix {relay.unix}" if relay.unix else ""
        sys.stdout.write(f"relay: ready {relay.url}{where}\n")
        sys.stdout.flush()
        if not settings.public and settings.roles is None and settings.owner is None:
            log.warning(
                "nobody can use this relay yet: start it with --owner and your public key, or "
                "with --open for everybody"
            )
        await stop.wait()


def _settings(arguments: argparse.Namespace) -> RelaySettings:
    host, port = _address(arguments.listen)
    key_file: Path | None = arguments.key
    return RelaySettings(
        data=arguments.data,
        key=read_key(key_file) if key_file else _own_key(arguments.data / "key"),
        host=host,
        port=port,
        unix=arguments.unix,
        roles=load(arguments.roles) if arguments.roles else None,
        owner=_owner(arguments.owner) if arguments.owner else None,
        sessions=arguments.sessions,
        urls=tuple(arguments.url),
        public=arguments.open,
        version=_version(),
    )


def _own_key(path: Path) -> SecretKey:
    try:
        return ensure_key(path)
    except OSError as error:
        raise CannotStart(f"{path} cannot be made: {error.strerror}") from error


def _owner(given: str) -> str:
    try:
        return public_key_of(given)
    except Malformed as error:
        raise CannotStart(f"--owner: {error}") from error


def _address(given: str) -> tuple[str, int]:
    host, separator, port = given.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65_535:
        raise CannotStart(f"--listen {given}: give an address and a port, such as 127.0.0.1:7447")
    return host.strip("[]"), int(port)


def _version() -> str:
    try:
        return version("nostrclaw")
    except PackageNotFoundError:
        return "0"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nostrclaw relay", description="A private Nostr relay with groups."
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder for its key and its events")
    add("--listen", default="127.0.0.1:7447", help="address and port; port 0 picks a free one")
    add("--unix", type=Path, help="listen on this Unix socket too")
    add("--roles", type=Path, help="roles.toml, which names the parts' public keys")
    add("--owner", help="public key of whom it belongs to: npub or hex")
    add("--sessions", type=Path, help="folder for the sockets of containers")
    add("--key", type=Path, help="file of the relay's own key; else made in the data folder")
    add("--open", action="store_true", help="a public relay: everybody reads and writes")
    add("--url", action="append", default=[], help="a further address of this relay (ws:// …)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
