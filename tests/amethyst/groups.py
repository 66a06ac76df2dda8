"""An oracle: which groups Amethyst shows, with which members, and what it asks of the relay.

Written from a description of vitorpamplona/amethyst at 10149d71 and of Buzz's relay, not from
our own output or parsers. Events are plain JSON objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.amethyst.jobs import newest, values

METADATA, ADMINS, MEMBERS, ROLES, PINS = 39_000, 39_001, 39_002, 39_003, 39_005
STATE = [METADATA, ADMINS, MEMBERS, ROLES]
ADDED, REMOVED = 44_100, 44_101
UUID_4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIMELINE = [
    9, 40_002, 40_003, 40_008, 40_099, 40_100, 45_001, 45_002, 45_003, *range(43_001, 43_007),
    46_020, *range(46_001, 46_008), 46_010, 46_011, 46_012, *range(48_100, 48_104), 20_002,
]  # fmt: skip


def asked_at_first() -> list[dict[str, Any]]:
    """All groups of the relay."""
    return [{"kinds": STATE}]


def asked_of(group: str) -> list[list[dict[str, Any]]]:
    """The subscriptions about one group: its state by `d`, live by `h`, the pins, the timeline,
    reactions and deletions."""
    return [
        [{"kinds": STATE, "#d": [group]}],
        [{"kinds": STATE, "#h": [group]}],
        [{"kinds": [*STATE, PINS], "#d": [group]}, {"kinds": [PINS], "#h": [group]}],
        [{"kinds": TIMELINE, "#h": [group]}],
        [{"kinds": [5, 7, 9_005], "#h": [group], "limit": 500}],
    ]


def asked_about(viewer: str) -> list[dict[str, Any]]:
    """Where the viewer was added or removed."""
    return [{"kinds": [ADDED, REMOVED, 30_622], "#p": [viewer]}]


def is_buzz(document: Mapping[str, Any]) -> bool:
    """Whether the relay's NIP-11 document is that of one that speaks the dialect."""
    return (
        "buzz" in str(document.get("software", "")).lower()
        and re.fullmatch("[0-9a-f]{64}", str(document.get("self"))) is not None
        and 29 in document.get("supported_nips", [])
    )


@dataclass(frozen=True, slots=True)
class Channel:
    """One group on the screen. members, admins: key to role."""

    id: str
    name: str | None
    is_private: bool
    is_closed: bool
    is_hidden: bool
    type: str | None
    admins: dict[str, str]
    members: dict[str, str]


def fold(events: Iterable[dict[str, Any]], relay: str) -> dict[str, Channel]:
    """The groups by id. relay: the key that NIP-11 names as `self`; nobody else's count."""
    by_group: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for event in events:
        ids = values(event, "d")
        if event["pubkey"] != relay or event["content"] or event["kind"] not in STATE:
            continue
        if len(ids) == 1 and UUID_4.fullmatch(ids[0]):
            by_group.setdefault(ids[0], {}).setdefault(event["kind"], []).append(event)
    return {
        group: _channel(group, {kind: newest(found) for kind, found in state.items()})
        for group, state in by_group.items()
        if METADATA in state
    }


def _channel(group: str, state: dict[int, dict[str, Any]]) -> Channel:
    metadata = state[METADATA]
    flags = {tag[0] for tag in metadata["tags"]}
    names, types = values(metadata, "name"), values(metadata, "t")
    return Channel(
        group,
        names[0] if names else None,
        "private" in flags and "public" not in flags,
        "closed" in flags,
        "hidden" in flags,
        types[0] if types else None,
        # ["p", key, role]
        {tag[1]: tag[2] for tag in _people(state.get(ADMINS)) if len(tag) > 2},
        # ["p", key, "", role]
        {tag[1]: tag[3] if len(tag) > 3 else "member" for tag in _people(state.get(MEMBERS))},
    )


def _people(event: dict[str, Any] | None) -> list[list[str]]:
    return [tag for tag in event["tags"] if tag[0] == "p" and len(tag) > 1] if event else []


def memberships(events: Iterable[dict[str, Any]], relay: str, viewer: str) -> dict[str, bool]:
    """Whether the viewer belongs to a group, as the newest notice of it says; a tie means that
    they were removed."""
    latest: dict[str, tuple[int, bool]] = {}
    for event in events:
        if event["pubkey"] != relay or event["kind"] not in (ADDED, REMOVED):
            continue
        if values(event, "p") != [viewer] or len(values(event, "h")) != 1:
            continue
        [group] = values(event, "h")
        content = json.loads(event["content"])
        kinds = {"member_added": ADDED, "member_removed": REMOVED}
        if kinds.get(content["type"]) != event["kind"] or content["channel_id"] != group:
            continue
        found = (event["created_at"], event["kind"] == REMOVED)
        latest[group] = max(latest.get(group, (0, False)), found)
    return {group: not removed for group, (_, removed) in latest.items()}
