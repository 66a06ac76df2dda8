"""Shell: what is held of a client key, as a row of a table `held`: for whoever keeps grants.

The signer's ledger and the model proxy's have the columns below; the first has one more.
"""

from __future__ import annotations

import sqlite3

import orjson

from nips.event import Event
from nips.own.grant import Grant
from signer.grants import Held

COLUMNS = "client, event, arrived_s, hard_expires_at, revoked"


def read(db: sqlite3.Connection, client: str) -> Held | None:
    """What is known of a client key; None where nothing is."""
    row = db.execute(f"SELECT {COLUMNS} FROM held WHERE client = ?", (client,)).fetchone()  # noqa: S608 - our own names
    if row is None:
        return None
    event = Event.from_json(orjson.loads(row[1]))
    grant = Grant.from_json(orjson.loads(event.content))
    return Held(grant, event, float(row[2]), int(row[3]), bool(row[4]))


def write(db: sqlite3.Connection, held: Held) -> None:
    """Keep what is now known of a client key, in the caller's transaction."""
    db.execute(
        f"INSERT INTO held ({COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (client) DO UPDATE SET"  # noqa: S608
        " event = excluded.event, arrived_s = excluded.arrived_s,"
        " hard_expires_at = excluded.hard_expires_at, revoked = excluded.revoked",
        (
            held.grant.client,
            orjson.dumps(held.event.to_json()).decode(),
            held.arrived_s,
            held.hard_expires_at,
            held.revoked,
        ),
    )
