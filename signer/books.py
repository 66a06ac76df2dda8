"""Shell: what uses of the key cost, and the audit rows about them, in the ledger's transaction."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from nips import nip46
from nips.refusal import Refusal, Refused
from signer.buckets import Cost, Spent, charge
from signer.chain import Entry
from signer.ledger import Ledger

MAX_AUDITED_REFUSALS = 200  # of one key: a flood of refusals must not fill the disk

log = structlog.get_logger()


class Books:
    """See above. `now_s`: the time of the batch at hand, which the desk sets."""

    def __init__(self, ledger: Ledger, now_s: float) -> None:
        self._ledger, self.now_s = ledger, now_s

    def charge(self, costs: Sequence[Cost]) -> None:
        """Take every cost, or none of them and raise Refused."""
        before = self._ledger.all_spent([cost.name for cost in costs])
        taken: dict[str, Spent] = {}
        for cost in costs:
            outcome = charge(cost, before.get(cost.name), self.now_s)
            if isinstance(outcome, Refusal):
                raise Refused(outcome)
            taken[cost.name] = outcome
        self._ledger.spend_all(taken)

    def note(self, client: str, request: nip46.Request, outcome: str, event_id: str) -> None:
        """Add a row to the audit chain."""
        entry = Entry(int(self.now_s), client, request.method, outcome, event_id)
        self._ledger.chain.append(entry)

    def note_refusal(self, client: str, request: nip46.Request, refusal: Refusal) -> None:
        """Add a row about a refusal of a known key, unless it has many."""
        # Attack: refusals without end, by anybody who can make a key; the log would fill the disk.
        if 0 < self._ledger.count_refusal(client) <= MAX_AUDITED_REFUSALS:
            log.info("refused", client=client, method=request.method, reason=str(refusal))
            self.note(client, request, f"refused: {refusal}", "")
