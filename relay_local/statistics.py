"""Shell: what a relay's folder holds, counted; while the relay runs or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """events: how many are stored, of so many authors, by kind. forgotten: ids known of events
    whose content is gone. oldest, newest: their created_at. size_bytes: of all files.
    """

    events: int
    authors: int
    forgotten: int
    oldest: int | None
    newest: int | None
    size_bytes: int
    by_kind: Mapping[int, int]

    def to_json(self) -> dict[str, Any]:
        """An object whose `by_kind` has the kinds as strings."""
        return {**asdict(self), "by_kind": {str(k): n for k, n in self.by_kind.items()}}

    def __str__(self) -> str:
        """A few lines for people, the commonest kinds first."""
        kinds = sorted(self.by_kind.items(), key=lambda item: (-item[1], item[0]))
        return "\n".join(
            [
                f"{self.events:,} events of {self.authors:,} authors, {self.size_bytes:,} bytes",
                f"{self.forgotten:,} more ids known, their content gone",
                *(f"  kind {kind:<6} {count:>12,}" for kind, count in kinds),
            ]
        )


def open_to_read(database: Path) -> sqlite3.Connection:
    """Open a relay's database without writing to it. Raises sqlite3.Error, where there is none
    too."""
    return sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=BUSY_S)


def gather(database: Path) -> Statistics:
    """Count. Raises sqlite3.Error."""
    with closing(open_to_read(database)) as connection:
        one = connection.execute
        by_kind = dict(one("SELECT kind, count(*) FROM events GROUP BY kind"))
        oldest, newest = one("SELECT min(created_at), max(created_at) FROM events").fetchone()
        return Statistics(
            events=sum(by_kind.values()),
            authors=one("SELECT count(DISTINCT pubkey) FROM events").fetchone()[0],
            forgotten=one("SELECT count(*) FROM gone").fetchone()[0],
            oldest=oldest,
            newest=newest,
            size_bytes=size_bytes(database),
            by_kind=by_kind,
        )


def size_bytes(database: Path) -> int:
    """The bytes of a database and the files beside it."""
    files = (database, *(database.with_name(database.name + end) for end in ("-wal", "-shm")))
    return sum(file.stat().st_size for file in files if file.exists())
