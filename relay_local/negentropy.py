"""Pure: the reconciliations of one connection. Source: NIP-77.

    NEG-OPEN ──► GATHER what may be seen ──► answer ──► NEG-MSG … ──► NEG-CLOSE, or NEG-ERR

A reconciliation is about what its viewer may see, as it was when it was opened; it ends when
that changes, so nobody goes on comparing what they have been shut out of.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.filter import Filter
from nips.frames import NegErr, NegMsg, NegOpen
from nips.nip77 import Records
from nips.refusal import Refusal
from relay_local.access import Scope

MAX_NEGOTIATIONS = 4  # of one connection
MAX_RECORDS = 200_000  # in one
IDLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Gather:
    """Look up what there is to reconcile, up to the arrival number `last`, for `gathered`."""

    subscription: str
    turn: int
    filter: Filter
    scope: Scope
    last: int
    message: bytes


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Work out the answer to a message, for `answered`."""

    subscription: str
    turn: int
    records: Records
    message: bytes


Step = Gather | Reconcile | NegMsg | NegErr


@dataclass(slots=True)
class _Negotiation:
    turn: int
    scope: Scope
    records: Records | None = None
    is_busy: bool = True


class Negotiations:
    """The state. A `turn` is one message and its answer; what comes too late has another."""

    def __init__(self) -> None:
        self._open: dict[str, _Negotiation] = {}
        self._turn = 0

    @property
    def held(self) -> int:
        """How many records are kept for the other side's next message."""
        return sum(len(own.records) for own in self._open.values() if own.records is not None)

    def open(self, frame: NegOpen, refusal: Refusal | None, scope: Scope, last: int) -> Step:
        """Begin. NIP-77: an open one of the same id "is first closed"."""
        name = frame.subscription
        self._open.pop(name, None)
        if refusal is not None:
            return NegErr(name, str(refusal))
        if frame.filter.search is not None or frame.filter.after_seq is not None:
            return NegErr(name, "invalid: neither search nor after_seq can be reconciled")
        if len(self._open) >= MAX_NEGOTIATIONS:
            return NegErr(name, f"blocked: at most {MAX_NEGOTIATIONS} reconciliations at a time")
        self._turn += 1
        self._open[name] = _Negotiation(self._turn, scope)
        return Gather(name, self._turn, frame.filter, scope, last, frame.message)

    def message(self, frame: NegMsg, scope: Scope) -> Step:
        """Go on."""
        name = frame.subscription
        own = self._open.get(name)
        if own is None:
            return NegErr(name, "closed: this reconciliation is not open")
        if own.is_busy or own.records is None:  # NIP-77: "Client and relay alternate"
            return self._end(name, "invalid: the last message has not been answered yet")
        if own.scope != scope:
            return self._end(name, "closed: what you may see has changed; open it again")
        self._turn += 1
        own.turn, own.is_busy = self._turn, True
        return Reconcile(name, self._turn, own.records, frame.message)

    def gathered(self, gather: Gather, records: Records) -> list[Step]:
        """What a reconciliation is about is there."""
        own = self._of(gather)
        if own is None:
            return []
        own.records = records
        return [Reconcile(gather.subscription, gather.turn, records, gather.message)]

    def answered(self, step: Reconcile, message: bytes) -> list[Step]:
        """The answer to a message is there."""
        own = self._of(step)
        if own is None:
            return []
        own.is_busy = False
        return [NegMsg(step.subscription, message)]

    def failed(self, step: Gather | Reconcile, reason: str, most: int | None = None) -> list[Step]:
        """It cannot go on."""
        return [] if self._of(step) is None else [self._end(step.subscription, reason, most)]

    def idle(self, step: Gather | Reconcile) -> list[Step]:
        """So much time has passed since a step was answered that its memory is wanted back."""
        return self.failed(step, "closed: you took too long to respond!")

    def close(self, name: str) -> None:
        """End one; nothing happens when it is not open."""
        self._open.pop(name, None)

    def clear(self) -> None:
        """End all."""
        self._open.clear()

    def _of(self, step: Gather | Reconcile) -> _Negotiation | None:
        own = self._open.get(step.subscription)
        return own if own is not None and own.turn == step.turn else None

    def _end(self, name: str, reason: str, most: int | None = None) -> NegErr:
        del self._open[name]
        return NegErr(name, reason, most)
