"""Shell: one writing transaction: what may be asked and done inside it.

What many events need is looked up at once, and their rows go to SQLite together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from hashlib import sha256

import orjson

from nips.event import Event
from nips.key import is_hex
from nips.kinds import Kind
from relay_local.access import audience, room
from relay_local.pending import Pending
from relay_local.query import tag_key
from relay_local.retention import Address, address

_MAX_BOUND = 500
_EVERYTHING = "62"  # in place of an id or address: all that its author wrote
_NOBODY = 99  # an audience that no scope has
WRAP_PREFIX = "1059:"  # before an id: what a recipient of the wrap has deleted


class Transaction:
    """What may be asked and done inside the one writing transaction; on the writer's thread.

    New rows wait in memory until something is asked that they could change the answer to, or
    `write_out` is called, which must be the last.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._open = connection
        self._events = Pending("events", 10)
        self._tags = Pending("tags", 3)
        self._last_seq: int | None = None
        self._looked_up: set[bytes] = set()
        self._known: set[bytes] = set()
        self._not_deleted: set[str] = set()

    @property
    def _connection(self) -> sqlite3.Connection:
        self.write_out()
        return self._open

    def write_out(self) -> None:
        """Hand over to SQLite what still waits. Raises sqlite3.Error."""
        if self._events:
            self._events.write(self._open)
            self._tags.write(self._open)

    def foresee(self, events: Sequence[Event]) -> None:
        """Look up at once what will be asked about each of many events: whether it is known,
        and whether it was deleted before it came."""
        ids = {bytes.fromhex(event.id) for event in events}
        self._looked_up |= ids
        self._known |= self._among("SELECT id FROM events WHERE id IN", ids)
        self._known |= self._among("SELECT id FROM gone WHERE id IN", ids)
        targets = {
            event.id: [*_deletion_targets(event), _effect(event.pubkey, _EVERYTHING)]
            for event in events
        }
        deleted = self._among(
            "SELECT target FROM deletions WHERE target IN",
            {target for of_one in targets.values() for target in of_one},
        )
        self._not_deleted |= {
            event_id for event_id, of_one in targets.items() if deleted.isdisjoint(of_one)
        }

    def _among(self, select: str, wanted: Collection[bytes]) -> set[bytes]:
        keys = list(wanted)
        found: set[bytes] = set()
        for start in range(0, len(keys), _MAX_BOUND):
            some = keys[start : start + _MAX_BOUND]
            marks = ",".join("?" * len(some))
            found.update(row[0] for row in self._connection.execute(f"{select} ({marks})", some))
        return found

    def knows(self, event_id: str) -> bool:
        """Say whether the id is here, or was."""
        key = bytes.fromhex(event_id)
        if key in self._looked_up:
            return key in self._known
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
        if self._last_seq is None:
            self._last_seq = self.last_seq()
        self._last_seq = seq = self._last_seq + 1
        where = address(event)
        event_id = bytes.fromhex(event.id)
        self._known.add(event_id)
        row = (
            seq,
            event_id,
            bytes.fromhex(event.pubkey),
            event.kind,
            event.created_at,
            where.d if where else None,
            room(event),
            int(audience(event)),
            expires_at,
            body,
        )
        self._events.add([row])
        self._tags.add([(key, event.created_at, seq) for key in _tag_keys(event)])
        return seq

    def remove(self, event: Event) -> None:
        """Remove an event's content; its id stays known."""
        key = bytes.fromhex(event.id)
        row = self._connection.execute("SELECT seq FROM events WHERE id = ?", (key,)).fetchone()
        if row is None:
            return
        self._connection.execute("DELETE FROM events WHERE seq = ?", row)
        self._connection.execute("DELETE FROM words WHERE rowid = ?", row)
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
        self._not_deleted.clear()
        self._connection.execute(
            "INSERT INTO deletions VALUES (?, ?) ON CONFLICT (target) "
            "DO UPDATE SET until = max(until, excluded.until)",
            (_effect(pubkey, target), until),
        )

    def is_deleted(self, event: Event) -> bool:
        """Say whether the event's author deleted it before it came."""
        if event.id in self._not_deleted:
            return False
        # NIP-09: "all versions … up to the created_at timestamp of the deletion request"
        own = _effect(event.pubkey, event.id)
        return any(
            self._has(
                "SELECT 1 FROM deletions WHERE target = ? AND until >= ?",
                target,
                event.created_at if address(event) and target != own else 0,
            )
            for target in _deletion_targets(event)
        )

    def saw(self, prefix: str, group: str) -> bool:
        """Say whether an event of the group is here, or any was, whose id begins with 8 hex
        digits."""
        low = bytes.fromhex(prefix)
        between = (low + bytes(28), low + b"\xff" * 28)
        return self._has(
            "SELECT 1 FROM events WHERE id BETWEEN ? AND ? AND room = ?", *between, group
        ) or self._has("SELECT 1 FROM gone WHERE id BETWEEN ? AND ?", *between)

    def addressed_to(self, pubkey: str, kinds: Sequence[int], group: str) -> list[Event]:
        """The stored events of some kinds in a group that are `p`-tagged to a key."""
        marks = ",".join("?" * len(kinds))
        rows = self._connection.execute(
            "SELECT e.json FROM tags t JOIN events e ON e.seq = t.seq"  # noqa: S608 - marks
            f" WHERE t.tag = ? AND e.room = ? AND e.kind IN ({marks})",
            (tag_key("p", pubkey), group, *kinds),
        )
        return [Event.from_json(orjson.loads(row[0])) for row in rows]

    def record_vanishing(self, pubkey: str, until: int) -> None:
        """Remember that `pubkey` asked to be forgotten, up to a time."""
        self.record_deletion(pubkey, _EVERYTHING, until)

    def has_vanished(self, event: Event) -> bool:
        """Say whether the event's author asked that it be forgotten."""
        if event.id in self._not_deleted:
            return False
        return self._has(
            "SELECT 1 FROM deletions WHERE target = ? AND until >= ?",
            _effect(event.pubkey, _EVERYTHING),
            event.created_at,
        )

    def events_of(
        self, pubkey: str, until: int, after_seq: int, limit: int
    ) -> list[tuple[int, Event]]:
        """Some of what an author wrote up to a time, with arrival numbers, in their order."""
        rows = self._connection.execute(
            "SELECT seq, json FROM events WHERE pubkey = ? AND created_at <= ? AND seq > ? "
            "AND audience <> ? ORDER BY seq LIMIT ?",
            (bytes.fromhex(pubkey), until, after_seq, _NOBODY, limit),
        ).fetchall()
        return [(seq, Event.from_json(orjson.loads(json))) for seq, json in rows]

    def wraps_to(self, pubkey: str, until: int, limit: int) -> list[Event]:
        """Some of the gift wraps to somebody up to a time."""
        rows = self._connection.execute(
            "SELECT e.json FROM tags t JOIN events e ON e.seq = t.seq "
            "WHERE t.tag = ? AND t.created_at <= ? AND e.kind = ? LIMIT ?",
            (tag_key("p", pubkey), until, int(Kind.GIFT_WRAP), limit),
        ).fetchall()
        return [Event.from_json(orjson.loads(row[0])) for row in rows]

    def erase(self, seq: int, body: bytes) -> None:
        """Keep a row for what follows from it, without its words; nobody is shown it."""
        sql = "UPDATE events SET json = ?, audience = ? WHERE seq = ?"
        self._connection.execute(sql, (body, _NOBODY, seq))
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
        self._connection.execute("DELETE FROM gone WHERE id = ?", (bytes.fromhex(event_id),))

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


def _tag_keys(event: Event) -> set[bytes]:
    # NIP-01: "all single-letter … tags are expected to be indexed", by their first value
    return {
        tag_key(tag[0], tag[1])
        for tag in event.tags
        if len(tag) > 1 and len(tag[0]) == 1 and tag[0].isascii() and tag[0].isalpha()
    }


def _effect(pubkey: str, name: str) -> bytes:
    return bytes.fromhex(pubkey) + sha256(name.encode()).digest()


def _deletion_targets(event: Event) -> list[bytes]:
    """Under what a deletion of the event would stand: its id, its address, and, for a wrap,
    the id as each of its recipients deletes it (NIP-09)."""
    targets = [_effect(event.pubkey, event.id)]
    if event.kind == Kind.GIFT_WRAP:
        recipients = [key for key in event.values("p") if is_hex(key, 32)]
        targets += [_effect(key, WRAP_PREFIX + event.id) for key in recipients]
    elif where := address(event):
        targets.append(_effect(event.pubkey, str(where)))
    return targets
