"""Shell: everything the signer must not forget, in one SQLite database.

One transaction holds all that belongs to a signature: the audit row, what it cost, and the answer
under its request's id. It is committed before the signature leaves the process; where it cannot
be written nothing is signed. Tables with rules of their own stand in files of their own.

Used from one thread. Source: SQLite "Write-Ahead Logging", `PRAGMA synchronous`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from nips.event import Event
from nips.refusal import Prefix, Refusal, Refused
from signer import held_rows
from signer.buckets import Spent
from signer.chain import AuditChain
from signer.grants import Held
from signer.keystore import open_own
from signer.stewardship import as_owner_of

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
    result TEXT NOT NULL, id TEXT, at_s REAL NOT NULL DEFAULT 0, PRIMARY KEY (client, request)
) WITHOUT ROWID;
"""
# The log is copied into the database after so many pages: seldom, since each time it is two more
# writes that a signature waits for, and soon enough that a start has little to read.
_CHECKPOINT_PAGES = 4_000
MAX_KNOWN = 1_024


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request. `event_id`: of the signed event it is about, if any.

    result: None where the answer is that event itself, which is kept once, among the signed ones.
    """

    body_hash: str
    result: str | None
    event_id: str | None


class Ledger:
    """See above. Writes happen inside `transaction`.

    chain: the audit rows. db: the connection, for tables that stand in a file of their own: such
    a class takes the ledger, makes its tables by `db.executescript("CREATE TABLE IF NOT EXISTS …")`
    when it is made, and writes through `db.execute` inside this same `transaction`.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the database, readable by its owner only. Raises sqlite3.Error."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with as_owner_of(path.parent):
            os.close(open_own(path))
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
            self.db.execute("PRAGMA secure_delete = ON")
            self.db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            self.db.executescript(_SCHEMA)
        columns = {row[1] for row in self.db.execute("PRAGMA table_info(answers)")}
        if "at_s" not in columns:  # a ledger of the first version
            self.db.execute("ALTER TABLE answers ADD COLUMN at_s REAL NOT NULL DEFAULT 0")
        self.chain = AuditChain(self.db)
        self._known: dict[str, Held | None] = {}  # rows of `held`, as they were read
        self._version = -1

    def close(self) -> None:
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; on the disk when the block ends. Raises sqlite3.Error."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self._forget_what_others_wrote()
            yield
            self.db.execute("COMMIT")
        except BaseException:
            self._known.clear()  # it may know what is now undone
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def _forget_what_others_wrote(self) -> None:
        # SQLite: the value changes "if changes were committed … by any other connection".
        # Attack: a key revoked from the command line that lives on in this process's memory.
        (version,) = self.db.execute("PRAGMA data_version").fetchone()
        if version != self._version or len(self._known) >= MAX_KNOWN:
            self._version = version
            self._known.clear()

    # Single values

    def get(self, name: str) -> str | None:
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def set_clock(self, now_s: float) -> None:
        """Take `now_s` for the highest time seen, and nothing for later: a clock that once ran
        ahead would else stop the signer until then."""
        self.put("high_water_s", repr(now_s))
        self.db.execute("UPDATE spent SET at_s = min(at_s, ?)", (now_s,))
        self.db.execute("UPDATE held SET arrived_s = min(arrived_s, ?)", (now_s,))
        self._known.clear()

    # Grants

    def held(self, client: str) -> Held | None:
        """What is known of a client key."""
        if not self.db.in_transaction:
            self._forget_what_others_wrote()
        if client not in self._known:
            self._known[client] = held_rows.read(self.db, client)
        return self._known[client]

    def hold(self, held: Held) -> None:
        """Keep what is now known of a client key."""
        held_rows.write(self.db, held)
        self._known[held.grant.client] = held

    def sessions(self, now_s: float) -> list[str]:
        """The client keys of the sessions whose grants are neither revoked nor over."""
        rows = self.db.execute(
            "SELECT client FROM held WHERE revoked = 0 AND hard_expires_at > ?"
            " AND json_extract(json_extract(event, '$.content'), '$.role') = 'session'",
            (now_s,),
        )
        return [str(row[0]) for row in rows]

    def count_refusal(self, client: str) -> int:
        """Count a refusal of a known key, and return how many it has had."""
        row = self.db.execute(
            "UPDATE held SET refusals = refusals + 1 WHERE client = ? RETURNING refusals",
            (client,),
        ).fetchone()
        return 0 if row is None else int(row[0])

    # Costs

    def spent(self, name: str) -> Spent | None:
        row = self.db.execute("SELECT amount, at_s FROM spent WHERE name = ?", (name,)).fetchone()
        return None if row is None else Spent(float(row[0]), float(row[1]))

    def spend(self, name: str, spent: Spent) -> None:
        self.db.execute(
            "INSERT OR REPLACE INTO spent VALUES (?, ?, ?)", (name, spent.amount, spent.at_s)
        )

    def all_spent(self, names: Sequence[str]) -> dict[str, Spent]:
        """What is stored under these names, where something is."""
        marks = ",".join("?" * len(names))
        rows = self.db.execute(
            f"SELECT name, amount, at_s FROM spent WHERE name IN ({marks})",  # noqa: S608 - marks
            names,
        )
        return {str(name): Spent(float(amount), float(at_s)) for name, amount, at_s in rows}

    def spend_all(self, spent: Mapping[str, Spent]) -> None:
        """Store these."""
        self.db.executemany(
            "INSERT OR REPLACE INTO spent VALUES (?, ?, ?)",
            [(name, one.amount, one.at_s) for name, one in spent.items()],
        )

    # Signatures and answers

    def keep_signed(self, event: Event, once: str | None) -> None:
        """Keep an event that is to be published."""
        self.db.execute("INSERT OR IGNORE INTO signed VALUES (?, ?, 0)", (event.id, _text(event)))
        if once is not None:
            self.db.execute("INSERT INTO once VALUES (?, ?)", (once, event.id))

    def signed(self, event_id: str) -> Event | None:
        row = self.db.execute("SELECT event FROM signed WHERE id = ?", (event_id,)).fetchone()
        return None if row is None else Event.from_json(orjson.loads(row[0]))

    def signed_once(self, once: str) -> Event | None:
        """The first event signed under a once-key. Raises Refused where it is kept no more."""
        row = self.db.execute("SELECT id FROM once WHERE key = ?", (once,)).fetchone()
        if row is None:
            return None
        if (event := self.signed(str(row[0]))) is None:
            # Attack: wait until an event is forgotten, and have it signed once more.
            raise Refused(Refusal(Prefix.DUPLICATE, "this once-key was used long ago"))
        return event

    def unpublished(self) -> list[Event]:
        """What was signed and may not be on the relay yet."""
        rows = self.db.execute("SELECT event FROM signed WHERE published = 0").fetchall()
        return [Event.from_json(orjson.loads(row[0])) for row in rows]

    def settle(self, event_ids: Sequence[str]) -> None:
        """Note that the relay has answered for these events."""
        self.db.executemany(
            "UPDATE signed SET published = 1 WHERE id = ?", [(event_id,) for event_id in event_ids]
        )

    def answer(self, client: str, request: str) -> Answer | None:
        row = self.db.execute(
            "SELECT body, result, id FROM answers WHERE client = ? AND request = ?",
            (client, request),
        ).fetchone()
        return None if row is None else Answer(row[0], row[1] or None, row[2])

    def keep_answer(self, client: str, request: str, answer: Answer) -> None:
        self.db.execute(
            "INSERT INTO answers SELECT ?, ?, ?, ?, ?, coalesce((SELECT CAST(value AS REAL)"
            " FROM meta WHERE name = 'high_water_s'), 0)",
            (client, request, answer.body_hash, answer.result or "", answer.event_id),
        )


def _text(event: Event) -> str:
    return orjson.dumps(event.to_json()).decode()
