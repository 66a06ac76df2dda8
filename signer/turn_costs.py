"""Shell: what a job has cost, told to the owner alone: kind 44200, by the bot.

The router gives the figures, the signer checks their form, encrypts them to the owner, signs and
publishes. One for each job: whoever asks again, under any request id, gets the first one's id.
Source: PROTOCOL.md "Kind 44200".
"""

from __future__ import annotations

from nips import nip46
from nips.own import cost
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, refused
from signer import costs
from signer.books import Books
from signer.ceiling import Ceiling
from signer.ledger import Ledger
from signer.pen import Pen
from signer.work import Reply, say

METHOD = "cost"
MAX_AGE_S = 30 * 86_400
MAX_AHEAD_S = 60

_SCHEMA = """
CREATE TABLE IF NOT EXISTS told_costs (    -- for as long as one could be told at all
    job TEXT PRIMARY KEY, id TEXT NOT NULL, ended_s INTEGER NOT NULL
) WITHOUT ROWID;
"""


class TurnCosts:
    """See above. `file` writes inside the ledger's transaction."""

    def __init__(
        self, ledger: Ledger, books: Books, pen: Pen, roles: Roles, ceiling: Ceiling
    ) -> None:
        self._ledger, self._books, self._pen = ledger, books, pen
        self._roles, self._ceiling = roles, ceiling
        ledger.db.executescript(_SCHEMA)

    def file(self, client: str, request: nip46.Request, owner: str | None) -> Reply:
        """Do a `cost [job, the cost's JSON]`; the reply holds the 44200's id. Raises Refused."""
        # Attack: an agent that tells its owner it was cheap. Figures come from the model proxy,
        # through the router, and from nobody else.
        if client != self._roles.router:
            raise refused(Prefix.RESTRICTED, "only the router tells what a job has cost")
        try:
            found = _read(request)
        except Malformed as error:
            raise refused(Prefix.INVALID, str(error)) from error
        if (known := self._told(found.job)) is None:
            known = self._tell(client, request, found, owner)
        return say(client, request, known, publish=self._ledger.signed(known))

    def _tell(
        self, client: str, request: nip46.Request, found: cost.Cost, owner: str | None
    ) -> str:
        if owner is None:
            raise refused(Prefix.RESTRICTED, "no owner is named yet who could be told")
        now_s = self._books.now_s
        if not now_s - MAX_AGE_S <= found.ended_at <= now_s + MAX_AHEAD_S:
            raise refused(
                Prefix.INVALID, "a cost is told within thirty days, and not before its time"
            )
        self._books.charge(costs.of_cost(self._ceiling))
        # As parsed: nothing travels along that was not looked at.
        sealed = self._pen.encrypt(owner, found.to_json(), extended=False)
        event = self._pen.sign(cost.template(found, self._roles.bot, owner, sealed))
        self._ledger.keep_signed(event, None)
        oldest = int(now_s) - MAX_AGE_S
        self._ledger.db.execute("DELETE FROM told_costs WHERE ended_s < ?", (oldest,))
        told = (found.job, event.id, found.ended_at)
        self._ledger.db.execute("INSERT INTO told_costs VALUES (?, ?, ?)", told)
        self._books.note(client, request, f"signed kind {event.kind}", event.id)
        return event.id

    def _told(self, job: str) -> str | None:
        row = self._ledger.db.execute(
            "SELECT id FROM told_costs WHERE job = ?", (job,)
        ).fetchone()  # fmt: skip
        return None if row is None else str(row[0])


def _read(request: nip46.Request) -> cost.Cost:
    match request.params:
        case (job, text):
            found = cost.parse(text)
        case params:
            raise Malformed(f"{METHOD} takes 2 parameters, not {len(params)}")
    if found.job != job:
        raise Malformed("the cost is another job's")
    return found
