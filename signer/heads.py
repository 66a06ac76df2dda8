"""Shell: the audit chain's head is told to the owner, once a UTC day.

What was told is kept beside the chain and not in it, and on the relay. Attack: rows at the end are
cut off, or the whole ledger is put back to an earlier copy: the rows that are left still chain, and
only what was told before shows that there were more.
"""

from __future__ import annotations

import secrets

from nips.event import Event
from nips.key import SecretKey
from nips.own import audit_head
from nips.own.audit_head import AuditHead
from signer.chain import AuditChain
from signer.ledger import Ledger

_SCHEMA = """
CREATE TABLE IF NOT EXISTS heads (
    day TEXT PRIMARY KEY, rows INTEGER NOT NULL, head TEXT NOT NULL, at_s INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Heads:
    """The heads that were told. `due` writes inside the ledger's transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._told = ""  # a day for which there is nothing to do any more
        ledger.db.executescript(_SCHEMA)

    def due(self, now_s: float, owner: str | None, key: SecretKey) -> Event | None:
        """Today's head, signed with the role key `key` and kept for publication, where it was not
        told yet; None as long as there is no owner to tell."""
        day = audit_head.day_of(now_s)
        if owner is None or day == self._told:
            return None
        if self._ledger.db.execute("SELECT 1 FROM heads WHERE day = ?", (day,)).fetchone():
            self._told = day
            return None
        rows, last = self._ledger.chain.head()
        head = AuditHead(day, rows, last, int(now_s))
        event = audit_head.template(head, key.public, owner).sign(key, secrets.token_bytes(32))
        self._ledger.db.execute("INSERT INTO heads VALUES (?, ?, ?, ?)", (day, rows, last, now_s))
        self._ledger.keep_signed(event, None)
        return event

    def all(self) -> list[AuditHead]:
        """Every head that was told, as the ledger remembers it, day by day."""
        rows = self._ledger.db.execute("SELECT day, rows, head, at_s FROM heads ORDER BY day")
        return [AuditHead(row[0], row[1], row[2], int(row[3])) for row in rows]


def contradictions(chain: AuditChain, told: list[AuditHead], where: str) -> list[str]:
    """How the chain differs from the heads that were told, in words; nothing where it does not.

    where: who remembers them. The chain itself has been verified.
    """
    rows, _ = chain.head()
    found = []
    for head in told:
        now = chain.hash_of(head.rows)
        if now is None:
            found.append(
                f"On {head.day} there were {head.rows} rows, {where} says; now there are {rows}: "
                "rows are missing at the end, or the ledger is an earlier copy."
            )
        elif now != head.head:
            found.append(
                f"Row {head.rows} is not the one that was the last on {head.day}, {where} says: "
                "the log was written anew."
            )
    return found
