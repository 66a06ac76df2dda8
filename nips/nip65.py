"""Pure: relay lists, kind 10002: where somebody publishes, and where they read what concerns them.

Source: NIP-65.
"""

from __future__ import annotations

from collections.abc import Iterable

from nips.event import Event, Template
from nips.kinds import Kind
from nips.nip42 import normalise
from nips.refusal import Malformed

MAX_RELAYS = 4  # NIP-65 advises 2 to 4 of each sort


def template(pubkey: str, relays: Iterable[str], created_at: int) -> Template:
    """The kind 10002 of who reads and writes at all of these relays."""
    # NIP-65: "If the marker is omitted, the relay is both **read** and **write**."
    return Template(pubkey, created_at, Kind.RELAY_LIST, tuple(("r", url) for url in relays), "")


def read_relays(event: Event | Template) -> tuple[str, ...]:
    """Where the author of a kind 10002, which the caller has verified, reads what mentions them.

    Addresses that are no ws or wss URL are left out, as are spellings of one already named, and
    what is beyond `MAX_RELAYS`: a stranger's list must not make us connect to thousands.
    Raises Malformed for another kind.
    """
    if event.kind != Kind.RELAY_LIST:
        raise Malformed(f"a relay list has kind {int(Kind.RELAY_LIST)}, not {event.kind}")
    found: dict[str, str] = {}
    for tag in event.tags:
        if tag[0] != "r" or len(tag) < 2 or tag[2:3] not in ((), ("",), ("read",)):
            continue
        try:
            found.setdefault(normalise(tag[1]), tag[1])
        except Malformed:
            continue
    return tuple(found.values())[:MAX_RELAYS]
