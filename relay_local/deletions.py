"""Shell: what was deleted, and by whom, remembered after the content is gone.

Source: NIP-09, NIP-62. Nothing of it waits in memory, so asking costs no rows' writing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from hashlib import sha256

from nips.event import Event
from nips.key import is_hex
from nips.kinds import Kind
from relay_local.archive import among
from relay_local.retention import address

_EVERYTHING = "62"  # in place of an id or address: all that its author wrote
# Those of some keys that deleted something: a target begins with the key of who asked for it.
_HAVE_DELETED = (
    "SELECT column1 FROM (VALUES %s) WHERE column1 = (SELECT substr(target, 1, 32) "
    "FROM deletions WHERE target >= column1 ORDER BY target LIMIT 1)"
)
WRAP_PREFIX = "1059:"  # before an id: what a recipient of the wrap has deleted


class Deletions:
    """The memory of deletions and requests to vanish, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._not_deleted: set[str] = set()

    def foresee(self, events: Sequence[Event]) -> None:
        """Look up at once what will be asked about each of many events."""
        # Most keys never deleted anything: asked about all of theirs at once, not one by one.
        authors = {bytes.fromhex(key) for event in events for key in _deleters(event)}
        deleters = {key.hex() for key in among(self._connection, _HAVE_DELETED, authors)}
        targets = {
            event.id: [*_targets(event), effect(event.pubkey, _EVERYTHING)]
            for event in events
            if not deleters.isdisjoint(_deleters(event))
        }
        deleted = among(
            self._connection,
            "SELECT target FROM deletions WHERE target IN (VALUES %s)",
            {target for of_one in targets.values() for target in of_one},
        )
        self._not_deleted |= {
            event.id for event in events if deleted.isdisjoint(targets.get(event.id, ()))
        }

    def record(self, pubkey: str, target: str, until: int) -> None:
        """Remember that `pubkey` deleted an id or address, in versions up to `until`."""
        self._not_deleted.clear()
        self._connection.execute(
            "INSERT INTO deletions VALUES (?, ?) ON CONFLICT (target) "
            "DO UPDATE SET until = max(until, excluded.until)",
            (effect(pubkey, target), until),
        )

    def covers(self, event: Event) -> bool:
        """Say whether the event's author deleted it before it came."""
        if event.id in self._not_deleted:
            return False
        # NIP-09: "all versions … up to the created_at timestamp of the deletion request"
        own = effect(event.pubkey, event.id)
        return any(
            self._has(
                "SELECT 1 FROM deletions WHERE target = ? AND until >= ?",
                target,
                event.created_at if address(event) and target != own else 0,
            )
            for target in _targets(event)
        )

    def record_vanishing(self, pubkey: str, until: int) -> None:
        """Remember that `pubkey` asked to be forgotten, up to a time."""
        self.record(pubkey, _EVERYTHING, until)

    def has_vanished(self, event: Event) -> bool:
        """Say whether the event's author asked that it be forgotten."""
        if event.id in self._not_deleted:
            return False
        return self._has(
            "SELECT 1 FROM deletions WHERE target = ? AND until >= ?",
            effect(event.pubkey, _EVERYTHING),
            event.created_at,
        )

    def _has(self, sql: str, *values: object) -> bool:
        return self._connection.execute(sql, values).fetchone() is not None


def _deleters(event: Event) -> list[str]:
    """Whose deletions an event may be under: its author's and, of a wrap, its recipients'."""
    if event.kind != Kind.GIFT_WRAP:
        return [event.pubkey]
    return [event.pubkey, *(key for key in event.values("p") if is_hex(key, 32))]


def effect(pubkey: str, name: str) -> bytes:
    """A name of somebody's own, such as a once-key, as it is remembered: always 64 bytes."""
    return bytes.fromhex(pubkey) + sha256(name.encode()).digest()


def _targets(event: Event) -> list[bytes]:
    """Under what a deletion of the event would stand: its id, its address, and, for a wrap,
    the id as each of its recipients deletes it (NIP-09)."""
    author, *recipients = _deleters(event)
    targets = [effect(author, event.id)]
    if recipients:
        targets += [effect(key, WRAP_PREFIX + event.id) for key in recipients]
    elif where := address(event):
        targets.append(effect(event.pubkey, str(where)))
    return targets
