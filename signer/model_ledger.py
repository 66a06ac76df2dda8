"""Shell: what calls of language models have cost, in an SQLite database of the proxy's own.

One transaction, on the disk before anything is sent, notes that an authorisation was used and
sets the call's cost aside in every account that pays; a second one corrects it. So neither a new
key, nor a renewal, nor a restart, nor a kill at any moment makes anything cheaper, and no request
can be sent twice.

Used from one thread. What is told of it to the router is read in model_reports.py.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nips.nip98 import MAX_AGE_S
from nips.own.grant import Grant
from signer import held_rows
from signer.grants import Held
from signer.keystore import open_own
from signer.model_budget import FOR_GOOD, Account, Amount, Overdrawn, overdrawn
from signer.model_reports import Reports
from signer.model_usage import Usage
from signer.stewardship import as_owner_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (          -- one row per session key, for good
    client TEXT PRIMARY KEY, event TEXT NOT NULL, arrived_s REAL NOT NULL,
    hard_expires_at INTEGER NOT NULL, revoked INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used (          -- authorisations, for as long as they could be used
    id TEXT PRIMARY KEY, at_s INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (         -- day: of an account by the day, else -1
    account TEXT PRIMARY KEY, day INTEGER NOT NULL, requests INTEGER NOT NULL,
    tokens INTEGER NOT NULL, microusd INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (         -- outcome: NULL while under way, or cut off by a crash
    n INTEGER PRIMARY KEY, at_s INTEGER NOT NULL, client TEXT NOT NULL, grp TEXT, job TEXT,
    provider TEXT NOT NULL, model TEXT NOT NULL, tokens INTEGER NOT NULL,
    microusd INTEGER NOT NULL, fresh INTEGER NOT NULL DEFAULT 0, cached INTEGER NOT NULL DEFAULT 0,
    written INTEGER NOT NULL DEFAULT 0, made INTEGER NOT NULL DEFAULT 0, outcome TEXT
);
CREATE INDEX IF NOT EXISTS calls_of_job ON calls (job);
CREATE INDEX IF NOT EXISTS calls_of_group ON calls (grp);
CREATE TABLE IF NOT EXISTS refused (       -- the last call of a job that a day's limit refused
    job TEXT PRIMARY KEY, grp TEXT NOT NULL, day INTEGER NOT NULL, by_ceiling INTEGER NOT NULL,
    sentence TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS filed (         -- jobs of which nothing more is told
    job TEXT PRIMARY KEY
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Booking:
    """A call whose cost is set aside."""

    n: int
    accounts: tuple[Account, ...]
    reserved: Amount
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """The authorisation was used before."""


class ModelLedger:
    """See above."""

    def __init__(self, path: Path) -> None:
        """Open or make the database, readable by its owner only. Raises sqlite3.Error."""
        with as_owner_of(path.parent):
            os.close(open_own(path))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
            self._db.executescript(_SCHEMA)
            # Whoever made these calls died; what was set aside for them stays spent.
            self._db.execute("UPDATE calls SET outcome = 'cut off' WHERE outcome IS NULL")
        self.reports = Reports(self._db)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # The clock's high water, and grants

    def high_water_s(self) -> float:
        """The highest time that was ever noted; 0 before the first."""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'high_water_s'").fetchone()
        return 0.0 if row is None else float(row[0])

    def held(self, client: str) -> Held | None:
        """What is known of a session key."""
        return held_rows.read(self._db, client)

    def hold(self, held: Held) -> None:
        """Keep what is now known of a session key."""
        with self._transaction():
            held_rows.write(self._db, held)

    # Calls

    def use(self, authorisation: str, now_s: float) -> Replayed | None:
        """Note that an authorisation was used, for what costs nothing."""
        with self._transaction():
            return self._use(authorisation, now_s)

    def begin(
        self,
        authorisation: str | None,
        grant: Grant,
        provider: str,
        model: str,
        payers: Sequence[Account],
        wanted: Amount,
        now_s: float,
    ) -> Booking | Overdrawn | Replayed:
        """Set a call's cost aside: in all accounts or in none. On the disk when it returns.

        authorisation: the id of what allows it; None where that was noted a moment ago.
        """
        with self._transaction():
            # It is used up either way: what was refused is asked anew.
            if authorisation and (replayed := self._use(authorisation, now_s)) is not None:
                return replayed
            # An account of a day goes on while the clock is behind the day that it was used on.
            current = tuple(self._current(account) for account in payers)
            for account, spent in current:
                if (refusal := overdrawn(account, spent, wanted, now_s)) is not None:
                    self._note_refused(grant, account, refusal)
                    return refusal
            for account, spent in current:
                self._put(account, spent + wanted)
            cursor = self._db.execute(
                "INSERT INTO calls (at_s, client, grp, job, provider, model, tokens, microusd)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    int(now_s),
                    grant.client,
                    grant.group,
                    grant.job,
                    provider,
                    model,
                    wanted.tokens,
                    wanted.money_microusd,
                ),
            )
            assert cursor.lastrowid is not None
            payers = tuple(account for account, _ in current)
            return Booking(cursor.lastrowid, payers, wanted, grant.job)

    def settle(self, booking: Booking, paid: Amount, usage: Usage | None, outcome: str) -> None:
        """Put what a call has cost in place of what was set aside. `outcome`: for people."""
        told = usage or Usage()
        with self._transaction():
            for account in booking.accounts:
                now, spent = self._current(account)
                if now.day == account.day:  # else that day's account is gone
                    self._put(account, spent + (paid - booking.reserved))
            self._db.execute(
                "UPDATE calls SET tokens = ?, microusd = ?, fresh = ?, cached = ?, written = ?,"
                " made = ?, outcome = ? WHERE n = ?",
                (
                    paid.tokens,
                    paid.money_microusd,
                    told.fresh,
                    told.cached,
                    told.written + told.kept,
                    told.out,
                    outcome,
                    booking.n,
                ),
            )

    def spent(self, account: Account) -> Amount:
        """What an account has paid in its period."""
        return self._current(account)[1]

    def _note_refused(self, grant: Grant, account: Account, refusal: Overdrawn) -> None:
        if account.day != FOR_GOOD and grant.job is not None:
            self._db.execute(
                "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?, ?)",
                (grant.job, grant.group, account.day, refusal.by_ceiling, refusal.sentence),
            )

    def _use(self, authorisation: str, now_s: float) -> Replayed | None:
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES ('high_water_s', ?)",
            (repr(max(now_s, self.high_water_s())),),
        )
        # One that is older than this is refused for its age.
        self._db.execute("DELETE FROM used WHERE at_s < ?", (int(now_s) - 4 * MAX_AGE_S,))
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO used VALUES (?, ?)", (authorisation, int(now_s))
        )
        return None if cursor.rowcount else Replayed()

    def _current(self, account: Account) -> tuple[Account, Amount]:
        row = self._db.execute(
            "SELECT day, requests, tokens, microusd FROM spent WHERE account = ?", (account.name,)
        ).fetchone()
        if row is None or (account.day != FOR_GOOD and row[0] < account.day):
            return account, Amount()
        return Account(account.name, account.limit, row[0]), Amount(*row[1:])

    def _put(self, account: Account, spent: Amount) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO spent VALUES (?, ?, ?, ?, ?)",
            (account.name, account.day, spent.requests, spent.tokens, spent.money_microusd),
        )
