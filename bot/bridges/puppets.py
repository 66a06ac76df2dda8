"""Pure: people of another network as they stand in our groups: a puppet key for each.

A puppet key is derived, so it needs no storage and is the same after a restart or a restore.
"""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nips.event import Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip29 import GroupRole, put_user, remove_user
from nips.nip40 import expiration_tag
from nips.own.binding import mark
from nips.own.once import once_key
from nips.refusal import Malformed

LABEL = b"nostrclaw puppet v1"
MAX_NAME_CHARS = 60
MAX_REACTION_CHARS = 64


def puppet_key(seed: SecretKey, counterpart_id: str) -> SecretKey:
    """The key that writes for a person: HKDF-SHA256 of the bridge's key and `<network>:<id>`."""
    for attempt in range(256):
        info = LABEL + b"\0" + counterpart_id.encode() + bytes([attempt])
        try:
            return SecretKey(HKDF(SHA256(), 32, None, info).derive(seed.raw))
        except Malformed:  # not a scalar of the curve: about once in 2**128
            continue
    raise AssertionError("no scalar in 256 derivations")


def clean_name(given: str) -> str:
    """What is visible of a name that somebody gave themselves; "" where nothing is.

    Whoever shows it puts the network's name behind it: nobody looks like a local member.
    """
    return "".join(char for char in given if char.isprintable()).strip()[:MAX_NAME_CHARS]


def profile_template(puppet: str, name: str, created_at: int) -> Template:
    """The puppet's kind 0."""
    content = json.dumps({"name": name, "bot": False}, ensure_ascii=False)
    return Template(puppet, created_at, Kind.PROFILE, (), content)


def membership_template(
    bridge: str, group: str, puppet: str, binding_id: str, counterpart_id: str, created_at: int
) -> Template:
    """The 9000 that makes somebody's puppet a member; once for each version of the binding."""
    template = put_user(bridge, group, puppet, [GroupRole.PUPPET], created_at)
    once = once_key("puppet", group, puppet, binding_id)
    return Template(
        template.pubkey,
        created_at,
        template.kind,
        (*template.tags, ("for", mark(group, counterpart_id)), ("o", once)),
        "",
    )


def removal_template(bridge: str, group: str, puppet: str, created_at: int) -> Template:
    """The 9001 that ends a puppet's membership."""
    return remove_user(bridge, group, puppet, created_at)


def carried(
    group: str, once: str, proxy_id: str, network: str, expires_s: int | None = None
) -> tuple[Tag, ...]:
    """The tags of all that a puppet writes. once: the value of its once-key, which makes every
    repetition the same event. expires_s: the unix second from which nobody keeps it."""
    kept: tuple[Tag, ...] = () if expires_s is None else (expiration_tag(expires_s),)
    return (
        ("h", group),
        ("o", once),
        # NIP-48: ["proxy", <id>, <protocol>]
        ("proxy", proxy_id, network),
        # NIP-70: what came encrypted is not to be passed on by anybody else.
        ("-",),
        *kept,
    )
