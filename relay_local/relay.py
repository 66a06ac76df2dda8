"""Shell: a whole relay from its settings: opened, caught up with its own events, listening."""

from __future__ import annotations

import asyncio
import fcntl
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import structlog

from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from relay_local.groups import MODERATION
from relay_local.hub import Hub
from relay_local.ingest import Ingest
from relay_local.listening import (
    UNIX_URL,
    check,
    in_url,
    listen_metrics,
    listen_tcp,
    listen_unix,
    sockets_of,
    unlink,
)
from relay_local.measurements import measure
from relay_local.metrics import render
from relay_local.moderation import Sign, restore
from relay_local.relay_settings import CannotStart, RelaySettings
from relay_local.server import RelayServer, close_server
from relay_local.sessions import SessionSockets
from relay_local.store import Store, open_store
from relay_local.sweep import Sweep
from relay_local.transaction import Transaction
from relay_local.word_index import WordIndex
from relay_local.world import World

__all__ = ["DATABASE", "CannotStart", "RelaySettings", "RunningRelay", "holding", "running"]

DATABASE = "events.sqlite"

log = structlog.get_logger("relay")


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
    check(settings)
    async with AsyncExitStack() as stack:
        held = await stack.enter_async_context(holding(settings, now_s()))
        store, world, last_seq = held.store, held.world, held.last_seq
        words = WordIndex(store, last_seq)
        hub = Hub(store, words, now_s, settings.limits)
        await hub.management.load()
        server = RelayServer(hub, settings.version)
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
            deliver=hub.deliver,
            prepare=prepare,
            last_seq=last_seq,
        )
        hub.ingest = ingest
        ingest.start()
        stack.push_async_callback(ingest.close)
        indexing = asyncio.create_task(words.run())
        stack.push_async_callback(_cancelled, indexing)
        sweeping = asyncio.create_task(Sweep(store, lambda: hub.world, now_s).run())
        stack.push_async_callback(_cancelled, sweeping)
        if sockets is not None:
            try:
                sockets.clear(world)
                await sockets.prepare(world)
            except OSError as error:
                raise CannotStart(f"{settings.sessions}: {error.strerror}") from error
            stack.push_async_callback(sockets.close)
        tcp = await listen_tcp(server, settings)
        stack.push_async_callback(close_server, tcp)
        port = tcp.sockets[0].getsockname()[1]
        for path in sockets_of(settings):
            unix = await listen_unix(server, path)
            stack.callback(partial(unlink, path))
            stack.push_async_callback(close_server, unix)
        if settings.metrics is not None:
            body = lambda: render(measure(hub, settings.data / DATABASE))  # noqa: E731
            scraped = await listen_metrics(settings.metrics, body)
            stack.callback(scraped.close)
        stack.push_async_callback(server.drain)
        yield RunningRelay(f"ws://{in_url(settings.host)}:{port}", settings.unix, ingest)


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
        raise CannotStart(
            f"{folder} cannot be used: {error.strerror}. Choose another folder with --data."
        ) from error
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


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _sign(key: SecretKey, template: Template) -> Event:
    return template.sign(key, secrets.token_bytes(32))
