"""Shell: the events on disk: SQLite with one writing connection and several reading ones.

The writer is the plain `sqlite3` module on a thread of its own, which takes a whole batch a
call; the readers are aiosqlite's. WAL, so that reading never waits for writing; synchronous
FULL, so that a commit that returned survives kill -9 and power loss.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import aiosqlite
import orjson

from nips.event import Event
from relay_local.access import audience, room
from relay_local.query import Statement, tag_key
from relay_local.retention import Address, address
from relay_local.schema import SCHEMA

T = TypeVar("T")

READERS = 3
_CHECKPOINT_PAGES = 8_000  # 32 MB of log: few, larger checkpoints
_MAX_BOUND = 500


class Transaction:
    """What may be asked and done inside the one writing transaction; on the writer's thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def knows(self, event_id: str) -> bool:
        """Say whether the id is here, or was."""
        key = bytes.fromhex(event_id)
        return self._has("SELECT 1 FROM events WHERE id = ?", key) or self._has(
            "SELECT 1 FROM gone WHERE id = ?", key
        )

    def event(self, event_id: str) -> Event | None:
        """A stored event by id."""
        return self._event("SELECT json FROM events WHERE id = ?", bytes.fromhex(event_id))

    def at(self, where: Address) -> Event | None:
        """The version stored at an address."""
        return self._event(
            "SELECT json FROM events WHERE pubkey = ? AND kind = ? AND d = ?",
            bytes.fromhex(where.pubkey),
            where.kind,
            where.d,
        )

    def insert(self, event: Event, body: bytes, expires_at: int | None) -> int:
        """Store an event; returns its arrival number."""
        where = address(event)
        cursor = self._connection.execute(
            "INSERT INTO events (id, pubkey, kind, created_at, d, room, audience, expires_at, json)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                bytes.fromhex(event.id),
                bytes.fromhex(event.pubkey),
                event.kind,
                event.created_at,
                where.d if where else None,
                room(event),
                int(audience(event)),
                expires_at,
                body,
            ),
        )
        seq = cursor.lastrowid
        assert seq is not None
        if keys := _tag_keys(event):
            self._connection.executemany(
                "INSERT INTO tags VALUES (?, ?, ?)",
                [(key, event.created_at, seq) for key in keys],
            )
        return seq

    def remove(self, event: Event) -> None:
        """Remove an event's content; its id stays known."""
        key = bytes.fromhex(event.id)
        row = self._connection.execute("SELECT seq FROM events WHERE id = ?", (key,)).fetchone()
        if row is None:
            return
        self._connection.execute("DELETE FROM events WHERE seq = ?", row)
        self._connection.executemany(
            "DELETE FROM tags WHERE tag = ? AND created_at = ? AND seq = ?",
            [(tag, event.created_at, row[0]) for tag in _tag_keys(event)],
        )
        self._connection.execute("INSERT OR IGNORE INTO gone VALUES (?)", (key,))

    def had_effect(self, pubkey: str, once_key: str) -> bool:
        """Say whether the author's once-key has been used."""
        return self._has("SELECT 1 FROM once WHERE effect = ?", _effect(pubkey, once_key))

    def record_effect(self, pubkey: str, once_key: str) -> None:
        """Use up an author's once-key."""
        self._connection.execute("INSERT INTO once VALUES (?)", (_effect(pubkey, once_key),))

    def record_deletion(self, pubkey: str, target: str, until: int) -> None:
        """Remember that `pubkey` deleted an id or address, in versions up to `until`."""
        self._connection.execute(
            "INSERT INTO deletions VALUES (?, ?) ON CONFLICT (target) "
            "DO UPDATE SET until = max(until, excluded.until)",
            (_effect(pubkey, target), until),
        )

    def is_deleted(self, event: Event) -> bool:
        """Say whether the event's author deleted it before it came."""
        row = self._connection.execute(
            "SELECT 1 FROM deletions WHERE target = ?", (_effect(event.pubkey, event.id),)
        ).fetchone()
        if row is not None or (where := address(event)) is None:
            return row is not None
        # NIP-09: "all versions … up to the created_at timestamp of the deletion request"
        return self._has(
            "SELECT 1 FROM deletions WHERE target = ? AND until >= ?",
            _effect(event.pubkey, str(where)),
            event.created_at,
        )

    def expired(self, now_s: int, limit: int) -> list[Event]:
        """Some of the stored events whose time is over."""
        rows = self._connection.execute(
            "SELECT json FROM events WHERE expires_at <= ? LIMIT ?", (now_s, limit)
        ).fetchall()
        return [Event.from_json(orjson.loads(row[0])) for row in rows]

    def next_expiry(self) -> int | None:
        """The first second at which something stored expires."""
        sql = "SELECT min(expires_at) FROM events WHERE expires_at IS NOT NULL"
        found: int | None = self._connection.execute(sql).fetchone()[0]
        return found

    def of_kinds(self, kinds: Sequence[int]) -> list[Event]:
        """Every stored event of some kinds in order of arrival."""
        marks = ",".join("?" * len(kinds))
        rows = self._connection.execute(
            f"SELECT json FROM events WHERE kind IN ({marks}) ORDER BY seq",  # noqa: S608 - marks
            tuple(kinds),
        )
        return [Event.from_json(orjson.loads(row[0])) for row in rows]

    def last_seq(self) -> int:
        """The last arrival number given out; 0 before the first."""
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
        ).fetchone()
        return int(row[0]) if row else 0

    def _has(self, sql: str, *values: object) -> bool:
        return self._connection.execute(sql, values).fetchone() is not None

    def _event(self, sql: str, *values: object) -> Event | None:
        row = self._connection.execute(sql, values).fetchone()
        return None if row is None else Event.from_json(orjson.loads(row[0]))


