"""Shell: one writing transaction: what may be done inside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from string import ascii_letters

import orjson

from nips.event import Event
from relay_local.access import audience, room
from relay_local.archive import NOBODY, Archive, among
from relay_local.deletions import Deletions, effect
from relay_local.pending import Pending
from relay_local.query import tag_key
from relay_local.retention import Address, address

_LETTERS = frozenset(ascii_letters)


class Transaction(Archive):
    """What may be asked and done inside the one writing transaction; on the writer's thread.

    New rows wait in memory, and go to SQLite together: when something is asked that only SQLite
    can answer about them, or with `write_out`, which must be the last. A new version that is
    replaced before that is never written.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.deletions = Deletions(connection)
        self._open = connection
        self._events = Pending("events", 10)
        self._tags = Pending("tags", 3)
        self._waiting: dict[str, tuple[int, Event]] = {}  # by id, with the arrival number
        self._placed: dict[Address, Event] = {}  # of those that wait
        self._last_seq: int | None = None
        self._looked_up: set[str] = set()
        self._known: set[str] = set()

    @property
    def _connection(self) -> sqlite3.Connection:
        self.write_out()
        return self._open

    @property
    def newest(self) -> int | None:
        """The arrival number of the last event stored in this transaction."""
        return self._last_seq

    def write_out(self) -> None:
        """Hand over to SQLite what still waits. Raises sqlite3.Error."""
        if self._waiting:
            self._waiting.clear()
            self._placed.clear()
            self._events.write(self._open)
            self._tags.write(self._open)

    def foresee(self, events: Sequence[Event]) -> None:
        """Look up at once what will be asked about each of many events: whether it is known,
        and whether it was deleted before it came."""
        ids = {bytes.fromhex(event.id) for event in events}
        for table in ("events", "gone"):
            select = f"SELECT id FROM {table} WHERE id IN (VALUES %s)"  # noqa: S608 - ours
            self._known |= {key.hex() for key in among(self._connection, select, ids)}
        self._looked_up |= {event.id for event in events}
        self.deletions.foresee(events)

    def knows(self, event_id: str) -> bool:
        """Say whether the id is here, or was."""
        if event_id in self._looked_up or event_id in self._known:
            return event_id in self._known
        key = bytes.fromhex(event_id)
        return self._has("SELECT 1 FROM events WHERE id = ?", key) or self._has(
            "SELECT 1 FROM gone WHERE id = ?", key
        )

    def event(self, event_id: str) -> Event | None:
        """A stored event by id."""
        if event_id in self._waiting:
            return self._waiting[event_id][1]
        return self._one("SELECT json FROM events WHERE id = ?", bytes.fromhex(event_id))

    def at(self, where: Address) -> Event | None:
        """The version stored at an address."""
        if (waiting := self._placed.get(where)) is not None:
            return waiting
        sql = "SELECT json FROM events WHERE pubkey = ? AND kind = ? AND d = ?"
        key = bytes.fromhex(where.pubkey)
        return self._one(sql, key, where.kind, where.d)

    def insert(self, event: Event, body: bytes, expires_at: int | None) -> int:
        """Store an event; returns its arrival number."""
        if self._last_seq is None:
            self._last_seq = self.last_seq()
        self._last_seq = seq = self._last_seq + 1
        where = address(event)
        if where is not None:
            self._placed[where] = event
        self._known.add(event.id)
        self._waiting[event.id] = seq, event
        row = (
            seq,
            bytes.fromhex(event.id),
            bytes.fromhex(event.pubkey),
            event.kind,
            event.created_at,
            where.d if where else None,
            room(event),
            int(audience(event)),
            expires_at,
            body,
        )
        self._events.add(seq, [row])
        self._tags.add(seq, [(key, event.created_at, seq) for key in _tag_keys(event)])
        return seq

    def remove(self, event: Event) -> None:
        """Remove an event's content; its id stays known."""
        if not self._took_back(event):
            self._delete(event)

    def _took_back(self, event: Event) -> bool:
        """Leave out an event that only waits, if it does; not the last one, whose row takes its
        arrival number out of use for good."""
        seq, _ = self._waiting.get(event.id, (None, None))
        if seq is None or seq == self._last_seq:
            return False
        del self._waiting[event.id]
        if (where := address(event)) is not None:
            del self._placed[where]
        self._events.drop(seq)
        self._tags.drop(seq)
        self._open.execute("INSERT OR IGNORE INTO gone VALUES (?)", (bytes.fromhex(event.id),))
        return True

    def _delete(self, event: Event) -> None:
        if event.id in self._waiting:
            self.write_out()
        key = bytes.fromhex(event.id)
        row = self._open.execute("SELECT seq FROM events WHERE id = ?", (key,)).fetchone()
        if row is None:
            return
        self._known.add(event.id)
        self._open.execute("DELETE FROM events WHERE seq = ?", row)
        self._open.execute("DELETE FROM words WHERE rowid = ?", row)
        self._open.executemany(
            "DELETE FROM tags WHERE tag = ? AND created_at = ? AND seq = ?",
            [(tag, event.created_at, row[0]) for tag in _tag_keys(event)],
        )
        self._open.execute("INSERT OR IGNORE INTO gone VALUES (?)", (key,))

    def had_effect(self, pubkey: str, once_key: str) -> bool:
        """Say whether the author's once-key has been used."""
        sql = "SELECT 1 FROM once WHERE effect = ?"
        return self._open.execute(sql, (effect(pubkey, once_key),)).fetchone() is not None

    def record_effect(self, pubkey: str, once_key: str) -> None:
        """Use up an author's once-key."""
        self._open.execute("INSERT INTO once VALUES (?)", (effect(pubkey, once_key),))

    def erase(self, seq: int, body: bytes) -> None:
        """Keep a row for what follows from it, without its words; nobody is shown it."""
        sql = "UPDATE events SET json = ?, audience = ? WHERE seq = ?"
        self._connection.execute(sql, (body, NOBODY, seq))
        self._connection.execute("DELETE FROM words WHERE rowid = ?", (seq,))

    def rulings(self) -> list[tuple[str, str, str]]:
        """What the owner has ruled: book, subject, reason."""
        return self._connection.execute("SELECT book, subject, reason FROM rulings").fetchall()

    def rule(self, book: str, subject: str, reason: str | None) -> None:
        """Keep a ruling, or with None drop it."""
        self._connection.execute(
            "DELETE FROM rulings WHERE book = ? AND subject = ?", (book, subject)
        )
        if reason is not None:
            self._connection.execute(
                "INSERT INTO rulings VALUES (?, ?, ?)", (book, subject, reason)
            )

    def forget(self, event_id: str) -> None:
        """Let an id that was removed come again."""
        self._known.discard(event_id)
        self._open.execute("DELETE FROM gone WHERE id = ?", (bytes.fromhex(event_id),))

    def indexed(self) -> int:
        """The arrival number up to which the words of what is stored are in the index."""
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'indexed'").fetchone()
        return int(row[0]) if row else 0

    def index_words(self, limit: int, words_of: Callable[[Event], str]) -> int:
        """Put the words of some more events into the index; returns how far it now goes."""
        rows = self._connection.execute(
            "SELECT seq, json FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
            (self.indexed(), limit),
        ).fetchall()
        found = [(seq, words_of(Event.from_json(orjson.loads(json)))) for seq, json in rows]
        self._connection.executemany(
            "INSERT INTO words (rowid, terms) VALUES (?, ?)", [row for row in found if row[1]]
        )
        done = rows[-1][0] if len(rows) == limit else self.last_seq()
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('indexed', ?)", (done,))
        return int(done)

    def _one(self, sql: str, *values: object) -> Event | None:
        row = self._open.execute(sql, values).fetchone()
        return None if row is None else Event.from_json(orjson.loads(row[0]))


def _tag_keys(event: Event) -> set[bytes]:
    # NIP-01: "all single-letter … tags are expected to be indexed", by their first value
    return {tag_key(tag[0], tag[1]) for tag in event.tags if len(tag) > 1 and tag[0] in _LETTERS}
