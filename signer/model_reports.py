"""Shell: what the ledger of models tells the router of a job and its group.

A job is *pending* from its first call until the router has said that its cost is filed. Read in
the ledger's own thread. Source: nips/own/spent.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from nips.own.audit_head import day_of
from nips.own.spent import ModelUse, Refused, Spent, Sum, Use
from signer.buckets import DAY_S

_USE = (
    "coalesce(sum(fresh), 0), coalesce(sum(made), 0), coalesce(sum(cached), 0),"
    " coalesce(sum(written), 0), coalesce(sum(microusd), 0)"
)


class Reports:
    """See above. `db`: the ledger's connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def pending(self) -> list[str]:
        """The jobs that are not filed, the oldest first; for a start, since it reads all calls."""
        rows = self._db.execute(
            "SELECT job FROM (SELECT job, min(n) AS first FROM calls WHERE job IS NOT NULL"
            " GROUP BY job UNION SELECT job, 0 FROM refused)"
            " WHERE job NOT IN (SELECT job FROM filed) GROUP BY job ORDER BY max(first)"
        )
        return [str(row[0]) for row in rows]

    def file(self, job: str) -> None:
        """Nothing more is told of this job."""
        self._db.execute("INSERT OR IGNORE INTO filed VALUES (?)", (job,))

    def of(self, job: str, now_s: float) -> Spent | None:
        """What there is to tell of a job now; None where nothing is known of it."""
        refusal = self._one(
            "SELECT grp, day, by_ceiling, sentence FROM refused WHERE job = ?", (job,)
        )
        called = self._one(
            "SELECT grp, min(n), max(n), sum(outcome IS NULL),"
            " sum(outcome IS NOT NULL AND tokens <> fresh + cached + written + made)"
            " FROM calls WHERE job = ? GROUP BY grp",
            (job,),
        )
        if called is None and refusal is None:
            return None
        refusal = refusal or ()
        group, first, last, under_way, untold = called or (*refusal[:1], 0, 0, 0, 0)
        day, sums = self._day(group, int(now_s // DAY_S))
        refused = None
        if refusal and refusal[1] == day:
            refused = Refused(bool(refusal[2]), refusal[3])
        return Spent(
            group,
            day_of(day * DAY_S),
            sums,
            job,
            self._models(job),
            under_way,
            not untold,
            f"{group}/{self._begun_s(now_s)}",
            self._turn(group, first),
            self._conversation(group, last),
            refused,
        )

    def _conversation(self, group: str, last: int) -> Use:
        sql = f"SELECT {_USE} FROM calls WHERE grp = ? AND n <= ?"  # noqa: S608 - ours
        return Use(*self._required(sql, (group, last)))

    def _models(self, job: str) -> tuple[ModelUse, ...]:
        rows = self._db.execute(
            f"SELECT provider, model, count(*), {_USE} FROM calls WHERE job = ?"  # noqa: S608 - ours
            " GROUP BY provider, model ORDER BY min(n)",
            (job,),
        )
        return tuple(ModelUse(row[0], row[1], row[2], Use(*row[3:])) for row in rows)

    def _day(self, group: str, today: int) -> tuple[int, Sum]:
        row = self._one(
            "SELECT day, tokens, microusd FROM spent WHERE account = ?", (f"group/{group}",)
        )
        # While the clock is behind, that day's account goes on.
        return (today, Sum()) if row is None or row[0] < today else (row[0], Sum(*row[1:]))

    def _turn(self, group: str, first: int) -> int:
        """The job's place among those of its group, by their first calls."""
        (place,) = self._required(
            "SELECT count(*) FROM (SELECT min(n) AS begun FROM calls WHERE grp = ?"
            " AND job IS NOT NULL GROUP BY job) WHERE begun <= ?",
            (group, first),
        )
        return max(1, int(place))

    def _begun_s(self, now_s: float) -> int:
        """When this ledger was begun. NIP-AM: a publisher that lost its counter "MUST start a new
        `sessionId` rather than reuse the old one"."""
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('begun_s', ?)", (str(int(now_s)),))
        (begun_s,) = self._required("SELECT value FROM meta WHERE name = 'begun_s'", ())
        return int(begun_s)

    def _one(self, sql: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row

    def _required(self, sql: str, values: Sequence[object]) -> tuple[int, ...]:
        row: tuple[int, ...] = self._db.execute(sql, values).fetchone()
        return row