class Store:
    """The database. `epoch` is new for every new database: a reader's place in another one
    means nothing here."""

    def __init__(self, writer: sqlite3.Connection, thread: ThreadPoolExecutor, epoch: str) -> None:
        self.epoch = epoch
        self._writer = writer
        self._thread = thread
        self._readers: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction on the writer's thread; it is on disk on return.

        What `work` or SQLite raises comes out here, and nothing of the transaction stays.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._in_transaction, work)

    def _in_transaction(self, work: Callable[[Transaction], T]) -> T:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            result = work(Transaction(self._writer))
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        return result

    async def search(self, statement: Statement) -> list[tuple[int, int, bytes, int]]:
        """The rows (seq, created_at, id, size) of a statement of `query.py`."""
        async with self._reader() as reader:
            rows = await reader.execute_fetchall(statement.sql, statement.values)
        return [(row[0], row[1], row[2], row[3]) for row in rows]

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
        try:
            yield reader
        finally:
            self._readers.put_nowait(reader)

    async def add_reader(self, path: Path) -> None:
        """Open one more connection, which can read only."""
        reader = await aiosqlite.connect(path)
        await reader.execute("PRAGMA query_only = ON")
        self._readers.put_nowait(reader)

    async def close(self) -> None:
        """Close every connection; nothing may be under way."""
        while not self._readers.empty():
            await self._readers.get_nowait().close()
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
    return store


def _open_writer(path: Path) -> tuple[sqlite3.Connection, str]:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=64)
    path.chmod(0o600)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.executescript(SCHEMA)
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(16),))
    epoch = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()[0]
    return connection, str(epoch)


def _tag_keys(event: Event) -> set[bytes]:
    # NIP-01: "all single-letter … tags are expected to be indexed", by their first value
    return {
        tag_key(tag[0], tag[1])
        for tag in event.tags
        if len(tag) > 1 and len(tag[0]) == 1 and tag[0].isascii() and tag[0].isalpha()
    }


def _effect(pubkey: str, name: str) -> bytes:
    return bytes.fromhex(pubkey) + sha256(name.encode()).digest()
