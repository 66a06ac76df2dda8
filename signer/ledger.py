"""Shell: everything the signer must not forget, in one SQLite database.

One transaction holds all that belongs to a signature: the audit row, what it cost, and the answer
under its request's id. It is committed before the signature leaves the process; where it cannot
be written nothing is signed. The audit rows are a chain: each holds the hash of the one before.

Used from one thread. Source: SQLite "Write-Ahead Logging", `PRAGMA synchronous`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson

from nips.event import Event
from nips.own.grant import Grant
from signer.buckets import Spent
from signer.grants import Held

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (          -- one row per client key, for good
    client TEXT PRIMARY KEY, event TEXT NOT NULL, arrived_s REAL NOT NULL,
    hard_expires_at INTEGER NOT NULL, revoked INTEGER NOT NULL, refusals INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (name TEXT PRIMARY KEY, amount REAL NOT NULL, at_s REAL NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signed (        -- published: 0 not yet, 1 it is on the relay
    id TEXT PRIMARY KEY, event TEXT NOT NULL, published INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unpublished ON signed (id) WHERE published = 0;
CREATE TABLE IF NOT EXISTS once (key TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    client TEXT NOT NULL, request TEXT NOT NULL, body TEXT NOT NULL,
    result TEXT NOT NULL, id TEXT, PRIMARY KEY (client, request)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    n INTEGER PRIMARY KEY, at_s INTEGER NOT NULL, client TEXT NOT NULL, method TEXT NOT NULL,
    outcome TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL
);
"""
_GENESIS = "00" * 32


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request. `event_id`: of the signed event it is about, if any."""

    body_hash: str
    result: str
    event_id: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the audit chain. `outcome`: words for people; never a text's content."""

    at_s: int
    client: str
    method: str
    outcome: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The audit chain as it was found: its length, its head, and the first row that is wrong."""

    rows: int
    head: str
    broken_at: int | None


class Ledger:
    """See above. Writes happen inside `transaction`."""

    def __init__(self, path: Path) -> None:
        """Open or make the database, readable by its owner only. Raises sqlite3.Error."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
        self._db.execute("PRAGMA secure_delete = ON")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; on the disk when the block ends. Raises sqlite3.Error."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # Single values

    def get(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def set_clock(self, now_s: float) -> None:
        """Take `now_s` for the highest time seen, and nothing for later: a clock that once ran
        ahead would else stop the signer until then."""
        self.put("high_water_s", repr(now_s))
        self._db.execute("UPDATE spent SET at_s = min(at_s, ?)", (now_s,))
        self._db.execute("UPDATE held SET arrived_s = min(arrived_s, ?)", (now_s,))

    # Grants

    def held(self, client: str) -> Held | None:
        """What is known of a client key."""
        row = self._db.execute(
            "SELECT event, arrived_s, hard_expires_at, revoked FROM held WHERE client = ?",
            (client,),
        ).fetchone()
        if row is None:
            return None
        event = Event.from_json(orjson.loads(row[0]))
        grant = Grant.from_json(orjson.loads(event.content))
        return Held(grant, event, float(row[1]), int(row[2]), bool(row[3]))

    def hold(self, held: Held) -> None:
        """Keep what is now known of a client key."""
        self._db.execute(
            "INSERT INTO held (client, event, arrived_s, hard_expires_at, revoked)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (client) DO UPDATE SET event = excluded.event,"
            " arrived_s = excluded.arrived_s, hard_expires_at = excluded.hard_expires_at,"
            " revoked = excluded.revoked",
            (
                held.grant.client,
                _text(held.event),
                held.arrived_s,
                held.hard_expires_at,
                held.revoked,
            ),
        )

    def count_refusal(self, client: str) -> int:
        """Count a refusal of a known key, and return how many it has had."""
        row = self._db.execute(
            "UPDATE held SET refusals = refusals + 1 WHERE client = ? RETURNING refusals",
            (client,),
        ).fetchone()
        return 0 if row is None else int(row[0])

    # Costs

    def spent(self, name: str) -> Spent | None:
        row = self._db.execute("SELECT amount, at_s FROM spent WHERE name = ?", (name,)).fetchone()
        return None if row is None else Spent(float(row[0]), float(row[1]))

    def spend(self, name: str, spent: Spent) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO spent VALUES (?, ?, ?)", (name, spent.amount, spent.at_s)
        )

    # Signatures and answers

    def keep_signed(self, event: Event, once: str | None) -> None:
        """Keep an event that is to be published."""
        self._db.execute("INSERT OR IGNORE INTO signed VALUES (?, ?, 0)", (event.id, _text(event)))
        if once is not None:
            self._db.execute("INSERT INTO once VALUES (?, ?)", (once, event.id))

    def signed(self, event_id: str) -> Event | None:
        row = self._db.execute("SELECT event FROM signed WHERE id = ?", (event_id,)).fetchone()
        return None if row is None else Event.from_json(orjson.loads(row[0]))

    def signed_once(self, once: str) -> Event | None:
        """The first event signed under a once-key."""
        row = self._db.execute("SELECT id FROM once WHERE key = ?", (once,)).fetchone()
        return None if row is None else self.signed(str(row[0]))

    def unpublished(self) -> list[Event]:
        """What was signed and may not be on the relay yet."""
        rows = self._db.execute("SELECT event FROM signed WHERE published = 0").fetchall()
        return [Event.from_json(orjson.loads(row[0])) for row in rows]

    def settle(self, event_ids: Sequence[str]) -> None:
        """Note that the relay has answered for these events."""
        self._db.executemany(
            "UPDATE signed SET published = 1 WHERE id = ?", [(event_id,) for event_id in event_ids]
        )

    def answer(self, client: str, request: str) -> Answer | None:
        row = self._db.execute(
            "SELECT body, result, id FROM answers WHERE client = ? AND request = ?",
            (client, request),
        ).fetchone()
        return None if row is None else Answer(*row)

    def keep_answer(self, client: str, request: str, answer: Answer) -> None:
        self._db.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?)",
            (client, request, answer.body_hash, answer.result, answer.event_id),
        )

    # The audit chain

    def audit(self, entry: Entry) -> None:
        """Append a row to the chain."""
        row = self._db.execute("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1").fetchone()
        n, before = (row[0] + 1, row[1]) if row else (1, _GENESIS)
        self._db.execute(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                n,
                entry.at_s,
                entry.client,
                entry.method,
                entry.outcome,
                entry.event_id,
                _link(before, n, entry),
            ),
        )

    def verify(self) -> Chain:
        """Read the whole chain and say where it breaks, if it does."""
        n, head = 0, _GENESIS
        for row in self._db.execute(
            "SELECT n, at_s, client, method, outcome, id, hash FROM audit ORDER BY n"
        ):
            n += 1
            head = _link(head, n, Entry(*row[1:6]))
            if row[0] != n or row[6] != head:
                return Chain(n, head, broken_at=n)
        return Chain(n, head, broken_at=None)


def _link(before: str, n: int, entry: Entry) -> str:
    fields = [before, n, entry.at_s, entry.client, entry.method, entry.outcome, entry.event_id]
    return sha256(json.dumps(fields, separators=(",", ":")).encode()).hexdigest()


def _text(event: Event) -> str:
    return orjson.dumps(event.to_json()).decode()
