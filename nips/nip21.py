"""Pure: an event as people name it: hex, note, nevent or naddr. Source: NIP-21, NIP-19."""

from __future__ import annotations

from nips import nip19
from nips.key import is_hex
from nips.nip19 import Naddr
from nips.reference import Pointer, hint
from nips.refusal import Malformed

_AUTHOR = 2  # of nevent's fields


def event_of(text: str) -> Pointer | Naddr:
    """The event that somebody means, with or without `nostr:` before its name. Raises Malformed
    with what to do instead."""
    given = text.strip().removeprefix("nostr:")
    if is_hex(given.lower(), 32):
        return Pointer(given.lower())
    try:
        prefix, data = nip19.decode_bech32(given)
        match prefix:
            case "note" if len(data) == 32:
                return Pointer(data.hex())
            case "nevent":
                return _nevent(data)
            case "naddr":
                found = nip19.decode(given)
                assert isinstance(found, Naddr)
                return found
            case _:
                raise Malformed("not an event")
    except Malformed as error:
        raise Malformed(
            f"no event is named by this ({error}); give a nevent1…, a naddr1…, a note1… or an id "
            "of 64 hex digits"
        ) from error


def _nevent(data: bytes) -> Pointer:
    first, relays = nip19.fields("nevent", data)
    event_id, author = first.get(0, b"").hex(), first.get(_AUTHOR, b"").hex()
    if not is_hex(event_id, 32):
        raise Malformed("the nevent does not hold an id")
    known = [found for relay in relays if (found := hint(relay))]
    return Pointer(event_id, known[0] if known else "", author if is_hex(author, 32) else "")
