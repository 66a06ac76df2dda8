"""Pure: the groups as the router knows them, and what is still to be said to make `main`.

Membership is a fold of moderation events in order of arrival, which the relay let through; a
binding says which folder and whose conversation a group is. Source: PROTOCOL.md, NIP-29.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from nips import nip29
from nips.event import Event, Template
from nips.kinds import Kind
from nips.nip29 import GroupRole, Metadata
from nips.own import binding as bindings
from nips.own.binding import Binding
from nips.own.roles import Roles

MEMBERSHIP_KINDS = frozenset(
    {Kind.CREATE_GROUP, Kind.DELETE_GROUP, Kind.PUT_USER, Kind.REMOVE_USER}
)
MAIN_FOLDER = "main"
MAIN_METADATA = Metadata(
    "Main", "You and your assistant.", frozenset({"private", "restricted", "closed", "hidden"})
)


@dataclass(frozen=True, slots=True)
class Group:
    """members: key in hex to its roles. binding: None for a group that is no conversation."""

    id: str
    members: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    binding: Binding | None = None
    bound_at: int = 0

    def has(self, pubkey: str, role: str) -> bool:
        """Say whether the key has this role here."""
        return role in self.members.get(pubkey, ())

    def with_members(self, changes: Mapping[str, tuple[str, ...] | None]) -> Group:
        """The group after the keys got these roles, or, with None, went."""
        merged = {**self.members, **changes}
        kept = {key: roles for key, roles in merged.items() if roles is not None}
        return replace(self, members=MappingProxyType(kept))


@dataclass(frozen=True, slots=True)
class Groups:
    """Every group by its id."""

    by_id: Mapping[str, Group] = field(default_factory=lambda: MappingProxyType({}))

    def after(self, event: Event) -> Groups:
        """The groups after an event of `MEMBERSHIP_KINDS`. Events are to be given in order of
        arrival; given again from some point on, they lead to the same end."""
        group_id = event.tag("h")
        if group_id is None:
            return self
        group = self.by_id.get(group_id)
        match event.kind:
            case Kind.CREATE_GROUP:
                return self if group else self._with(Group(group_id))
            case Kind.DELETE_GROUP:
                rest = {key: kept for key, kept in self.by_id.items() if key != group_id}
                return Groups(MappingProxyType(rest))
            case Kind.PUT_USER if group:
                members = nip29.members(event)
                return self._with(group.with_members({m.pubkey: m.roles for m in members}))
            case Kind.REMOVE_USER if group:
                return self._with(
                    group.with_members({m.pubkey: None for m in nip29.members(event)})
                )
            case _:
                return self

    def bound(self, binding: Binding, created_at: int) -> Groups:
        """The groups after a binding; one for an unknown group, or an older one, changes
        nothing."""
        group = self.by_id.get(binding.group)
        if group is None or created_at < group.bound_at:
            return self
        return self._with(replace(group, binding=binding, bound_at=created_at))

    def _with(self, group: Group) -> Groups:
        return Groups(MappingProxyType({**self.by_id, group.id: group}))


def missing_of_main(groups: Groups, roles: Roles, owner: str, now_s: int) -> tuple[Template, ...]:
    """What the router still has to publish, in this order, so that `main` is the owner's.

    owner: in hex. Nothing when all is there; after a crash in between, the rest.
    """
    router, main = roles.router, roles.main
    group = groups.by_id.get(main)
    wanted = {owner: GroupRole.OWNER, roles.bot: GroupRole.MEMBER}
    templates: list[Template] = []
    if group is None:
        group = Group(main)
        templates += [
            nip29.create_group(router, main, now_s),
            nip29.edit_metadata(router, main, MAIN_METADATA, now_s),
        ]
    # An owner of before would go on being answered.
    templates += [
        nip29.remove_user(router, main, key, now_s)
        for key in group.members
        if group.has(key, GroupRole.OWNER) and key != owner
    ]
    templates += [
        nip29.put_user(router, main, key, (role,), now_s)
        for key, role in wanted.items()
        if not group.has(key, role)
    ]
    binding = main_binding(roles, owner)
    if group.binding != binding:
        templates.append(bindings.template(binding, router, max(now_s, group.bound_at + 1)))
    return tuple(templates)


def main_binding(roles: Roles, owner: str) -> Binding:
    """Whose conversation `main` is: the owner's, and the terminal's, which approves nothing."""
    people = (owner,) if roles.chat is None else (owner, roles.chat)
    return Binding(roles.main, MAIN_FOLDER, tuple(f"nostr:{person}" for person in people))
