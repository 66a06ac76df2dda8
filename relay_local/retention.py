"""Pure: which stored event survives: replacement, deletion, expiration, and the ledger.

Source: NIP-01 "Kinds", NIP-09, NIP-40; PROTOCOL.md "Four mechanisms". What goes leaves its id
and once-key behind, so that it is a duplicate and no news when it comes again.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import MAX_CREATED_AT, Event
from nips.key import is_hex
from nips.kinds import Kind, Storage, storage
from nips.nip62 import VANISH
from nips.own import audit_head, order, signal_id, stranger
from nips.refusal import Malformed, Prefix, Refusal
from relay_local.access import room
from relay_local.groups import MODERATION
from relay_local.world import World, is_revocation


@dataclass(frozen=True, slots=True)
class Address:
    """Where a replaceable or addressable event stands; only its newest version is kept."""

    pubkey: str
    kind: int
    d: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.pubkey}:{self.d}"


def address(event: Event) -> Address | None:
    """The event's address; None for kinds that are kept one by one."""
    match storage(event.kind):
        case Storage.REPLACEABLE:
            return Address(event.pubkey, event.kind, "")
        case Storage.ADDRESSABLE:
            return Address(event.pubkey, event.kind, event.tag("d") or "")
        case _:
            return None


def parse_address(text: str) -> Address | None:
    """Read an `a` tag's value; None when it is not one."""
    kind, _, rest = text.partition(":")
    pubkey, separator, d = rest.partition(":")
    if not separator or not kind.isascii() or not kind.isdigit() or len(kind) > 5:
        return None
    if not is_hex(pubkey, 32):  # it is looked up in bytes
        return None
    return Address(pubkey, int(kind), d)


def supersedes(new: Event, old: Event) -> bool:
    """Say whether `new` takes the place of `old` at their common address.

    A revocation does whatever its time: a clock set back must not keep a grant alive.
    """
    if is_revocation(new):
        return True
    # NIP-01: "In case of replaceable events with the same timestamp, the event with the lowest
    # id (first in lexical order) should be retained"
    return (new.created_at, old.id) > (old.created_at, new.id)


def objection(world: World, new: Event, old: Event | None) -> Refusal | None:
    """Why `new` may not take the place of `old`, the version stored at its address."""
    if world.public:
        return None
    # PROTOCOL.md "Compare and set": two writers of one address do not overwrite each other.
    if (expected := new.tag("prev")) is not None and expected != (old.id if old else ""):
        return Refusal(Prefix.BLOCKED, "conflict: the version named by prev is not the stored one")
    if old is None:
        return None
    # A grant that was ended must not come back to life, whoever got hold of the router's key.
    if is_revocation(old):
        return Refusal(Prefix.BLOCKED, "this grant has been revoked for good")
    # Attack: the signer's ledger put back to an earlier copy. Its signer tells the day's head once
    # more, and what it told before, which alone shows that rows are missing, would be gone.
    # And what the owner has ordered is not put differently afterwards.
    told = (audit_head.D_PREFIX, order.D_PREFIX)
    if old.pubkey == world.signer and (old.tag("d") or "").startswith(told):
        return Refusal(Prefix.BLOCKED, "what the signer has told once is not told otherwise")
    if room(new) != room(old):  # moved, a group's event would show itself to another group
        return Refusal(Prefix.RESTRICTED, "a new version stays in the old one's group")
    return None


def expires_at(world: World, event: Event) -> int | None:
    """The second from which the event is no longer served; None: never. Raises Malformed."""
    given = event.tag("expiration")
    if given is None or is_ledger(world, event):
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise Malformed("expiration must be unix seconds")
    return min(int(given), MAX_CREATED_AT)


def is_ledger(world: World, event: Event) -> bool:
    """Say whether the event is part of the house's record, which nobody can take back."""
    if world.public:
        return False
    kind = event.kind
    if kind in MODERATION or 43_001 <= kind <= 43_006 or 46_000 <= kind < 47_000:
        return True
    # Whoever wrote once is not remembered for ever, nor is what passed through on its way.
    passing = (stranger.D_PREFIX, signal_id.RECORD_PREFIX)
    if kind == Kind.APP_DATA and (event.tag("d") or "").startswith(passing):
        return False
    return kind == 44_200 or (kind == Kind.APP_DATA and world.is_named(event.pubkey))


def may_delete(world: World, deletion: Event, target: Event) -> Refusal | None:
    """Why a deletion is refused for naming `target`; None when it may stand.

    NIP-09: "Relays SHOULD delete or stop publishing any referenced events that have an
    identical pubkey as the deletion request": of other people's events nothing happens, so
    they are no reason to refuse it either.
    """
    if world.public or deletion.pubkey != world.bot or not _may_ask(deletion, target):
        return None
    # An agent in one group must not make the bot take back what it said in another.
    if room(deletion) == room(target):
        return None
    return Refusal(Prefix.RESTRICTED, "the bot takes back only what it said in the same group")


def is_deleted_by(world: World, deletion: Event, target: Event) -> bool:
    """Say whether a stored deletion that names `target` removes it."""
    # NIP-62: a deletion "against a request to vanish has no effect"
    if target.kind in (Kind.DELETION, VANISH) or not _may_ask(deletion, target):
        return False
    return not is_ledger(world, target)


def names_wraps(deletion: Event) -> bool:
    """NIP-09: of a deletion of gift wraps by their recipient "the `k` tag MUST be `1059`"."""
    return str(int(Kind.GIFT_WRAP)) in deletion.values("k")


def _may_ask(deletion: Event, target: Event) -> bool:
    if deletion.pubkey == target.pubkey:
        return True
    if target.kind != Kind.GIFT_WRAP or not names_wraps(deletion):
        return False
    # NIP-09: honoured "when the deletion request `pubkey` appears in a `p` tag" of the wrap
    return deletion.pubkey in target.values("p")
