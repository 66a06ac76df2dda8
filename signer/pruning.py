"""Shell: what the ledger need not remember for ever is forgotten, a little at a time.

    answers       a week after they were given, once their key can ask nothing more (a bridge's
                  key lives on; what it asks again after a week is done again)
    signed        events that the relay took, after thirty days; their once-keys stay
    spent         a day's counters after two days; what a key has used, once it can ask no more
    held          of a session that is over all but that it is: its rules, its methods

What is final stays final: that a key was revoked or is over, which once-keys were used, the audit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from signer.grants import Held
from signer.ledger import Ledger

DAY_S = 86_400
ANSWERS_S = 7 * DAY_S
SIGNED_S = 30 * DAY_S
COUNTERS_S = 2 * DAY_S
OVER_S = 2 * DAY_S  # after the hard limit, for whoever looks into what went wrong
AT_ONCE = 2_000  # of a table, in the transaction that requests wait for

_ROLE = "json_extract(json_extract(event, '$.content'), '$.role')"
# A key that nothing makes live again: neither a later grant nor a clock set back.
_OVER = "revoked = 1 OR hard_expires_at < :over"


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows of each table went; of `held`, how many were cut down."""

    answers: int
    signed: int
    spent: int
    held: int

    @property
    def more(self) -> bool:
        """Whether there may be more to do at once."""
        return max(self.answers, self.signed, self.spent, self.held) >= AT_ONCE


def prune(ledger: Ledger, now_s: float) -> Pruned:
    """Forget up to AT_ONCE rows of each table. now_s: by the clock that never goes back. Inside
    the ledger's transaction. Raises sqlite3.Error."""
    db = ledger.db
    db.execute("CREATE TEMP TABLE IF NOT EXISTS over (client TEXT PRIMARY KEY) WITHOUT ROWID")
    db.execute("DELETE FROM temp.over")
    db.execute(
        f"INSERT INTO temp.over SELECT client FROM held WHERE {_OVER}",  # noqa: S608 - our words
        {"over": now_s - OVER_S},
    )
    answers = db.execute(
        "DELETE FROM answers WHERE (client, request) IN (SELECT client, request FROM answers"  # noqa: S608
        " WHERE at_s < :before AND (client IN temp.over OR client IN"
        f" (SELECT client FROM held WHERE {_ROLE} = 'bridge')) LIMIT :most)",
        {"before": now_s - ANSWERS_S, "most": AT_ONCE},
    ).rowcount
    signed = db.execute(
        "DELETE FROM signed WHERE id IN (SELECT id FROM signed WHERE published = 1"
        " AND json_extract(event, '$.created_at') < :before LIMIT :most)",
        {"before": now_s - SIGNED_S, "most": AT_ONCE},
    ).rowcount
    return Pruned(answers, signed, _spent(ledger, now_s), _held(ledger))


def _spent(ledger: Ledger, now_s: float) -> int:
    # A name is `kind/<group or key>/9/day`, `grant/<key>`, `key/<key>/<grant>` and the like.
    key = "substr(name, instr(name, '/') + 1, 64)"
    grant = "substr(name, -64)"
    return ledger.db.execute(
        "DELETE FROM spent WHERE name IN (SELECT name FROM spent WHERE at_s < :before AND ("  # noqa: S608
        f" name LIKE '%/day' OR {key} IN temp.over"
        # A bridge's uses are counted by grant: those of the grants before are nobody's.
        f" OR (length(name) = 133 AND name LIKE 'key/%' AND NOT EXISTS (SELECT 1 FROM held"
        f" WHERE client = {key} AND json_extract(event, '$.id') = {grant})))"
        " LIMIT :most)",
        {"before": now_s - COUNTERS_S, "most": AT_ONCE},
    ).rowcount


def _held(ledger: Ledger) -> int:
    rows = ledger.db.execute(
        f"SELECT client FROM held WHERE client IN temp.over AND {_ROLE} = 'session'"  # noqa: S608
        " AND json_array_length(json_extract(event, '$.content'), '$.rules') > 0 LIMIT :most",
        {"most": AT_ONCE},
    ).fetchall()
    for (client,) in rows:
        if (held := ledger.held(str(client))) is not None:
            ledger.hold(_cut_down(held))
    return len(rows)


def _cut_down(held: Held) -> Held:
    grant = replace(held.grant, rules=(), methods=())
    content = json.dumps(grant.to_json(), separators=(",", ":"))
    # It is no signed event any more, and is not taken for one: it was verified when it came.
    event = replace(held.event, content=content)
    return replace(held, grant=grant, event=event)
