"""Shell: what may be asked about stored events inside the one writing transaction."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

import orjson

from nips.event import Event
from nips.kinds import Kind
from relay_local.periods import Handled
from relay_local.query import tag_key

NOBODY = 99  # an audience that no scope has
_MAX_BOUND = 500


class Archive(ABC):
    """The stored events, as the writer's thread sees them."""

    @property
    @abstractmethod
    def _connection(self) -> sqlite3.Connection:
        """With everything in it that has been stored so far."""

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

    def tagged(self, letter: str, value: str, kinds: Sequence[int]) -> list[Event]:
        """The stored events of some kinds with a value in a single-letter tag, in order of
        arrival."""
        marks = ",".join("?" * len(kinds))
        rows = self._connection.execute(
            "SELECT e.json FROM tags t JOIN events e ON e.seq = t.seq"  # noqa: S608 - marks
            f" WHERE t.tag = ? AND e.kind IN ({marks}) ORDER BY e.seq",
            (tag_key(letter, value), *kinds),
        )
        return [Event.from_json(orjson.loads(row[0])) for row in rows]

    def older(
        self, kinds: Sequence[int], before: int, since: int, limit: int, author: str | None = None
    ) -> list[Event]:
        """Some of the stored events of some kinds from `since` on, and before another time,
        oldest first. author: only theirs."""
        marks = ",".join("?" * len(kinds))
        by = None if author is None else bytes.fromhex(author)
        rows = self._connection.execute(
            f"SELECT json FROM events WHERE kind IN ({marks})"  # noqa: S608 - marks
            " AND created_at >= ? AND created_at < ? AND pubkey = coalesce(?, pubkey)"
            " ORDER BY created_at, seq LIMIT ?",
            (*kinds, since, before, by, limit),
        )
        return [Event.from_json(orjson.loads(row[0])) for row in rows]

    def wraps_up_to(self, recipient: str, seq: int) -> list[Handled]:
        """The gift wraps to somebody that arrived up to a number."""
        rows = self._connection.execute(
            "SELECT e.seq, e.id, e.created_at, length(e.json) FROM tags t "
            "JOIN events e ON e.seq = t.seq WHERE t.tag = ? AND t.seq <= ? AND e.kind = ?",
            (tag_key("p", recipient), seq, int(Kind.GIFT_WRAP)),
        )
        return [Handled(row[0], row[1].hex(), row[2], row[3]) for row in rows]

    def events_of(
        self, pubkey: str, until: int, after_seq: int, limit: int
    ) -> list[tuple[int, Event]]:
        """Some of what an author wrote up to a time, with arrival numbers, in their order."""
        rows = self._connection.execute(
            "SELECT seq, json FROM events WHERE pubkey = ? AND created_at <= ? AND seq > ? "
            "AND audience <> ? ORDER BY seq LIMIT ?",
            (bytes.fromhex(pubkey), until, after_seq, NOBODY, limit),
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


def among(connection: sqlite3.Connection, select: str, wanted: Collection[bytes]) -> set[bytes]:
    """Which of many keys a statement finds, that holds them as rows in place of its %s."""
    keys = list(wanted)
    found: set[bytes] = set()
    for start in range(0, len(keys), _MAX_BOUND):
        some = keys[start : start + _MAX_BOUND]
        marks = ",".join(["(?)"] * len(some))
        found.update(row[0] for row in connection.execute(select % marks, some))
    return found
