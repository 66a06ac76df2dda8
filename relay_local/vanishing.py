"""Shell: a person is forgotten: what they wrote goes, and does not come back. Source: NIP-62.

Of the house's record the row stays, since later state follows from it, and its words go.
"""

from __future__ import annotations

from dataclasses import replace

from nips.event import Event
from nips.nip62 import VANISH
from nips.refusal import Prefix, Refusal
from relay_local import retention
from relay_local.transaction import Transaction
from relay_local.world import World

_PAGE = 500


def objection(transaction: Transaction, world: World, request: Event) -> Refusal | None:
    """Why a request is refused: it is for those who are, or were, here.

    A key that never wrote here would only leave a row behind, and so would the next thousand.
    """
    if world.public or world.groups.has_member(request.pubkey) or world.is_named(request.pubkey):
        return None
    if transaction.events_of(request.pubkey, request.created_at, 0, 1):
        return None
    return Refusal(Prefix.RESTRICTED, "nothing of this key is stored here")


def has_vanished(transaction: Transaction, event: Event) -> bool:
    """NIP-62: "Relays MUST ensure the deleted events cannot be re-broadcasted"."""
    return event.kind != VANISH and transaction.deletions.has_vanished(event)


def vanish(transaction: Transaction, world: World, request: Event) -> None:
    """Forget what the request's author wrote up to its time, deletions included, and the gift
    wraps to them."""
    transaction.deletions.record_vanishing(request.pubkey, request.created_at)
    after = 0
    while page := transaction.events_of(request.pubkey, request.created_at, after, _PAGE):
        for seq, event in page:
            after = seq
            if not retention.is_ledger(world, event):
                transaction.remove(event)
            elif event.content and not world.is_named(event.pubkey):
                erased = replace(event, content="")
                transaction.erase(seq, erased.to_bytes())
    while wraps := transaction.wraps_to(request.pubkey, request.created_at, _PAGE):
        for wrap in wraps:
            transaction.remove(wrap)
