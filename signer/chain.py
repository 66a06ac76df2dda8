"""Shell: the audit chain: what was asked of the key and what came of it, row after row.

Each row holds the hash of the one before, so that a row that is changed, taken out or put in
between shows. That rows at the end are missing shows against a head that was told to the owner
(nips/own/audit_head.py). Times, keys, methods and ids; never a text's content.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

_SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    n INTEGER PRIMARY KEY, at_s INTEGER NOT NULL, client TEXT NOT NULL, method TEXT NOT NULL,
    outcome TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL
);
"""
GENESIS = "00" * 32  # the head of a chain without rows


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


class AuditChain:
    """The rows in the ledger's database `db`. `append` belongs into the ledger's transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(_SCHEMA)

    def head(self) -> tuple[int, str]:
        """How many rows there are, and the last one's hash."""
        row = self._db.execute("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1").fetchone()
        return (0, GENESIS) if row is None else (int(row[0]), str(row[1]))

    def append(self, entry: Entry) -> None:
        """Add a row."""
        n, before = self.head()
        self._db.execute(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                n + 1,
                entry.at_s,
                entry.client,
                entry.method,
                entry.outcome,
                entry.event_id,
                _link(before, n + 1, entry),
            ),
        )

    def entries(self, since_s: int = 0) -> Iterator[tuple[int, Entry]]:
        """The rows from a second on, with their numbers, oldest first."""
        for row in self._db.execute(
            "SELECT n, at_s, client, method, outcome, id FROM audit WHERE at_s >= ? ORDER BY n",
            (since_s,),
        ):
            yield int(row[0]), Entry(*row[1:])

    def hash_of(self, n: int) -> str | None:
        """The hash that stands in row `n`; GENESIS before the first, None where there is none."""
        if n == 0:
            return GENESIS
        row = self._db.execute("SELECT hash FROM audit WHERE n = ?", (n,)).fetchone()
        return None if row is None else str(row[0])

    def verify(self) -> Chain:
        """Read the whole chain and say where it breaks, if it does."""
        n, head = 0, GENESIS
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
