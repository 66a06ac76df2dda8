"""Shell: what follows from a moderation event, inside its own transaction.

A request to join becomes the relay's 9000, one to leave its 9001, a 9005 takes its events away;
then the group's 39000 to 39003, the notices to who came and went, and the roster are written
anew. All of it is derived: thrown away, it is made again from the moderation events alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nips import nip29
from nips.event import Event, Template
from nips.kinds import Kind
from nips.nip29 import DELETE_EVENT, JOIN_REQUEST, LEAVE_REQUEST, GroupRole
from nips.refusal import Prefix, Refusal
from relay_local import retention, roster
from relay_local.access import room
from relay_local.groups import MODERATION, STATE_KINDS, state_templates
from relay_local.retention import Address
from relay_local.transaction import Transaction
from relay_local.world import World

_PREFIX_CHARS = 8


@dataclass(frozen=True, slots=True)
class Stored:
    """An event on disk: its arrival number and its JSON as it goes to readers."""

    event: Event
    body: bytes
    seq: int


Sign = Callable[[Template], Event]


def store(transaction: Transaction, event: Event, expiry: int | None) -> Stored:
    """Write an event. expiry: the second from which it is hidden, or None."""
    body = event.to_bytes()
    return Stored(event, body, transaction.insert(event, body, expiry))


def misplaced(transaction: Transaction, world: World, event: Event) -> Refusal | None:
    """Why an event does not belong into its group's timeline; None when it does.

    NIP-29: "reject any events that contain timeline references to events not found in their own
    database"; none at all is fine. A group's message is so not replayed in a fork of the group.
    """
    group = event.tag("h")
    if group is None:
        return None
    for tag in event.tags:
        if tag[0] != "previous":
            continue
        for prefix in tag[1:]:
            if not _is_prefix(prefix) or not transaction.saw(prefix, group):
                return Refusal(
                    Prefix.INVALID, f"previous names {prefix[:64]!r}, which this group has not seen"
                )
    return None


def follow(
    transaction: Transaction, before: World, after: World, event: Event, now_s: int, sign: Sign
) -> tuple[tuple[Stored, ...], World]:
    """Write what follows from `event`, just stored; returns it and the world after it."""
    if before.public or event.kind not in MODERATION:
        return (), after
    out: list[Stored] = []
    group = event.tag("h") or ""
    if (answer := _answer(event, group, after, now_s)) is not None:
        signed = sign(answer)
        out.append(store(transaction, signed, None))
        after = after.after(signed, now_s)
    elif event.kind == DELETE_EVENT:
        _take_away(transaction, after, event, group)
    if _is_seen_changed(before, after, group):
        out += describe(transaction, after, group, now_s, sign)
    for change in roster.changes(before.groups, after.groups, group):
        out.append(_tell(transaction, change, event.pubkey, after.relay, now_s, sign))
    out += list_members(transaction, after, now_s, sign)
    return tuple(out), after


def describe(
    transaction: Transaction, world: World, group_id: str, now_s: int, sign: Sign
) -> tuple[Stored, ...]:
    """Write a group's 39000 to 39003 in place of those stored; of a group that is gone, none."""
    group = world.groups.by_id.get(group_id)
    old = [transaction.at(Address(world.relay, kind, group_id)) for kind in STATE_KINDS]
    existing = [event for event in old if event is not None]
    for version in existing:
        transaction.remove(version)
    if group is None:
        return ()
    # Two changes within a second would tie, and the lower id would win: step the time forward.
    created_at = max([now_s, *(version.created_at + 1 for version in existing)])
    return tuple(
        store(transaction, sign(template), None)
        for template in state_templates(group, world.relay, created_at)
    )


def list_members(
    transaction: Transaction, world: World, now_s: int, sign: Sign
) -> tuple[Stored, ...]:
    """Write NIP-43's roster where it differs from the one stored."""
    old = transaction.at(Address(world.relay, roster.ROSTER, ""))
    keys = roster.members(world.groups)
    if old is not None and {tag[1] for tag in old.tags if tag[0] == "member"} == keys:
        return ()
    if old is not None:
        transaction.remove(old)
    created_at = max(now_s, old.created_at + 1) if old else now_s
    return (store(transaction, sign(roster.template(keys, world.relay, created_at)), None),)


def restore(transaction: Transaction, world: World, now_s: int, sign: Sign) -> None:
    """Make again what is derived from the moderation events and is missing or differs: after
    an import, a new key, or a version that describes groups otherwise."""
    if world.public:
        return
    for group in world.groups.by_id.values():
        for wanted in state_templates(group, world.relay, 0):
            stored = transaction.at(Address(world.relay, wanted.kind, group.id))
            if stored is None or stored.tags != wanted.tags:
                describe(transaction, world, group.id, now_s, sign)
                break
    if world.groups.by_id:
        list_members(transaction, world, now_s, sign)


def _answer(event: Event, group: str, world: World, now_s: int) -> Template | None:
    relay = world.relay
    if event.kind == Kind.CREATE_GROUP and event.pubkey == world.owner:
        # Clients look for who made a group among its admins (39001) before they show its settings.
        return nip29.put_user(relay, group, event.pubkey, (GroupRole.OWNER,), now_s)
    if event.kind == JOIN_REQUEST:
        return nip29.put_user(relay, group, event.pubkey, (GroupRole.MEMBER,), now_s)
    if event.kind == LEAVE_REQUEST:
        # NIP-29: "The relay will automatically issue a `kind:9001` in response"
        return nip29.remove_user(relay, group, event.pubkey, now_s)
    return None


def _take_away(transaction: Transaction, world: World, event: Event, group: str) -> None:
    for event_id in event.values("e"):
        target = transaction.event(event_id)
        # An admin of one group must not delete in another, nor the record of what was done.
        if target is None or room(target) != group or target.pubkey == world.relay:
            continue
        if retention.is_ledger(world, target):
            continue
        transaction.remove(target)
        transaction.deletions.record(target.pubkey, target.id, event.created_at)


def _is_seen_changed(before: World, after: World, group_id: str) -> bool:
    old, new = before.groups.by_id.get(group_id), after.groups.by_id.get(group_id)
    if old is None or new is None:
        return old is not new
    return (old.metadata, old.members, old.flags) != (new.metadata, new.members, new.flags)


def _tell(
    transaction: Transaction, change: roster.Change, actor: str, relay: str, now_s: int, sign: Sign
) -> Stored:
    kinds = sorted(roster.NOTICE_KINDS)
    created_at = now_s
    for old in transaction.addressed_to(change.pubkey, kinds, change.group):
        if old.pubkey == relay:
            created_at = max(created_at, old.created_at + 1)
            transaction.remove(old)
    return store(transaction, sign(roster.notice(change, actor, relay, created_at)), None)


def _is_prefix(text: str) -> bool:
    return len(text) == _PREFIX_CHARS and all(digit in "0123456789abcdef" for digit in text)
