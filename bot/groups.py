"""Pure: the groups as the router knows them, and what is still to be said to make `main`.

Name and membership are a fold of moderation events in order of arrival, which the relay let
through; a binding says which folder and whose conversation a group is.
Source: PROTOCOL.md, NIP-29.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

from nips import nip29
from nips.event import Event, Template
from nips.kinds import Kind
from nips.nip29 import GroupRole, Member, Metadata
from nips.own import binding as bindings
from nips.own.binding import Binding
from nips.own.roles import Roles

MEMBERSHIP_KINDS = frozenset(
    {
        Kind.CREATE_GROUP,
        Kind.EDIT_METADATA,
        Kind.DELETE_GROUP,
        Kind.PUT_USER,
        Kind.REMOVE_USER,
    }
)
MAIN_FOLDER = "main"
MAIN_METADATA = Metadata(
    "Main", "You and your assistant.", frozenset({"private", "restricted", "closed", "hidden"})
)


@dataclass(frozen=True, slots=True)
class Group:
    """members: key in hex to its roles. binding: None for a group that is no conversation.
    name: what people call it, as its last 9002 says; "" where nobody named it. marks: a puppet's
    key to the mark of whom it stands for (`binding.mark`)."""

    id: str
    members: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    binding: Binding | None = None
    bound_at: int = 0
    name: str = ""
    marks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def is_muted(self, pubkey: str) -> bool:
        """Say whether the key's words wake nobody here: its own, or, as a puppet, its person's."""
        muted = self.binding.muted if self.binding else ()
        if not muted or pubkey in muted:
            return bool(muted)
        mark = self.marks.get(pubkey)
        return mark is not None and mark in _marks_of(self.id, muted)

    def has(self, pubkey: str, role: str) -> bool:
        """Say whether the key has this role here."""
        return role in self.members.get(pubkey, ())

    def with_members(self, changes: Mapping[str, tuple[str, ...] | None]) -> Group:
        """The group after the keys got these roles, or, with None, went."""
        merged = {**self.members, **changes}
        kept = {key: roles for key, roles in merged.items() if roles is not None}
        marks = {key: mark for key, mark in self.marks.items() if key not in changes}
        return replace(self, members=MappingProxyType(kept), marks=MappingProxyType(marks))


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
                return self if group else self._with(Group(group_id, name=_name(event)))
            case Kind.EDIT_METADATA if group:
                return self._with(replace(group, name=_name(event)))
            case Kind.DELETE_GROUP:
                rest = {key: kept for key, kept in self.by_id.items() if key != group_id}
                return Groups(MappingProxyType(rest))
            case Kind.PUT_USER if group:
                members = nip29.members(event)
                put = group.with_members({m.pubkey: m.roles for m in members})
                return self._with(
                    put if (mark := event.tag("for")) is None else _marked(put, members, mark)
                )
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

    def owners(self, main: str, owner: str) -> frozenset[str]:
        """The keys by which the owner speaks: their own, and the puppets of main, where nobody
        else is bound. Puppets are derived from whom they stand for, so it is the same key in
        every group."""
        group = self.by_id.get(main)
        members = () if group is None else group.members
        return frozenset(
            {owner, *(key for key in members if group and group.has(key, GroupRole.PUPPET))}
        )

    def _with(self, group: Group) -> Groups:
        return Groups(MappingProxyType({**self.by_id, group.id: group}))


@lru_cache(maxsize=1024)
def _marks_of(group: str, muted: tuple[str, ...]) -> frozenset[str]:
    return frozenset(bindings.mark(group, f"nostr:{key}") for key in muted)


def _marked(group: Group, members: tuple[Member, ...], mark: str) -> Group:
    puppets = {m.pubkey: mark for m in members if GroupRole.PUPPET in m.roles}
    return replace(group, marks=MappingProxyType({**group.marks, **puppets}))


def _name(event: Event) -> str:
    # NIP-29 edit-metadata: "all the fields of group-metadata"; what is left out is removed.
    name = Metadata.from_tags(event).name or ""
    # Attack: a name that moves a terminal's cursor, or hides what stands behind it.
    return " ".join("".join(ch if ch.isprintable() else " " for ch in name).split())


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
    # Attack: a key that was replaced because somebody else had it, and that still reads along.
    templates += [
        nip29.remove_user(router, main, key, now_s) for key in roles.former if key in group.members
    ]
    templates += [
        nip29.put_user(router, main, key, (role,), now_s)
        for key, role in wanted.items()
        if not group.has(key, role)
    ]
    binding = main_binding(roles, owner, group.binding)
    if group.binding != binding:
        templates.append(bindings.template(binding, router, max(now_s, group.bound_at + 1)))
    return tuple(templates)


def main_binding(roles: Roles, owner: str, kept: Binding | None = None) -> Binding:
    """Whose conversation `main` is: the owner's, and the terminal's, which approves nothing.

    kept: the binding so far; what the owner has changed in it, such as a trigger or a budget,
    stays. Whose it is, its folder and that it is there do not.
    """
    people = (owner,) if roles.chat is None else (owner, roles.chat)
    return replace(
        kept or Binding(roles.main, MAIN_FOLDER),
        folder=MAIN_FOLDER,
        counterparts=tuple(f"nostr:{person}" for person in people),
        room=False,
        archived=False,
    )
