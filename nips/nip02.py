"""Pure: whom somebody follows: their contact list, kind 3. Source: NIP-02."""

from __future__ import annotations

from nips.event import Event, Template
from nips.key import is_public_key
from nips.refusal import Malformed

CONTACTS = 3
MAX_FOLLOWED = 1_000


def followed(event: Event | Template) -> frozenset[str]:
    """The keys (hex) of a contact list; of a very long one those that were added last. Raises
    Malformed for another kind."""
    if event.kind != CONTACTS:
        raise Malformed(f"a contact list has kind {CONTACTS}")
    # NIP-02: "A kind 3 event ... with the list of `p` tags, one for each of the followed profiles";
    # "Whenever new follows are added to an existing list, clients SHOULD append them to the end".
    keys = [key for key in event.values("p") if is_public_key(key)]
    return frozenset(keys[-MAX_FOLLOWED:])
