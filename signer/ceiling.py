"""Pure: the ceiling, which no grant exceeds. Source: `DATA/signer/ceiling.toml`.

The router mints grants; the ceiling bounds the router. It is changed from this machine's command
line only, so a router that was taken over can have signed what stands here, and not more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from nips.event import MAX_KIND
from nips.own.fields import group_id, integer, known_only, text
from nips.refusal import Malformed

# Whatever a file or a grant says, a session never gets these: the bot's profile, contacts,
# deletions and relay lists (taking over its name), seals and wraps (speaking as it unseen),
# AUTH (logging in as it), requests to ourselves, group moderation, our own records, vanishing.
NEVER_FOR_SESSIONS = frozenset(
    {0, 3, 5, 13, 62, 1059, 10_002, 10_050, 22_242, 24_133, 30_078, *range(9_000, 9_023)}
)
# What speaks inside a group: exactly one `h` tag, the group's.
GROUP_KINDS = frozenset({7, 9})
# The direct messages that a bridge may have sealed.
SEALED_KINDS = frozenset({7, 14, 15})

_NAMES = {"longest_ttl_s", "bridge_longest_ttl_s", "session_kinds", "relays"}
_TABLES = {"caps", "profile", "groups"}


@dataclass(frozen=True, slots=True)
class Caps:
    """How many events the bot signs at most, over all grants together."""

    per_minute: int = 600
    per_day: int = 50_000
    group_per_minute: int = 120
    group_per_day: int = 5_000


@dataclass(frozen=True, slots=True)
class Ceiling:
    """See above. `groups`: kinds that one group's sessions get besides `session_kinds`.

    relays: the configured public relays; profile: the object of the only kind 0 there may be.
    """

    longest_ttl_s: int = 180
    bridge_longest_ttl_s: int = 3_600
    session_kinds: frozenset[int] = GROUP_KINDS
    groups: Mapping[str, frozenset[int]] = field(default_factory=lambda: MappingProxyType({}))
    relays: tuple[str, ...] = ()
    profile: Mapping[str, str | bool] = field(default_factory=lambda: MappingProxyType({}))
    caps: Caps = Caps()

    def kinds_of(self, group: str) -> frozenset[int]:
        """The kinds that sessions of a group may ask for at all."""
        return (self.session_kinds | self.groups.get(group, frozenset())) - NEVER_FOR_SESSIONS


def parse(mapping: Mapping[str, Any]) -> Ceiling:
    """Read the decoded file. Raises Malformed naming the entry that is wrong."""
    known_only("ceiling", mapping, _NAMES | _TABLES)
    given: dict[str, Any] = {
        name: integer(f"ceiling: {name}", mapping[name], 1)
        for name in ("longest_ttl_s", "bridge_longest_ttl_s")
        if name in mapping
    }
    if "session_kinds" in mapping:
        given["session_kinds"] = _kinds("session_kinds", mapping["session_kinds"])
    groups = _table("groups", mapping)
    caps = _table("caps", mapping)
    known_only("ceiling: caps", caps, Caps.__slots__)
    relays = mapping.get("relays", [])
    if not isinstance(relays, list):
        raise Malformed("ceiling: relays must be an array of addresses")
    profile = _table("profile", mapping)
    if not all(isinstance(value, str | bool) for value in profile.values()):
        raise Malformed("ceiling: a profile's values are strings, true or false")
    return Ceiling(
        groups=MappingProxyType(
            {
                group_id("ceiling: a group", name): _group(name, table)
                for name, table in groups.items()
            }
        ),
        relays=tuple(text("ceiling: a relay", url) for url in relays),
        profile=MappingProxyType(dict(profile)),
        caps=Caps(**{name: integer(f"ceiling: {name}", value) for name, value in caps.items()}),
        **given,
    )


def _table(name: str, mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    table = mapping.get(name, {})
    if not isinstance(table, Mapping):
        raise Malformed(f"ceiling: {name} must be a table")
    return table


def _group(name: str, table: object) -> frozenset[int]:
    if not isinstance(table, Mapping):
        raise Malformed(f"ceiling: the group {name} must be a table")
    known_only(f"ceiling: the group {name}", table, {"kinds"})
    return _kinds(f"the group {name}", table.get("kinds", []))


def _kinds(where: str, given: object) -> frozenset[int]:
    if not isinstance(given, list):
        raise Malformed(f"ceiling: {where}: kinds must be an array")
    kinds = frozenset(integer(f"ceiling: {where}: a kind", kind, 0, MAX_KIND) for kind in given)
    if never := kinds & NEVER_FOR_SESSIONS:
        # Better refused while a person reads than passed over when they rely on it.
        raise Malformed(f"ceiling: {where}: kind {min(never)} is never a session's")
    return kinds


def render(ceiling: Ceiling) -> str:
    """The file's text, each line with what it means; `parse` reads the same value back."""
    caps = ceiling.caps
    lines = [
        "# What may be signed with the bot's key, whatever a grant says. The router's grants are",
        "# cut down to this. Change it here, then restart the signer.",
        "",
        f"longest_ttl_s = {ceiling.longest_ttl_s}  # a session's grant ends so soon unless renewed",
        f"bridge_longest_ttl_s = {ceiling.bridge_longest_ttl_s}  # the same for a bridge's",
        f"session_kinds = {sorted(ceiling.session_kinds)}  # anywhere: 7 reaction, 9 message",
        f"relays = {_toml(list(ceiling.relays))}  # where the bot may log in; its 10050 and 10002",
        "",
        "[caps]  # over all grants together",
        f"per_minute = {caps.per_minute}  # events signed or sealed",
        f"per_day = {caps.per_day}  # by the UTC day",
        f"group_per_minute = {caps.group_per_minute}  # in one conversation",
        f"group_per_day = {caps.group_per_day}",
        "",
        "[profile]  # the only kind 0 that is ever signed",
        *(f"{_toml(name)} = {_toml(value)}" for name, value in ceiling.profile.items()),
    ]
    for group, kinds in ceiling.groups.items():
        lines += [
            "",
            f'[groups."{group}"]  # besides session_kinds',
            f"kinds = {sorted(kinds)}  # 1 public note, 30023 public article",
        ]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    # A JSON string of printable text is a TOML basic string, but TOML refuses a raw DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
