"""Pure: what the relay says of its members: NIP-43's roster, and to each who came or went.

A notice is a 44100 or 44101 for one person; the newest of a group counts and, of two in one
second, the removal. So the time of a notice is stepped past the one before it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from nips.event import Tags, Template
from nips.nip29 import GroupRole
from relay_local.groups import Groups

ROSTER = 13_534
MEMBER_ADDED, MEMBER_REMOVED = 44_100, 44_101
NOTICE_KINDS = frozenset({MEMBER_ADDED, MEMBER_REMOVED})
# 8000 and 8001 are NIP-43's single changes, which only a relay may claim.
ROSTER_KINDS = NOTICE_KINDS | {ROSTER, 8_000, 8_001}
_WORDS = {MEMBER_ADDED: "member_added", MEMBER_REMOVED: "member_removed"}
_ALT = {MEMBER_ADDED: "You were added to a group", MEMBER_REMOVED: "You were removed from a group"}


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody came to a group or went from it. kind: 44100 or 44101."""

    kind: int
    pubkey: str
    group: str


def members(groups: Groups) -> frozenset[str]:
    """Everybody who is a member of a group; puppets are people of another network."""
    return frozenset(key for group in groups.by_id.values() for key in _people(groups, group.id))


def changes(before: Groups, after: Groups, group: str) -> tuple[Change, ...]:
    """Who came to a group and who went, in the order of their keys."""
    old, new = _people(before, group), _people(after, group)
    return tuple(
        Change(MEMBER_ADDED if key in new else MEMBER_REMOVED, key, group)
        for key in sorted(old ^ new)
    )


def notice(change: Change, actor: str, relay: str, created_at: int) -> Template:
    """The event that tells a person. actor: the key whose event changed the group."""
    content = {"type": _WORDS[change.kind], "channel_id": change.group, "actor": actor}
    tags: Tags = (("p", change.pubkey), ("h", change.group), ("alt", _ALT[change.kind]))
    body = json.dumps(content, separators=(",", ":"))
    return Template(relay, created_at, change.kind, tags, body)


def template(keys: frozenset[str], relay: str, created_at: int) -> Template:
    """NIP-43's 13534: "a `member` tag containing a hex pubkey" for each, and a `-` tag."""
    tags: Tags = (("-",), *(("member", key) for key in sorted(keys)))
    return Template(relay, created_at, ROSTER, tags, "")


def _people(groups: Groups, group_id: str) -> frozenset[str]:
    group = groups.by_id.get(group_id)
    if group is None:
        return frozenset()
    return frozenset(k for k, roles in group.members.items() if GroupRole.PUPPET not in roles)
