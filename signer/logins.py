"""Shell: invitations and the logins made of them, in the signer's ledger.

The command line writes invitations and revokes, the serving process binds them to clients: two
processes, one SQLite database, each change in one transaction. A login's grant stands in the
ledger's `held` like any other, as an event that the signer's own role key has signed.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import orjson

from nips.key import SecretKey
from nips.own import grant as grants
from nips.refusal import Prefix, Refusal, Refused
from signer import invitation
from signer.grants import Held
from signer.invitation import Invitation, Login, Terms
from signer.ledger import Ledger

KEEP_S = 30 * 86_400  # what has ended stays in the list so long

_SCHEMA = """
CREATE TABLE IF NOT EXISTS invitations (
    id TEXT PRIMARY KEY, secret TEXT NOT NULL, terms TEXT NOT NULL, made_s INTEGER NOT NULL,
    open_until_s INTEGER NOT NULL, expires_s INTEGER NOT NULL, tries INTEGER NOT NULL,
    client TEXT, name TEXT NOT NULL, ended TEXT
) WITHOUT ROWID;
"""
_COLUMNS = "id, secret, terms, made_s, open_until_s, expires_s, tries, client, name, ended"


class Logins:
    """See above. Writes happen inside the ledger's `transaction`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._db = ledger, ledger.db
        self._db.executescript(_SCHEMA)

    # For the command line

    def invite(self, made: Invitation) -> None:
        """Keep an invitation, and forget those that ended long ago."""
        self._db.execute("DELETE FROM invitations WHERE expires_s < ?", (made.made_s - KEEP_S,))
        self._write(made)

    def invitations(self) -> list[Invitation]:
        """All that are known, oldest first."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM invitations ORDER BY made_s, id")  # noqa: S608 - our own column names
        return [_read(row) for row in rows]

    def logins(self) -> list[Login]:
        """The client keys of the role `bunker`, live or not, oldest first."""
        taken = (one for one in self.invitations() if one.client is not None)
        # Of several that one client took up, the one that has not ended is its grant's.
        by_client = {one.client: one for one in sorted(taken, key=lambda one: one.ended is None)}
        rows = self._db.execute(
            "SELECT client FROM held "
            "WHERE json_extract(json_extract(event, '$.content'), '$.role') = 'bunker' "
            "ORDER BY arrived_s, client"
        ).fetchall()
        found = []
        for (client,) in rows:
            if (held := self._ledger.held(client)) is not None:
                spent = self._ledger.spent(f"key/{client}/{held.event.id}")
                used = int(spent.amount) if spent is not None else 0
                found.append(Login(held, by_client.get(client), used))
        return found

    def end(self, client: str, how: str) -> bool:
        """End a login for good; says whether there was one that had not ended."""
        held = self._ledger.held(client)
        if held is None or held.grant.role != "bunker" or held.revoked:
            return False
        self._ledger.hold(replace(held, revoked=True))
        self._db.execute(
            "UPDATE invitations SET ended = ? WHERE client = ? AND ended IS NULL", (how, client)
        )
        return True

    def withdraw(self, invitation_id: str, how: str) -> bool:
        """End an invitation that nobody has taken up; says whether it had not ended before."""
        done = self._db.execute(
            "UPDATE invitations SET ended = ? WHERE id = ? AND client IS NULL AND ended IS NULL",
            (how, invitation_id),
        )
        return done.rowcount == 1

    # For the serving process

    def connect(
        self,
        client: str,
        secret: str,
        name: str,
        holder: str | None,
        key: SecretKey,
        now_s: float,
    ) -> Invitation | None:
        """Bind the secret's invitation to a client. Returns it where that was done now, None
        where the client was logged in already. Raises Refused.

        holder: what roles.toml names the client as. key: the signer's role key.
        """
        held = self._ledger.held(client)
        if refusal := invitation.may_log_in(held, holder):
            raise Refused(refusal)
        if not secret and held is not None:
            return None  # an app that comes back; whether its grant lives, its next request shows
        one = self._of_secret(secret)
        if refusal := invitation.may_be_taken(one, client, now_s):
            raise Refused(refusal)
        if one.client == client:
            return None  # the same connect again
        grant = invitation.grant_of(one, client, now_s)
        event = grants.template(grant, key.public, int(now_s)).sign(key, secrets.token_bytes(32))
        self._ledger.hold(Held(grant, event, now_s, grant.hard_expires_at, revoked=False))
        self._db.execute(
            "UPDATE invitations SET ended = 'replaced' WHERE client = ? AND ended IS NULL",
            (client,),
        )
        bound = replace(one, client=client, name=name)
        self._write(bound)
        return bound

    def _of_secret(self, secret: str) -> Invitation:
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM invitations WHERE id = ?",  # noqa: S608 - our own column names
            (invitation.id_in(secret),),
        ).fetchone()
        one = None if row is None else _read(row)
        if one is None:
            raise Refused(_WRONG)  # nothing is written: throwaway keys must not fill the disk
        if not invitation.holds(one, secret):
            # Attack: guesses at an invitation whose id somebody saw.
            tries = one.tries + 1
            over = one.client is None and one.ended is None and tries >= invitation.MAX_TRIES
            if tries <= invitation.MAX_TRIES:
                self._write(replace(one, tries=tries, ended="guessed at" if over else one.ended))
            raise Refused(_WRONG)
        return one

    def _write(self, one: Invitation) -> None:
        self._db.execute(
            f"INSERT OR REPLACE INTO invitations ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - our own column names
            (
                one.id,
                one.secret_hash,
                orjson.dumps(one.terms.to_json()).decode(),
                one.made_s,
                one.open_until_s,
                one.expires_s,
                one.tries,
                one.client,
                one.name,
                one.ended,
            ),
        )


_WRONG = Refusal(
    Prefix.RESTRICTED,
    "connect needs the secret of a bunker:// address of this signer, as nostrclaw bunker prints it",
)


def _read(row: tuple[Any, ...]) -> Invitation:
    return Invitation(row[0], row[1], Terms.from_json(orjson.loads(row[2])), *row[3:])
