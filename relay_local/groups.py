"""Pure: NIP-29 groups as a fold of moderation events in order of arrival.

The order is the relay's, not `created_at`: nobody jumps into a group by backdating. The state
is what the events say and nothing else, so it is rebuilt from them at every start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from nips.event import Event, Tags, Template
from nips.key import is_hex, is_public_key
from nips.kinds import Kind
from nips.nip29 import (
    CREATE_INVITE,
    DELETE_EVENT,
    FLAGS,
    JOIN_REQUEST,
    LEAVE_REQUEST,
    OPENING_WORDS,
    ROLE_DESCRIPTIONS,
    GroupRole,
)
from nips.refusal import Prefix, Refusal

MODERATION = frozenset(range(9000, 9023))
SUPPORTED = frozenset(
    {Kind.PUT_USER, Kind.REMOVE_USER, Kind.EDIT_METADATA, Kind.CREATE_GROUP, Kind.DELETE_GROUP}
    | {DELETE_EVENT, CREATE_INVITE, JOIN_REQUEST, LEAVE_REQUEST}
)
REQUESTS = frozenset({JOIN_REQUEST, LEAVE_REQUEST})
STATE_KINDS = (
    Kind.GROUP_METADATA,
    Kind.GROUP_ADMINS,
    Kind.GROUP_MEMBERS,
    Kind.GROUP_ROLES,
)
_ADMIN_ROLES = frozenset({GroupRole.OWNER, GroupRole.ADMIN})
_METADATA = frozenset({"name", "about", "picture"})
MIN_CODE_CHARS, MAX_CODE_CHARS = 8, 200
MAX_INVITES = 200  # open ones, of one group
# Said alike of a group that is not there and of one that is not shown.
NO_SUCH_GROUP = Refusal(Prefix.RESTRICTED, "there is no such group, or this key is no member of it")
# NIP-29: "a random string of any length"; without what an address or a folder's name ends at.
_GROUP_ID = re.compile(r"[0-9A-Za-z_-]{1,128}")
_NO_MEMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType({})
_NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Group:
    """One group. `members`: key to its roles, at least one each. `brought`: a puppet's key to whose
    event made it a member. `flags`: of NIP-29's four, those that hold. `invites`: the codes that
    have let nobody in yet.
    """

    id: str
    metadata: Tags = ()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_MEMBERS)
    brought: Mapping[str, str] = field(default_factory=lambda: _NOBODY)
    flags: frozenset[str] = frozenset(FLAGS)
    invites: frozenset[str] = frozenset()

    def is_puppet(self, pubkey: str) -> bool:
        """Say whether the key stands here for somebody of another network."""
        return GroupRole.PUPPET in self.members.get(pubkey, ())

    def is_member(self, pubkey: str) -> bool:
        """Say whether the key itself belongs here; a puppet acts through its bridge only."""
        return pubkey in self.members and not self.is_puppet(pubkey)

    def is_admin(self, pubkey: str) -> bool:
        """Say whether the key has a role with privileges."""
        return not _ADMIN_ROLES.isdisjoint(self.members.get(pubkey, ()))


@dataclass(frozen=True)  # no slots: what follows from the fields is computed once
class Groups:
    """Every group by id, the ids of those deleted, which are never used again, and the keys
    that have ever been removed from one."""

    by_id: Mapping[str, Group] = field(default_factory=lambda: MappingProxyType({}))
    gone: frozenset[str] = frozenset()
    former: frozenset[str] = frozenset()

    def without_flag(self, flag: str) -> frozenset[str]:
        """The ids of the groups that are open in one of NIP-29's four ways."""
        return frozenset(group.id for group in self.by_id.values() if flag not in group.flags)

    def governed_by(self, pubkey: str) -> frozenset[str]:
        """The ids of the groups that the key is an admin of."""
        return frozenset(group.id for group in self.by_id.values() if group.is_admin(pubkey))

    def of(self, pubkey: str) -> frozenset[str]:
        """The ids of the groups that the key is a member of."""
        return frozenset(g.id for g in self.by_id.values() if g.is_member(pubkey))

    def has_puppet(self, pubkey: str) -> bool:
        """Say whether the key is a puppet in any group."""
        return pubkey in self._puppets

    def bringers(self, puppet: str) -> frozenset[str]:
        """Whose events made the key a puppet, in any group."""
        return self._bringers.get(puppet, frozenset())

    def has_member(self, pubkey: str) -> bool:
        """Say whether the key is itself a member of any group."""
        return pubkey in self._members

    @cached_property
    def _puppets(self) -> frozenset[str]:
        every = self.by_id.values()
        return frozenset(key for group in every for key in group.members if group.is_puppet(key))

    @cached_property
    def _bringers(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for group in self.by_id.values():
            for puppet, by in group.brought.items():
                found[puppet] = found.get(puppet, frozenset()) | {by}
        return found

    @cached_property
    def _members(self) -> frozenset[str]:
        every = self.by_id.values()
        return frozenset(key for group in every for key in group.members if group.is_member(key))

    def after(self, event: Event) -> Groups:
        """The groups after a moderation event that `objection` had nothing against."""
        group_id = event.tag("h") or ""
        match event.kind:
            case Kind.CREATE_GROUP:
                return self._with(Group(group_id, _metadata(event), flags=_flags(event)))
            case Kind.DELETE_GROUP:
                rest = {key: group for key, group in self.by_id.items() if key != group_id}
                former = self.former | self.by_id[group_id].members.keys()
                return Groups(MappingProxyType(rest), self.gone | {group_id}, former)
            case Kind.EDIT_METADATA:
                group = self.by_id[group_id]
                return self._with(replace(group, metadata=_metadata(event), flags=_flags(event)))
            case Kind.PUT_USER:
                return self._with_members(group_id, _users(event), event.pubkey)
            case Kind.REMOVE_USER:
                removed = event.values("p")
                rest_ = self._with_members(group_id, dict.fromkeys(removed, ()), event.pubkey)
                return replace(rest_, former=self.former.union(removed))
            case _ if event.kind == CREATE_INVITE:
                return self._with_invites(group_id, lambda codes: codes.union(_codes(event)))
            case _ if event.kind == JOIN_REQUEST:  # a code lets one person in
                return self._with_invites(group_id, lambda codes: codes.difference(_codes(event)))
            case _:
                return self

    def shut(self, group_id: str) -> Groups:
        """The groups with one that is private, restricted, hidden and closed whatever was said."""
        group = self.by_id.get(group_id)
        if group is None or group.flags.issuperset(FLAGS):
            return self
        return self._with(replace(group, flags=frozenset(FLAGS)))

    def _with_invites(
        self, group_id: str, change: Callable[[frozenset[str]], frozenset[str]]
    ) -> Groups:
        group = self.by_id[group_id]
        invites = change(group.invites)
        return self if invites == group.invites else self._with(replace(group, invites=invites))

    def _with(self, group: Group) -> Groups:
        return replace(self, by_id=MappingProxyType({**self.by_id, group.id: group}))

    def _with_members(
        self, group_id: str, changes: Mapping[str, tuple[str, ...]], by: str
    ) -> Groups:
        group = self.by_id[group_id]
        members = {key: roles for key, roles in {**group.members, **changes}.items() if roles}
        brought = {key: bringer for key, bringer in group.brought.items() if key not in changes}
        brought |= {key: by for key, roles in changes.items() if GroupRole.PUPPET in roles}
        return self._with(
            replace(group, members=MappingProxyType(members), brought=MappingProxyType(brought))
        )


def objection(groups: Groups, event: Event) -> Refusal | None:
    """Why a moderation event does not fit the groups as they are; who may send it is access's."""
    group_id = event.tag("h")
    if group_id is None:
        return Refusal(Prefix.INVALID, "a moderation event needs an h tag with the group's id")
    if event.kind not in SUPPORTED:
        return Refusal(Prefix.UNSUPPORTED, f"this relay does not act on kind {event.kind}")
    if event.kind == Kind.CREATE_GROUP:
        if not _GROUP_ID.fullmatch(group_id):
            return Refusal(
                Prefix.INVALID,
                "a group's id must be 1 to 128 letters, digits, - or _",
            )
        if group_id in groups.by_id or group_id in groups.gone:
            return Refusal(Prefix.BLOCKED, "there is, or was, a group of this id")
        return None
    group = groups.by_id.get(group_id)
    if event.kind in REQUESTS:
        return _objection_to_request(group, event)
    if group is None:
        return Refusal(Prefix.INVALID, "there is no group of this id")
    if event.kind == CREATE_INVITE:
        return _objection_to_invite(group, event)
    if event.kind == DELETE_EVENT:
        if not event.values("e") or not all(is_hex(one, 32) for one in event.values("e")):
            return Refusal(Prefix.INVALID, "an e tag must hold the id of the event to delete")
        return None
    if event.kind in (Kind.PUT_USER, Kind.REMOVE_USER):
        users = event.values("p")
        if not users or not all(is_public_key(user) for user in users):
            return Refusal(Prefix.INVALID, "a p tag must hold a public key in lower-case hex")
    return None


def _objection_to_request(group: Group | None, event: Event) -> Refusal | None:
    if group is None:
        return NO_SUCH_GROUP
    is_there = event.pubkey in group.members
    if event.kind == LEAVE_REQUEST:
        if not is_there:
            return NO_SUCH_GROUP
        if GroupRole.OWNER in group.members[event.pubkey]:
            return Refusal(Prefix.RESTRICTED, "the owner does not leave; delete the group instead")
        return None
    if is_there:
        # NIP-29: "the event MUST be rejected with `duplicate: `"
        return Refusal(Prefix.DUPLICATE, "this key is a member of the group already")
    if "closed" not in group.flags or not group.invites.isdisjoint(_codes(event)):
        return None
    if "hidden" in group.flags:  # a wrong code must not find out which groups there are
        return NO_SUCH_GROUP
    return Refusal(
        Prefix.RESTRICTED, "this group is entered with an invite code; ask one of its admins"
    )


def _objection_to_invite(group: Group, event: Event) -> Refusal | None:
    codes = _codes(event)
    if not codes or not all(MIN_CODE_CHARS <= len(code) <= MAX_CODE_CHARS for code in codes):
        return Refusal(
            Prefix.INVALID, f"a code tag must hold {MIN_CODE_CHARS} to {MAX_CODE_CHARS} characters"
        )
    if len(group.invites | codes) > MAX_INVITES:
        return Refusal(Prefix.BLOCKED, f"this group has {MAX_INVITES} unused invites already")
    return None


def state_templates(group: Group, relay: str, created_at: int) -> tuple[Template, ...]:
    """The unsigned 39000 to 39003 of a group, by the relay's key.

    NIP-29: "They MUST be created by the relay master key only".
    """
    members = group.members.items()
    tags: tuple[Tags, ...] = (
        (*group.metadata, *_shown(group.flags), ("t", "stream")),
        tuple(("p", key, *roles) for key, roles in members if _ADMIN_ROLES.intersection(roles)),
        # NIP-29 has a key alone here; clients of the Buzz dialect read the role after a relay's
        # address, of which there is none.
        tuple(("p", key, "", *roles) for key, roles in members),
        tuple(("role", name.value, meaning) for name, meaning in ROLE_DESCRIPTIONS.items()),
    )
    return tuple(
        # NIP-29 has `d` "instead of the `h` tag"; clients ask by either, so both are there.
        Template(relay, created_at, kind, (("d", group.id), ("h", group.id), *of_kind), "")
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


def _flags(event: Event) -> frozenset[str]:
    # A group is shut in every way until a word opens it: a client that leaves a flag out when it
    # changes the name must not publish a family's messages.
    present = {tag[0] for tag in event.tags}
    return frozenset(
        flag for flag, word in OPENING_WORDS.items() if flag in present or word not in present
    )


def _shown(flags: frozenset[str]) -> Tags:
    held = tuple((flag,) for flag in FLAGS if flag in flags)
    return held + tuple((OPENING_WORDS[f],) for f in ("private", "closed") if f not in flags)


def _codes(event: Event) -> frozenset[str]:
    return frozenset(event.values("code"))
