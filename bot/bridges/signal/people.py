"""Pure: people of Signal as they stand in our groups, and what their messages are called there.

A person is known by their account's id (ACI). Source: PROTOCOL.md "Kind 9".
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bot.bridges.puppets import clean_name
from bot.bridges.signal.received.envelope import Identity
from nips.key import SecretKey
from nips.own.once import once_key

NETWORK = "signal"
LABEL = b"nostrclaw signal proxy v1"
PSEUDONYM_CHARS = 32


def plain_name(aci: str, name: str | None) -> str:
    """What a person is called among words: by the name in their profile, else by their ACI's
    beginning, never by their number."""
    return clean_name(name or "") or f"{aci[:8]}…"


def shown_name(aci: str, name: str | None) -> str:
    """What a person is called in our groups.

    The network's name stays last: a profile cannot make its owner look like a local member.
    """
    return f"{plain_name(aci, name)} (Signal)"


def pseudonyms(bridge: SecretKey) -> bytes:
    """The key under which people are named in `proxy` tags, derived from the bridge's own."""
    return HKDF(SHA256(), 32, None, LABEL).derive(bridge.raw)


def proxy_id(key: bytes, identity: Identity) -> str:
    """How a message of Signal's is called by NIP-48: the same person has the same name, and whoever
    reads it cannot find them by it. key: of `pseudonyms`."""
    digest = hmac.digest(key, identity.aci.encode(), sha256).hex()
    return f"{NETWORK}:{digest[:PSEUDONYM_CHARS]}:{identity.timestamp}"


def known_as(account: str, author: str, timestamp_ms: int) -> str:
    """The value of `i`, in hex: by it is found what Signal names by its author and time alone, from
    whichever of their devices. account: our number. author: an ACI."""
    return once_key(NETWORK, account, author, str(timestamp_ms))


def once(identity: Identity, effect: str = "") -> str:
    """The once-key of what an envelope does, in hex. effect: of a second event that it makes."""
    device, timestamp = str(identity.device), str(identity.timestamp)
    parts = (NETWORK, identity.account, identity.aci, device, timestamp)
    return once_key(*parts, effect) if effect else once_key(*parts)
