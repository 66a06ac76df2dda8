"""Pure: whether another relay can hold the conversation, from what it says of itself.

Source: NIP-11, NIP-29, NIP-42.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nips.event import Event
from nips.key import is_hex
from nips.kinds import Kind
from nips.nip29 import Metadata
from nips.own.roles import Roles

NEEDED = {29: "groups (NIP-29)", 42: "logins (NIP-42)"}


def lacks(document: Mapping[str, Any]) -> str | None:
    """What the relay does not offer, as a sentence's end; None when it offers all that is needed.

    document: its NIP-11 information, as decoded from JSON.
    """
    supported = document.get("supported_nips")
    spoken = set(supported) if isinstance(supported, list) and _are_numbers(supported) else set()
    missing = [words for nip, words in NEEDED.items() if nip not in spoken]
    return f"it does not offer {' and '.join(missing)}" if missing else None


def keeper(document: Mapping[str, Any]) -> str | None:
    """The relay's own key in hex, which signs the state of groups; None where it names none.

    NIP-29: "39000 … signed by the relay keypair", which NIP-11 names in `self`; older relays
    wrote it to `pubkey`.
    """
    for name in ("self", "pubkey"):
        if isinstance(key := document.get(name), str) and is_hex(key, 32):
            return key
    return None


def unfit(state: Sequence[Event], roles: Roles, relay: str | None) -> str | None:
    """Why the group, as its 39000 and 39002 show it, cannot hold the conversation; None: it can.

    state: verified events, of which those by another key than the relay's count nothing. relay:
    its key, None where it names none.
    """
    known = [event for event in state if relay in (None, event.pubkey)]
    metadata = _latest(known, Kind.GROUP_METADATA, roles.main)
    if metadata is None:
        return "the group is not there"
    # What an owner tells their assistant is not for everybody who connects.
    if "private" not in Metadata.from_tags(metadata).flags:
        return "the group is not private: everybody could read it"
    members = _latest(known, Kind.GROUP_MEMBERS, roles.main)
    present = set(members.values("p")) if members is not None else set()
    parts = {"the bot": roles.bot, "the router": roles.router}
    missing = [f"{words} ({key})" for words, key in parts.items() if key not in present]
    return f"{' and '.join(missing)} must join it" if missing else None


def _latest(events: Sequence[Event], kind: Kind, group: str) -> Event | None:
    found = [event for event in events if event.kind == kind and event.tag("d") == group]
    return max(found, key=lambda event: event.created_at, default=None)


def _are_numbers(values: list[object]) -> bool:
    return all(isinstance(value, int) for value in values)
