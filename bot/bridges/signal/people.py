"""Pure: people and groups of Signal as they stand in our bindings, and the names of what they say.

A person is known by their ACI, a UUID; a group by its internal id, base64. Neither has the other's
form, so `signal:<id>` is the one or the other. Source: PROTOCOL.md "From Signal".
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bot.bridges.puppets import clean_name
from nips.key import SecretKey
from nips.own.once import once_key

NETWORK = "signal"
LABEL = b"nostrclaw signal proxy v1"
PSEUDONYM_CHARS = 32
_ACI = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_GROUP = re.compile(r"[A-Za-z0-9+/]{22}==|[A-Za-z0-9+/]{43}=")  # of 16 bytes, formerly; of 32


def is_aci(id_: str) -> bool:
    """Say whether an id is a person's."""
    return _ACI.fullmatch(id_) is not None


def is_group(id_: str) -> bool:
    """Say whether an id is a group's."""
    return _GROUP.fullmatch(id_) is not None


def counterpart(id_: str) -> str:
    """The stable id of a person or group in a binding."""
    return f"{NETWORK}:{id_}"


def id_of(counterpart_id: str) -> str | None:
    """The ACI or internal group id of a counterpart; None for one of another network, and for
    what has neither form."""
    network, _, id_ = counterpart_id.partition(":")
    return id_ if network == NETWORK and (is_aci(id_) or is_group(id_)) else None


def shown_name(aci: str, name: str) -> str:
    """What a person is called in our groups: by the name in their profile, else by their ACI's
    beginning, never by their number.

    The network's name stays last: a profile cannot make its owner look like a local member.
    """
    return f"{clean_name(name) or aci[:8] + '…'} (Signal)"


def pseudonyms(bridge: SecretKey) -> bytes:
    """The key under which people are named in `proxy` tags, derived from the bridge's own."""
    return HKDF(SHA256(), 32, None, LABEL).derive(bridge.raw)


def proxy_id(key: bytes, aci: str, timestamp_ms: int) -> str:
    """How a message of Signal's is called by NIP-48: the same person has the same name, and whoever
    reads it cannot find them by it. key: of `pseudonyms`."""
    digest = hmac.digest(key, aci.encode(), sha256).hex()
    return f"{NETWORK}:{digest[:PSEUDONYM_CHARS]}:{timestamp_ms}"


def known_as(account: str, aci: str, timestamp_ms: int) -> str:
    """The value of `i`, in hex: by it is found what Signal names by its author and time alone, from
    whichever of their devices. account: our number."""
    return once_key(NETWORK, account, aci, str(timestamp_ms))


def once(account: str, aci: str, device: int, timestamp_ms: int, effect: str = "") -> str:
    """The once-key of what an envelope does, in hex; effect: of a second event that it makes."""
    parts = (NETWORK, account, aci, str(device), str(timestamp_ms))
    return once_key(*parts, effect) if effect else once_key(*parts)
