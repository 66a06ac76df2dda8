"""Shell: one event against the open transaction: refused, known already, or stored and folded.

The order of the questions is the order of what may be learnt: whoever may not write does not
learn whether the event is here.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import Event
from nips.kinds import Kind
from nips.nip62 import VANISH
from nips.own import grant as grants
from nips.own.once import DONE, in_group
from nips.refusal import Malformed, Prefix, Refusal
from relay_local import answers, moderation, retention, vanishing
from relay_local import groups as groups_
from relay_local.access import keeps_once, may_write
from relay_local.deletions import WRAP_PREFIX
from relay_local.moderation import Sign, Stored
from relay_local.retention import Address, address, parse_address
from relay_local.transaction import Transaction
from relay_local.viewer import Viewer
from relay_local.world import GRANT_PREFIX, World


@dataclass(frozen=True, slots=True)
class Known:
    """Nothing to do: the event, or its effect, is here already."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Admission:
    """What came of one event: its outcome, everything stored for it, and the world after it."""

    outcome: Stored | Known | Refusal
    stored: tuple[Stored, ...]
    world: World


def admit(
    transaction: Transaction, world: World, viewer: Viewer, event: Event, now_s: int, sign: Sign
) -> Admission:
    """Decide about a verified event and store it. `sign` signs with the relay's own key."""
    refusal = may_write(world, viewer, event, now_s)
    refusal = refusal or answers.objection(transaction, world, event)
    if refusal is not None:
        return Admission(refusal, (), world)
    return place(transaction, world, event, now_s, sign)


def place(
    transaction: Transaction, world: World, event: Event, now_s: int, sign: Sign
) -> Admission:
    """Store a verified event that may be written, where nothing stored stands against it."""
    once = keeps_once(world, event)
    gone = _deleted(transaction, world, event)
    if gone is not None and not once:
        return Admission(gone, (), world)
    if transaction.knows(event.id):
        return Admission(Known("this event is here already"), (), world)
    expiry = expiry_of(world, event, now_s)
    if isinstance(expiry, Refusal):
        return Admission(expiry, (), world)
    refusal = gone or _objection(transaction, world, event)
    if refusal is not None:
        return Admission(refusal, (), world)
    once_key = _once_key(world, event) if once else None
    if once_key is not None and transaction.had_effect(event.pubkey, once_key):
        return Admission(Known(DONE), (), world)
    where = address(event)
    old = transaction.at(where) if where else None
    refusal = retention.objection(world, event, old)
    if refusal is None and old is not None and not retention.supersedes(event, old):
        refusal = Refusal(Prefix.BLOCKED, "a newer version of this event is stored")
    if refusal is None:
        refusal = _take_away(transaction, world, event)
    if refusal is not None:
        return Admission(refusal, (), world)
    if old is not None:
        transaction.remove(old)
    if once_key is not None:
        transaction.record_effect(event.pubkey, once_key)
    stored = moderation.store(transaction, event, expiry)
    after = world.after(event, now_s)
    derived, after = moderation.follow(transaction, world, after, event, now_s, sign)
    return Admission(stored, (stored, *derived), after)


def _once_key(world: World, event: Event) -> str | None:
    given = event.tag("o")
    # Attack: an agent that uses the once-key of another group's next answer, which would then be
    # dropped as known. The bot's are chosen by agents; those of others by parts of the house.
    if given is None or event.pubkey != world.bot:
        return given
    return in_group(given, event.tag("h"))


def remove_expired(transaction: Transaction, now_s: int, limit: int) -> int | None:
    """Remove what has expired; returns when to come again, None when nothing will expire."""
    for event in transaction.expired(now_s, limit):
        transaction.remove(event)
    return transaction.next_expiry()


def expiry_of(world: World, event: Event, now_s: int) -> int | Refusal | None:
    """The second from which an event is hidden, None for never, or why it is not taken."""
    try:
        expiry = retention.expires_at(world, event)
    except Malformed as error:
        return Refusal(Prefix.INVALID, str(error))
    if expiry is not None and expiry <= now_s:
        return Refusal(Prefix.INVALID, "this event has expired")
    return expiry


def _objection(transaction: Transaction, world: World, event: Event) -> Refusal | None:
    if world.public:
        return None
    if (refusal := moderation.misplaced(transaction, world, event)) is not None:
        return refusal
    if event.kind in groups_.MODERATION:
        return groups_.objection(world.groups, event)
    if event.kind == Kind.APP_DATA and (event.tag("d") or "").startswith(GRANT_PREFIX):
        try:
            grants.parse(event, event.pubkey)
        except Malformed as error:
            return Refusal(Prefix.INVALID, str(error))
    return None


def _deleted(transaction: Transaction, world: World, event: Event) -> Refusal | None:
    if vanishing.has_vanished(transaction, event):
        return Refusal(Prefix.BLOCKED, "its author asked to be forgotten")
    if event.kind == Kind.DELETION or not transaction.deletions.covers(event):
        return None  # NIP-09: a "deletion request against a deletion request has no effect"
    if retention.is_ledger(world, event):
        return None
    return Refusal(Prefix.BLOCKED, "this event has been deleted")


def _take_away(transaction: Transaction, world: World, event: Event) -> Refusal | None:
    """Do what a deletion or a request to vanish asks; None for every other event."""
    if event.kind == Kind.DELETION:
        return _delete(transaction, world, event)
    if event.kind != VANISH:
        return None
    refusal = vanishing.objection(transaction, world, event)
    if refusal is None:
        vanishing.vanish(transaction, world, event)
    return refusal


def _delete(transaction: Transaction, world: World, deletion: Event) -> Refusal | None:
    targets = [transaction.event(value) for value in deletion.values("e") if _is_id(value)]
    places = [found for value in deletion.values("a") if (found := parse_address(value))]
    # NIP-09: an `a` tag deletes the author's own versions up to the request's own time.
    at_places = [transaction.at(place) for place in places]
    targets += [found for found in at_places if found and found.created_at <= deletion.created_at]
    found_targets = [target for target in targets if target is not None]
    for target in found_targets:
        if (refusal := retention.may_delete(world, deletion, target)) is not None:
            return refusal
    for target in found_targets:
        if retention.is_deleted_by(world, deletion, target):
            transaction.remove(target)
    if not world.public and deletion.pubkey == world.bot:
        return None  # what the bot will say under an id or address is not known to this group
    for value in deletion.values("e"):
        if _is_id(value):
            transaction.deletions.record(deletion.pubkey, value, deletion.created_at)
            if retention.names_wraps(deletion):
                wrap = WRAP_PREFIX + value
                transaction.deletions.record(deletion.pubkey, wrap, deletion.created_at)
    for place in places:
        if not _keeps_ledger(world, place):
            transaction.deletions.record(deletion.pubkey, str(place), deletion.created_at)
    return None


def _keeps_ledger(world: World, place: Address) -> bool:
    return not world.public and place.kind == Kind.APP_DATA and world.is_named(place.pubkey)


def _is_id(value: str) -> bool:
    return len(value) == 64 and all(digit in "0123456789abcdef" for digit in value)
