"""Pure: what a session knows besides its job: who is who, where it is, what the folder says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from nips.event import Event
from nips.kinds import Kind
from nips.nip29 import GroupRole

MAX_NAME_CHARS = 100
NAMING_KINDS = frozenset({int(Kind.GROUP_METADATA), int(Kind.GROUP_ADMINS)})
_NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Note:
    """A file of the group's folder. `is_cut`: it is longer than what is here."""

    text: str = ""
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class People:
    """Who is who in a group. names: of public keys, as their bearers chose them. group: its name.
    owners: the keys that the relay calls the group's owners."""

    names: Mapping[str, str] = field(default_factory=lambda: _NOBODY)
    group: str = ""
    owners: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Context:
    """What a model is told besides the job. All texts are as somebody wrote them.

    router: the key by which the house itself speaks. now_s: unix seconds; 0 where the time is not
    known.
    """

    people: People = field(default_factory=People)
    router: str = ""
    now_s: int = 0


def read_people(events: Iterable[Event], group: str) -> People:
    """What profiles (0) and the group's own state (39000, 39001) say; other events are ignored."""
    names: dict[str, str] = {}
    called, owners = "", frozenset[str]()
    for event in events:
        match event.kind:
            case Kind.PROFILE:
                if given := _name(event.content):
                    names[event.pubkey] = given
            case Kind.GROUP_METADATA if event.tag("d") == group:
                called = (event.tag("name") or "")[:MAX_NAME_CHARS]
            case Kind.GROUP_ADMINS if event.tag("d") == group:
                # NIP-29: ["p", <pubkey>, <role>, <role>…]
                owners = frozenset(
                    tag[1] for tag in event.tags if tag[0] == "p" and GroupRole.OWNER in tag[2:]
                )
    return People(MappingProxyType(names), called, owners)


def _name(profile: str) -> str:
    try:
        match json.loads(profile):
            case {"display_name": str(found)} if found.strip():
                return found.strip()[:MAX_NAME_CHARS]
            case {"name": str(found)}:
                return found.strip()[:MAX_NAME_CHARS]
    except (ValueError, RecursionError):
        pass
    return ""
