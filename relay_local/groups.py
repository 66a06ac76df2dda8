"""Pure: NIP-29 groups as a fold of moderation events in order of arrival.

The order is the relay's, not `created_at`: nobody jumps into a group by backdating. The state
is what the events say and nothing else, so it is rebuilt from them at every start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from nips.event import Event, Tags, Template
from nips.key import is_public_key
from nips.kinds import Kind
from nips.nip29 import ROLE_DESCRIPTIONS, GroupRole
from nips.refusal import Prefix, Refusal

MODERATION = frozenset(range(9000, 9023))
SUPPORTED = frozenset(
    {Kind.PUT_USER, Kind.REMOVE_USER, Kind.EDIT_METADATA, Kind.CREATE_GROUP, Kind.DELETE_GROUP}
)
STATE_KINDS = (
    Kind.GROUP_METADATA,
    Kind.GROUP_ADMINS,
    Kind.GROUP_MEMBERS,
    Kind.GROUP_ROLES,
)
_ADMIN_ROLES = frozenset({GroupRole.OWNER, GroupRole.ADMIN})
_METADATA = frozenset({"name", "about", "picture"})
# What this relay does to every group, whatever its metadata would say.
_FLAGS: Tags = (("private",), ("restricted",), ("hidden",), ("closed",), ("t", "stream"))
_GROUP_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NO_MEMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Group:
    """One group. `members`: key to its roles, at least one each."""

    id: str
    metadata: Tags = ()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_MEMBERS)

    def is_puppet(self, pubkey: str) -> bool:
        """Say whether the key stands here for somebody of another network."""
        return GroupRole.PUPPET in self.members.get(pubkey, ())

    def is_member(self, pubkey: str) -> bool:
        """Say whether the key itself belongs here; a puppet acts through its bridge only."""
        return pubkey in self.members and not self.is_puppet(pubkey)

    def is_admin(self, pubkey: str) -> bool:
        """Say whether the key has a role with privileges."""
        return not _ADMIN_ROLES.isdisjoint(self.members.get(pubkey, ()))


@dataclass(frozen=True, slots=True)
class Groups:
    """Every group by id, and the ids of those deleted, which are never used again."""

    by_id: Mapping[str, Group] = field(default_factory=lambda: MappingProxyType({}))
    gone: frozenset[str] = frozenset()

    def of(self, pubkey: str) -> frozenset[str]:
        """The ids of the groups that the key is a member of."""
        return frozenset(g.id for g in self.by_id.values() if g.is_member(pubkey))

    def has_puppet(self, pubkey: str) -> bool:
        """Say whether the key is a puppet in any group."""
        return any(group.is_puppet(pubkey) for group in self.by_id.values())

    def has_member(self, pubkey: str) -> bool:
        """Say whether the key is itself a member of any group."""
        return any(group.is_member(pubkey) for group in self.by_id.values())

    def after(self, event: Event) -> Groups:
        """The groups after a moderation event that `objection` had nothing against."""
        group_id = event.tag("h") or ""
        match event.kind:
            case Kind.CREATE_GROUP:
                metadata = _metadata(event)
                return self._with(Group(group_id, metadata))
            case Kind.DELETE_GROUP:
                rest = {key: group for key, group in self.by_id.items() if key != group_id}
                return Groups(MappingProxyType(rest), self.gone | {group_id})
            case Kind.EDIT_METADATA:
                return self._with(replace(self.by_id[group_id], metadata=_metadata(event)))
            case Kind.PUT_USER:
                return self._with_members(group_id, _users(event))
            case Kind.REMOVE_USER:
                return self._with_members(group_id, dict.fromkeys(event.values("p"), ()))
            case _:
                return self

    def _with(self, group: Group) -> Groups:
        return replace(self, by_id=MappingProxyType({**self.by_id, group.id: group}))

    def _with_members(self, group_id: str, changes: Mapping[str, tuple[str, ...]]) -> Groups:
        group = self.by_id[group_id]
        members = {key: roles for key, roles in {**group.members, **changes}.items() if roles}
        return self._with(replace(group, members=MappingProxyType(members)))


def objection(groups: Groups, event: Event) -> Refusal | None:
    """Why a moderation event does not fit the groups as they are; who may send it is access's."""
    group_id = event.tag("h")
    if group_id is None:
        return Refusal(Prefix.INVALID, "a moderation event needs an h tag with the group's id")
    if event.kind not in SUPPORTED:
        return Refusal(Prefix.UNSUPPORTED, f"this relay does not act on kind {event.kind}")
    if event.kind == Kind.CREATE_GROUP:
        if not _GROUP_ID.fullmatch(group_id):
            return Refusal(Prefix.INVALID, "a group's id must be a lower-case UUID")
        if group_id in groups.by_id or group_id in groups.gone:
            return Refusal(Prefix.BLOCKED, "there is, or was, a group of this id")
        return None
    if group_id not in groups.by_id:
        return Refusal(Prefix.INVALID, "there is no group of this id")
    if event.kind in (Kind.PUT_USER, Kind.REMOVE_USER):
        users = event.values("p")
        if not users or not all(is_public_key(user) for user in users):
            return Refusal(Prefix.INVALID, "a p tag must hold a public key in lower-case hex")
    return None


def state_templates(group: Group, relay: str, created_at: int) -> tuple[Template, ...]:
    """The unsigned 39000 to 39003 of a group, by the relay's key.

    NIP-29: "They MUST be created by the relay master key only".
    """
    members = group.members.items()
    tags: tuple[Tags, ...] = (
        (*group.metadata, *_FLAGS),
        tuple(("p", key, *roles) for key, roles in members if _ADMIN_ROLES.intersection(roles)),
        tuple(("p", key, *roles) for key, roles in members),
        tuple(("role", name.value, meaning) for name, meaning in ROLE_DESCRIPTIONS.items()),
    )
    return tuple(
        Template(relay, created_at, kind, (("d", group.id), *of_kind), "")
        for kind, of_kind in zip(STATE_KINDS, tags, strict=True)
    )


def _metadata(event: Event) -> Tags:
    # NIP-29 edit-metadata: "all the fields of group-metadata"; what is left out is removed.
    return tuple(tag for tag in event.tags if tag[0] in _METADATA and len(tag) > 1)


def _users(event: Event) -> dict[str, tuple[str, ...]]:
    return {
        tag[1]: tag[2:] or (GroupRole.MEMBER.value,)
        for tag in event.tags
        if tag[0] == "p" and len(tag) > 1
    }
