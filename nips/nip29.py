"""Pure: groups that live on a relay: names, moderation templates. Source: NIP-29.

The relay folds moderation events, in order of arrival, into the state it publishes as kinds
39000 to 39003. This file says how they look; who may send them is the relay's policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nips.event import Event, Tag, Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.refusal import Malformed

MODERATION_KINDS = range(9000, 9021)  # NIP-29: "moderation events (`kinds:9000-9020`)"
DELETE_EVENT, CREATE_INVITE = 9005, 9009
JOIN_REQUEST, LEAVE_REQUEST = 9021, 9022
FLAGS = ("private", "restricted", "hidden", "closed")
"""Tags of the metadata without a value: members alone read; write; see it; no join requests."""
OPENING_WORDS = {
    "private": "public",
    "restricted": "unrestricted",
    "hidden": "visible",
    "closed": "open",
}
"""By which a group's creation or edit says that one of the flags does not hold."""


class GroupRole(StrEnum):
    """What a member of a group is there."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    AGENT = "agent"  # a member that is a program
    PUPPET = "puppet"  # a person of another network, through a bridge


ROLE_DESCRIPTIONS = {
    GroupRole.OWNER: "the person the assistant belongs to; may do everything",
    GroupRole.ADMIN: "may change the group and its members",
    GroupRole.MEMBER: "may read and write",
    GroupRole.AGENT: "an assistant; may read and write",
    GroupRole.PUPPET: "a person of another network, written for by a bridge",
}


@dataclass(frozen=True, slots=True)
class Member:
    """What a 9000 says of one person."""

    pubkey: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """How a group is shown and closed off. `flags`: of `FLAGS`, those that hold."""

    name: str | None = None
    about: str | None = None
    flags: frozenset[str] = frozenset()

    def tags(self) -> tuple[Tag, ...]:
        """The tags of a 9002 or 39000, without its group id."""
        out: list[Tag] = []
        if self.name is not None:
            out.append(("name", self.name))
        if self.about is not None:
            out.append(("about", self.about))
        out += [(flag,) for flag in FLAGS if flag in self.flags]
        return tuple(out)

    @classmethod
    def from_tags(cls, event: Event | Template) -> Metadata:
        """What a 9002 or 39000 says; tags it does not know are passed over."""
        present = {tag[0] for tag in event.tags}
        flags = frozenset(flag for flag in FLAGS if flag in present)
        return cls(event.tag("name"), event.tag("about"), flags)


def is_moderation(kind: int) -> bool:
    """Say whether the kind changes a group: to be sent by its admins or the relay only."""
    return kind in MODERATION_KINDS


def create_group(author: str, group: str, created_at: int) -> Template:
    """9007: bring a group into being."""
    return _moderation(author, group, created_at, Kind.CREATE_GROUP)


def edit_metadata(author: str, group: str, metadata: Metadata, created_at: int) -> Template:
    """9002: set name, about and flags; what is not given is taken away."""
    return _moderation(author, group, created_at, Kind.EDIT_METADATA, *metadata.tags())


def put_user(
    author: str, group: str, pubkey: str, roles: Iterable[str], created_at: int
) -> Template:
    """9000: make `pubkey` a member with these roles, or give a member these instead."""
    return _moderation(author, group, created_at, Kind.PUT_USER, ("p", pubkey, *roles))


def remove_user(author: str, group: str, pubkey: str, created_at: int) -> Template:
    """9001: end a membership."""
    return _moderation(author, group, created_at, Kind.REMOVE_USER, ("p", pubkey))


def delete_group(author: str, group: str, created_at: int) -> Template:
    """9008: end the group."""
    return _moderation(author, group, created_at, Kind.DELETE_GROUP)


def members(event: Event | Template) -> tuple[Member, ...]:
    """The people that a 9000, 9001, 39001 or 39002 names, with their roles.

    Raises Malformed when it names none or a key is not hex: a moderation event that does
    nothing is a mistake worth an answer.
    """
    found = [tag for tag in event.tags if tag[0] == "p"]
    if not found and event.kind in MODERATION_KINDS:
        raise Malformed("a p tag must name the person")
    if not all(len(tag) > 1 and is_hex(tag[1], 32) for tag in found):
        raise Malformed("a p tag must hold a public key of 64 lower-case hex digits")
    # In a 39002 of the Buzz dialect an empty address stands before the roles.
    return tuple(Member(tag[1], tuple(role for role in tag[2:] if role)) for tag in found)


def _moderation(author: str, group: str, created_at: int, kind: Kind, *tags: Tag) -> Template:
    return Template(author, created_at, kind, (("h", group), *tags), "")
