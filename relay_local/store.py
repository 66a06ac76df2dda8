"""Shell: the events on disk: SQLite with one writing connection and several reading ones.

The writer is the plain `sqlite3` module on a thread of its own, which takes a whole batch a
call; the readers are aiosqlite's. WAL, so that reading never waits for writing; synchronous
FULL, so that a commit that returned survives kill -9 and power loss.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import aiosqlite

from relay_local.query import Statement
from relay_local.schema import SCHEMA
from relay_local.transaction import Transaction

T = TypeVar("T")

READERS = 3
MAX_QUERY_S = 10.0
_STEPS_A_LOOK = 100_000  # of SQLite's machine, some milliseconds, between two looks at the clock
_MOMENT_S = 0.001  # for how long the event loop itself may be kept by a question
_STEPS_A_GLANCE = 1_000  # some ten microseconds
_CHECKPOINT_PAGES = 8_000  # 32 MB of log: few, larger checkpoints
_WRITER_CACHE_KIB = 16_000  # the pages of every index that new rows go into
_MAX_BOUND = 500


class TooSlow(sqlite3.OperationalError):
    """A question took longer than anybody may keep a reading connection from the others."""

    def __init__(self) -> None:
        super().__init__(
            f"this took longer than {MAX_QUERY_S:g} s; ask for less, by kinds, since or limit"
        )


@dataclass(slots=True)
class _Reader:
    """A reading connection. `ends_s`: when its question must be answered, by the monotonic
    clock."""

    connection: aiosqlite.Connection
    ends_s: float = 0.0

    def is_late(self) -> int:
        return int(time.monotonic() > self.ends_s)


class _Quick:
    """A connection that answers on the event loop, within a moment or not at all: handing a
    question to a thread and its answer back costs more than most questions do."""

    def __init__(self, path: Path) -> None:
        self._ends_s = 0.0
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        self._connection.execute("PRAGMA query_only = ON")
        # Attack: a question that reads all there is would stop everybody's connections.
        self._connection.set_progress_handler(self._is_late, _STEPS_A_GLANCE)

    def _is_late(self) -> int:
        return int(time.monotonic() > self._ends_s)

    def rows(self, statement: Statement) -> list[tuple[int, int, bytes, int, bytes | None]] | None:
        """All rows, or None."""
        self._ends_s = time.monotonic() + _MOMENT_S
        try:
            return self._connection.execute(statement.sql, statement.values).fetchall()
        except sqlite3.OperationalError:  # asked again where there is time, or it is told
            return None

    def close(self) -> None:
        self._connection.close()


class Store:
    """The database. `epoch` is new for every new database: a reader's place in another one
    means nothing here."""

    def __init__(self, writer: sqlite3.Connection, thread: ThreadPoolExecutor, epoch: str) -> None:
        self.epoch = epoch
        self._writer = writer
        self._thread = thread
        self._readers: asyncio.LifoQueue[_Reader] = asyncio.LifoQueue()
        self._quick: _Quick | None = None
        self._writing = 0
        self.newest = 0  # the greatest arrival number of this run that a search may have met

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction on the writer's thread; it is on disk on return.

        What `work` or SQLite raises comes out here, and nothing of the transaction stays.
        """
        loop = asyncio.get_running_loop()
        self._writing += 1
        try:
            return await loop.run_in_executor(self._thread, self._in_transaction, work)
        finally:
            self._writing -= 1

    def _in_transaction(self, work: Callable[[Transaction], T]) -> T:
        self._writer.execute("BEGIN IMMEDIATE")
        before = self.newest
        try:
            transaction = Transaction(self._writer)
            result = work(transaction)
            transaction.write_out()
            self.newest = transaction.newest or before  # before anybody can find it
            self._writer.execute("COMMIT")
        except BaseException:
            self.newest = before
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        return result

    async def search(self, statement: Statement) -> list[tuple[int, int, bytes, int]]:
        """The rows (seq, created_at, id, size) of a statement of `query.py`."""
        async with self._reader() as reader:
            rows = await reader.execute_fetchall(statement.sql, statement.values)
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    async def search_whole(
        self, statement: Statement
    ) -> list[tuple[int, int, bytes, int, bytes | None]]:
        """The rows of `search` and, where it is short, each one's JSON, of `with_bodies`."""
        # Beside a busy writer the loop would queue for the interpreter's lock at every row.
        quick = None if self._writing else self._quick
        if quick is not None and (found := quick.rows(statement)) is not None:
            return found
        async with self._reader() as reader:
            rows = await reader.execute_fetchall(statement.sql, statement.values)
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]

    async def number(self, statement: Statement) -> int:
        """The one number that a statement yields."""
        async with self._reader() as reader:
            rows = list(await reader.execute_fetchall(statement.sql, statement.values))
        return int(rows[0][0])

    async def bodies(self, seqs: Sequence[int]) -> list[tuple[int, bytes]]:
        """The (seq, JSON) of arrival numbers, in their order; those gone meanwhile are left out."""
        found: dict[int, bytes] = {}
        async with self._reader() as reader:
            for start in range(0, len(seqs), _MAX_BOUND):
                some = seqs[start : start + _MAX_BOUND]
                marks = ",".join("?" * len(some))
                sql = f"SELECT seq, json FROM events WHERE seq IN ({marks})"  # noqa: S608 - marks
                found.update((row[0], row[1]) for row in await reader.execute_fetchall(sql, some))
        return [(seq, found[seq]) for seq in seqs if seq in found]

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[aiosqlite.Connection]:
        reader = await self._readers.get()
        reader.ends_s = time.monotonic() + MAX_QUERY_S
        try:
            yield reader.connection
        except sqlite3.OperationalError as error:
            if reader.is_late():
                raise TooSlow from error
            raise
        finally:
            self._readers.put_nowait(reader)

    def answer_at_once(self, path: Path) -> None:
        """From now on answer on the event loop what takes but a moment."""
        self._quick = _Quick(path)

    async def add_reader(self, path: Path) -> None:
        """Open one more connection, which can read only."""
        reader = _Reader(await aiosqlite.connect(path))
        await reader.connection.execute("PRAGMA query_only = ON")
        # Attack: a few questions that read all there is would keep everybody from reading.
        await reader.connection.set_progress_handler(reader.is_late, _STEPS_A_LOOK)
        self._readers.put_nowait(reader)

    async def close(self) -> None:
        """Close every connection; nothing may be under way."""
        if self._quick is not None:
            self._quick.close()
        while not self._readers.empty():
            await self._readers.get_nowait().connection.close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._writer.close)
        self._thread.shutdown()


async def open_store(path: Path) -> Store:
    """Open, or make, the database at `path`. Raises sqlite3.Error or OSError."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="relay-writer")
    loop = asyncio.get_running_loop()
    writer, epoch = await loop.run_in_executor(thread, _open_writer, path)
    store = Store(writer, thread, epoch)
    for _ in range(READERS):
        await store.add_reader(path)
    store.answer_at_once(path)
    return store


def _open_writer(path: Path) -> tuple[sqlite3.Connection, str]:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=128)
    path.chmod(0o600)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.executescript(SCHEMA)
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(16),))
    epoch = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()[0]
    return connection, str(epoch)
