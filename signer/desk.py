"""Shell: does what the pure rules decide: ledger and secret, one batch in one transaction.

Everything that reaches the signer comes through here in the order in which it came from the
relay, on one thread. What a batch returns may leave the process: its transaction is on the disk.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import structlog

from nips.event import Event
from nips.key import SecretKey
from nips.own.approval import ANSWERS
from nips.own.grant import D_PREFIX
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal
from signer import clock
from signer.books import Books
from signer.ceiling import Ceiling
from signer.clerk import Clerk
from signer.grants import admit
from signer.heads import Heads
from signer.ledger import Ledger
from signer.pen import Pen
from signer.pruning import Pruned, prune
from signer.reception import Reception
from signer.secret import Secret
from signer.work import (
    Arrived,
    Asked,
    Clocks,
    Outcome,
    Place,
    Publication,
    Reply,
    Settled,
    Work,
    refuse,
)

log = structlog.get_logger()


class Desk:
    """See above. `data`: the signer's folder. `key`: the signer's role key. `reception`: how
    requests are opened."""

    def __init__(
        self,
        ledger: Ledger,
        secret: Secret | None,
        key: SecretKey,
        roles: Roles,
        ceiling: Ceiling,
        data: Path,
        clocks: Clocks,
    ) -> None:
        self._ledger, self._key = ledger, key
        self._pen, self.reception = Pen(secret), Reception(key)
        self._roles, self._ceiling = roles, ceiling
        self._clocks = clocks
        self._reading = clock.start(float(ledger.get("high_water_s") or 0), clocks.monotonic_s())
        self._undone: list[Work] = []
        self._books = Books(ledger, self._reading.now_s)
        self._clerk = Clerk(
            ledger, self._books, self._pen, self.reception, key, roles, ceiling, data
        )
        self._approvals = self._clerk.approvals
        self._may_sign = False  # in the batch at hand
        self._heads = Heads(ledger)

    def due_in_s(self) -> float:
        """In how many seconds there is something to do though nothing may have come."""
        if not self._may_sign:
            return math.inf
        return max(0.0, self._approvals.next_s - self._clocks.wall_s())

    def unlock(self, secret: Secret) -> None:
        """Have the bot's key, from here on."""
        self._pen.take(secret)

    def lock(self) -> None:
        """Have no key, from here on: every request is refused. The one there was is overwritten."""
        self._pen.take(None)

    def place(self) -> tuple[str | None, int]:
        """The epoch and arrival number up to which the relay has been read."""
        return self._ledger.get("epoch"), int(self._ledger.get("seq") or 0)

    def owner(self) -> str | None:
        """The owner's key, configured or paired, where there is one."""
        return self._clerk.owner()

    def clients(self) -> list[str]:
        """Who may be waiting for an answer: the router, the bridge that carries mail, sessions that
        live."""
        bridge = self._roles.mail_bridge
        parts = (self._roles.router, *((bridge,) if bridge else ()))
        return [*parts, *self._ledger.sessions(self._reading.now_s)]

    def unpublished(self) -> list[Event]:
        """What was signed and may not be on the relay, because a process died in between."""
        return self._ledger.unpublished()

    def todays_head(self) -> Event | None:
        """The audit chain's head for the owner, to be published; None where today's was told."""
        try:
            with self._ledger.transaction():
                if self._read_clocks() is not None:
                    return None
                return self._heads.due(self._reading.now_s, self.owner(), self._key)
        except sqlite3.Error as error:
            log.error("the audit log's head cannot be noted", reason=str(error))
            return None

    def tidy(self) -> Pruned | None:
        """Forget some of what need not be kept; None where the clock or the disk is not right."""
        try:
            with self._ledger.transaction():
                if self._read_clocks() is not None:
                    return None
                return prune(self._ledger, self._reading.now_s)
        except sqlite3.Error as error:
            log.error("the ledger cannot be tidied", reason=str(error))
            return None

    def take(self, batch: Sequence[Work]) -> list[Outcome]:
        """Do a batch. The replies may be sent, and the rest be published, when this returns.

        Where the ledger cannot be written nothing is signed: every request is refused with an
        `error:`. The rest is done before the next batch: a revocation is not lost.
        """
        whole = [*self._undone, *batch]
        try:
            with self._ledger.transaction():
                went_back = self._read_clocks()
                self._may_sign = went_back is None and not self._pen.is_locked
                if self._may_sign:
                    self._approvals.begin(self._reading.now_s, self.owner())
                outcomes: list[Outcome] = [
                    came for work in whole if (came := self._do(work, went_back)) is not None
                ]
                if self._may_sign:
                    self._approvals.close(self._reading.now_s)
                self._ledger.put("high_water_s", repr(self._reading.now_s))
        except sqlite3.Error as error:
            log.error("the ledger cannot be written, so nothing is signed", reason=str(error))
            self._undone = [work for work in whole if not isinstance(work, Asked)]
            self._approvals.undo(self._reading.now_s)
            self._clerk.live_view.undo()
            return [reply for work in batch if (reply := self._unwritable(work)) is not None]
        self._undone = []
        if events := self._approvals.drain():
            outcomes.append(Publication(events))
        return outcomes

    def _read_clocks(self) -> Refusal | None:
        self._reading, went_back = clock.read(
            self._reading, self._clocks.wall_s(), self._clocks.monotonic_s()
        )
        self._books.now_s = self._reading.now_s
        if went_back is None:
            return None
        log.error("the clock went back, so nothing is signed", by_s=round(went_back.by_s))
        return Refusal(
            Prefix.ERROR,
            f"this machine's clock went back by {went_back.by_s:.0f} s; set it right, or tell the "
            "signer that it is: python -m signer clock",
        )

    def _do(self, work: Work, went_back: Refusal | None) -> Outcome | None:
        match work:
            case Arrived(event, seq):
                if seq is not None:
                    self._ledger.put("seq", str(seq))
                if event.kind in ANSWERS:
                    self._hear(event)
                else:
                    return self._arrive(event)
            case Place(epoch, seq):
                if epoch is not None and seq is not None:
                    self._ledger.put("epoch", epoch)
                    self._ledger.put("seq", str(seq))
            case Settled(event_id, refusal):
                self._ledger.settle([event_id])
                self._approvals.published(event_id, refusal, self._reading.now_s)
            case Asked(event):
                return self._clerk.serve(event, went_back)
        return None

    def _unwritable(self, work: Work) -> Reply | None:
        if not isinstance(work, Asked) or (request := self.reception.open(work.event)) is None:
            return None
        refusal = Refusal(Prefix.ERROR, "the signer's ledger cannot be written; is the disk full?")
        return refuse(work.event.pubkey, request, refusal)

    def _hear(self, event: Event) -> None:
        if self._may_sign:
            self._approvals.hear_event(event, self.owner(), self._reading.now_s)
        else:
            self._approvals.postpone(event)

    # Grants

    def _arrive(self, event: Event) -> Publication | None:
        client = (event.tag("d") or "").removeprefix(D_PREFIX)
        try:
            held = admit(
                event,
                self._ledger.held(client),
                self._roles,
                self._reading.now_s,
                self.owner(),
            )
        except Malformed as error:
            log.warning("grant set aside", client=client, reason=str(error))
            return None
        self._ledger.hold(held)
        log.info(
            "grant", client=client, role=held.grant.role, job=held.grant.job, revoked=held.revoked
        )
        if not held.revoked or not self._may_sign:
            return None
        last = self._clerk.live_view.end(held, self.owner())
        return Publication((last,)) if last is not None else None
