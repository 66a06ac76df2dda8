"""Pure: a counterpart as people are shown it. Never by a phone number: none is in our events."""

from __future__ import annotations

from nips.key import is_public_key
from nips.nip19 import encode_npub
from nips.own import signal_id

SHORT_CHARS = 8


def whole(counterpart: str) -> str:
    """In full, as a command takes it: an npub, or `<network>:<id>`."""
    network, _, id_ = counterpart.partition(":")
    return encode_npub(id_) if network == "nostr" and is_public_key(id_) else counterpart


def short(counterpart: str) -> str:
    """Enough to tell people apart: both ends of an npub, how an id begins."""
    network, _, id_ = counterpart.partition(":")
    if network == "nostr" and is_public_key(id_):
        npub = encode_npub(id_)
        return f"{npub[:10]}…{npub[-4:]}"
    if network == signal_id.NETWORK:
        what = "Signal group" if signal_id.is_group(id_) else "Signal"
        return f"{what} {id_[:SHORT_CHARS]}…"
    return counterpart
