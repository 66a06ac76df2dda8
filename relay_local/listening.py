"""Shell: where a relay listens, and in what words it says that it cannot."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from websockets.asyncio.server import Server

from relay_local.relay_settings import CannotStart, RelaySettings
from relay_local.scrape import serve_metrics
from relay_local.server import RelayServer
from relay_local.sessions import MAX_PATH_BYTES, SOCKET

UNIX_URL = "ws://relay.local"  # the address to authenticate to on any Unix socket


def check(settings: RelaySettings) -> None:
    """Raise CannotStart where settings can be seen not to work."""
    longest = sockets_of(settings)
    if settings.sessions is not None:
        longest.append(settings.sessions / ("0" * 16) / SOCKET)
    for path in longest:
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise CannotStart(
                f"the socket path {path} is longer than {MAX_PATH_BYTES} bytes, which the system "
                "does not allow. Choose a shorter folder for it."
            )
    if settings.roles is not None and settings.roles.relay != settings.key.public:
        raise CannotStart(
            f"the key file holds {settings.key.public}, but the roles file names "
            f"{settings.roles.relay} as the relay. Give the key that belongs to it."
        )


async def listen_tcp(server: RelayServer, settings: RelaySettings) -> Server:
    """Listen for clients. Raises CannotStart."""
    # The addresses to authenticate to hold the port, which with 0 is known only once it listens.
    accepted: list[str] = list(settings.urls)
    try:
        tcp = await server.listen_tcp(settings.host, settings.port, accepted)
    except (OSError, OverflowError) as error:
        raise CannotStart(
            f"{settings.host}:{settings.port} cannot be listened on: {_reason(error)}. "
            "Stop what uses it, or choose another port with --listen."
        ) from error
    port = tcp.sockets[0].getsockname()[1]
    accepted += [f"ws://{in_url(host)}:{port}" for host in {settings.host, *_names(settings.host)}]
    return tcp


async def listen_metrics(where: tuple[str, int], measured: Callable[[], str]) -> asyncio.Server:
    """Listen for Prometheus. Raises CannotStart."""
    try:
        return await serve_metrics(*where, measured)
    except (OSError, OverflowError, ValueError) as error:
        raise CannotStart(
            f"{where[0]}:{where[1]} cannot serve the metrics: {_reason(error)}. Give a free port "
            "of this machine alone, such as --metrics 127.0.0.1:9447."
        ) from error


def _names(host: str) -> Sequence[str]:
    """What else a loopback address is called."""
    return ("127.0.0.1", "localhost", "::1") if host in ("127.0.0.1", "::1", "localhost") else ()


def sockets_of(settings: RelaySettings) -> list[Path]:
    """The Unix sockets that are asked for."""
    return [*([settings.unix] if settings.unix else []), *settings.more_unix]


async def listen_unix(server: RelayServer, path: Path) -> Server:
    """Listen on a Unix socket, and take the place of a relay that was killed. Raises
    CannotStart."""
    try:
        _make_room(path)
        listening = await server.listen_unix(path, (UNIX_URL,))
        # A folder of mode 0700 that belongs to another user is that user's own way in.
        if os.geteuid() == 0 and (owner := path.parent.stat()).st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        return listening
    except OSError as error:
        raise CannotStart(f"{path} cannot be listened on: {error.strerror}") from error


def _make_room(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.is_socket() and not _answers(path):
        path.unlink()  # left by a relay that was killed
    if path.exists():
        raise CannotStart(
            f"{path} is in use. Stop the relay that listens on it, or choose another path."
        )


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def unlink(path: Path) -> None:
    """Remove a socket, if it is still there."""
    with suppress(OSError):
        path.unlink()


def in_url(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _reason(error: Exception) -> str:
    # The library's own text names the address again, and a number.
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error)
