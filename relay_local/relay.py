"""Shell: a whole relay from its settings: opened, caught up with its own events, listening."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import structlog
from websockets.asyncio.server import Server

from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.roles import Roles
from relay_local.groups import MODERATION
from relay_local.ingest import Ingest
from relay_local.limits import Limits
from relay_local.measurements import measure
from relay_local.metrics import render
from relay_local.moderation import Sign, restore
from relay_local.scrape import serve_metrics
from relay_local.server import RelayServer, close_server
from relay_local.sessions import MAX_PATH_BYTES, SOCKET, SessionSockets
from relay_local.store import Store, open_store
from relay_local.transaction import Transaction
from relay_local.word_index import WordIndex
from relay_local.world import World

UNIX_URL = "ws://relay.local"  # the address to authenticate to on any Unix socket
DATABASE = "events.sqlite"

log = structlog.get_logger("relay")


class CannotStart(Exception):
    """The relay cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What a relay is started with.

    data: its folder. host, port: where it listens, port 0 for a free one. unix: the socket for
    the house's own parts. sessions: the folder for containers' sockets. urls: further addresses
    that clients may authenticate to, such as one behind a proxy. public: open to everybody.
    metrics: a loopback address and port where Prometheus may read.
    """

    data: Path
    key: SecretKey
    host: str = "127.0.0.1"
    port: int = 0
    unix: Path | None = None
    roles: Roles | None = None
    owner: str | None = None
    sessions: Path | None = None
    urls: tuple[str, ...] = ()
    public: bool = False
    version: str = "0"
    limits: Limits = field(default_factory=Limits)
    metrics: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class RunningRelay:
    """A relay that listens. `url`: its TCP address."""

    url: str
    unix: Path | None
    ingest: Ingest


@dataclass(frozen=True, slots=True)
class Held:
    """A relay's folder that belongs to this process, and the world as its events have it."""

    store: Store
    world: World
    last_seq: int
    sign: Sign


@asynccontextmanager
async def holding(settings: RelaySettings, now_s: int) -> AsyncIterator[Held]:
    """Take a relay's folder, without listening anywhere. Raises CannotStart."""
    async with AsyncExitStack() as stack:
        stack.enter_context(_lock(settings.data))
        store = await _open(settings)
        stack.push_async_callback(store.close)
        work = partial(_catch_up, settings=settings, now_s=now_s)
        try:
            world, last_seq = await store.write(work)
        except sqlite3.Error as error:
            raise _unusable(settings.data / DATABASE, error) from error
        yield Held(store, world, last_seq, partial(_sign, settings.key))


@asynccontextmanager
async def running(
    settings: RelaySettings, now_s: Callable[[], int] = lambda: int(time.time())
) -> AsyncIterator[RunningRelay]:
    """Run a relay; on leaving it closes cleanly. Raises CannotStart."""
    _check(settings)
    async with AsyncExitStack() as stack:
        held = await stack.enter_async_context(holding(settings, now_s()))
        store, world, last_seq = held.store, held.world, held.last_seq
        words = WordIndex(store, last_seq)
        server = RelayServer(store, words, now_s, settings.version, settings.limits)
        await server.management.load()
        listen = partial(server.listen_unix, accepted=(UNIX_URL,))
        sockets = None
        if settings.sessions is not None:
            sockets = SessionSockets(
                settings.sessions, lambda path, key: listen(path, session=key), now_s
            )

        async def prepare(new: World) -> None:
            if sockets is not None:
                await sockets.prepare(new)

        ingest = Ingest(
            store,
            world,
            sign=partial(_sign, settings.key),
            now_s=now_s,
            deliver=server.deliver,
            prepare=prepare,
            last_seq=last_seq,
        )
        server.ingest = ingest
        ingest.start()
        stack.push_async_callback(ingest.close)
        indexing = asyncio.create_task(words.run())
        stack.push_async_callback(_cancelled, indexing)
        if sockets is not None:
            try:
                sockets.clear(world)
                await sockets.prepare(world)
            except OSError as error:
                raise CannotStart(f"{settings.sessions}: {error.strerror}") from error
            stack.push_async_callback(sockets.close)
        tcp = await _listen_tcp(server, settings)
        stack.push_async_callback(close_server, tcp)
        port = tcp.sockets[0].getsockname()[1]
        if settings.unix is not None:
            unix = await _listen_unix(server, settings.unix)
            stack.callback(partial(_unlink, settings.unix))
            stack.push_async_callback(close_server, unix)
        if settings.metrics is not None:
            body = lambda: render(measure(server, ingest, settings.data / DATABASE))  # noqa: E731
            scraped = await _listen_metrics(settings.metrics, body)
            stack.callback(scraped.close)
        stack.push_async_callback(server.drain)
        yield RunningRelay(f"ws://{_in_url(settings.host)}:{port}", settings.unix, ingest)


def _check(settings: RelaySettings) -> None:
    longest = [settings.unix] if settings.unix else []
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


def _lock(folder: Path) -> BinaryIO:
    """Take the data folder for this process alone; the system lets go of it however we end."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / "lock").open("wb")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotStart(
            f"another relay runs on {folder}. Stop it, or choose another folder with --data."
        ) from error
    except OSError as error:
        raise CannotStart(f"{folder} cannot be used: {error.strerror}") from error
    return file


async def _open(settings: RelaySettings) -> Store:
    path = settings.data / DATABASE
    try:
        return await open_store(path)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> CannotStart:
    return CannotStart(
        f"{path} cannot be used: {error}. See whether the disk is full and the file is this "
        "user's own; a damaged file must be replaced by its backup."
    )


def _catch_up(transaction: Transaction, settings: RelaySettings, now_s: int) -> tuple[World, int]:
    world = World(settings.key.public, settings.roles, settings.owner, settings.public)
    for event in transaction.of_kinds([*sorted(MODERATION), Kind.APP_DATA]):
        world = world.after(event, now_s)
    restore(transaction, world, now_s, partial(_sign, settings.key))
    return world, transaction.last_seq()


async def _listen_tcp(server: RelayServer, settings: RelaySettings) -> Server:
    # The addresses to authenticate to hold the port, which with 0 is known only once it listens.
    accepted: list[str] = list(settings.urls)
    try:
        tcp = await server.listen_tcp(settings.host, settings.port, accepted)
    except (OSError, OverflowError) as error:
        raise CannotStart(
            f"{settings.host}:{settings.port} cannot be listened on: {error}. "
            "Stop what uses it, or choose another port with --listen."
        ) from error
    port = tcp.sockets[0].getsockname()[1]
    accepted += [f"ws://{_in_url(host)}:{port}" for host in {settings.host, *_names(settings.host)}]
    return tcp


async def _listen_metrics(where: tuple[str, int], measured: Callable[[], str]) -> asyncio.Server:
    try:
        return await serve_metrics(*where, measured)
    except (OSError, OverflowError, ValueError) as error:
        raise CannotStart(
            f"{where[0]}:{where[1]} cannot serve the metrics: {error}. Give a free port of this "
            "machine alone, such as --metrics 127.0.0.1:9447."
        ) from error


def _names(host: str) -> Sequence[str]:
    """What else a loopback address is called."""
    return ("127.0.0.1", "localhost", "::1") if host in ("127.0.0.1", "::1", "localhost") else ()


async def _listen_unix(server: RelayServer, path: Path) -> Server:
    try:
        _make_room(path)
        return await server.listen_unix(path, (UNIX_URL,))
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


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _sign(key: SecretKey, template: Template) -> Event:
    return template.sign(key, secrets.token_bytes(32))
