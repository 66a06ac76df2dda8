"""Pure: people of the Nostr network as they stand in our groups: a puppet key for each.

A puppet key is derived, so it needs no storage and is the same after a restart or a restore.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nips import nip32
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip17 import DirectMessage
from nips.nip19 import encode_npub
from nips.nip29 import GroupRole, put_user, remove_user
from nips.nip40 import expiration_tag
from nips.own.binding import mark
from nips.own.once import once_key
from nips.own.received import ReceivedFile
from nips.refusal import Malformed

NETWORK = "nostr"
LABEL = b"nostrclaw puppet v1"
MAX_NAME_CHARS = 60
MAX_REACTION_CHARS = 64
MAX_SUBJECT_CHARS = 120


def counterpart(public_key: str) -> str:
    """The stable id of a Nostr user (hex) in a binding."""
    return f"{NETWORK}:{public_key}"


def public_key_of(counterpart_id: str) -> str | None:
    """The key in hex of a Nostr counterpart; None for one of another network."""
    network, _, key = counterpart_id.partition(":")
    return key if network == NETWORK else None


def puppet_key(seed: SecretKey, counterpart_id: str) -> SecretKey:
    """The key that writes for a person: HKDF-SHA256 of the bridge's key and the stable id."""
    for attempt in range(256):
        info = LABEL + b"\0" + counterpart_id.encode() + bytes([attempt])
        try:
            return SecretKey(HKDF(SHA256(), 32, None, info).derive(seed.raw))
        except Malformed:  # not a scalar of the curve: about once in 2**128
            continue
    raise AssertionError("no scalar in 256 derivations")


def shown_name(public_key: str, profile: str | None) -> str:
    """What a person is called in our groups: from the content of their kind 0, else their npub.

    The network's name stays last: a profile cannot make its owner look like a local member.
    """
    name = ""
    try:
        match json.loads(profile or ""):
            case {"display_name": str(found)} | {"name": str(found)} if found.strip():
                name = "".join(ch for ch in found if ch.isprintable()).strip()[:MAX_NAME_CHARS]
    except ValueError:
        pass
    return f"{name or encode_npub(public_key)[:14] + '…'} (Nostr)"


def profile_template(puppet: str, name: str, created_at: int) -> Template:
    """The puppet's kind 0."""
    content = json.dumps({"name": name, "bot": False}, ensure_ascii=False)
    return Template(puppet, created_at, Kind.PROFILE, (), content)


def membership_template(
    bridge: str, group: str, puppet: str, binding_id: str, person: str, created_at: int
) -> Template:
    """The 9000 that makes a puppet of `person` (hex) a member; once for each version of the
    binding."""
    template = put_user(bridge, group, puppet, [GroupRole.PUPPET], created_at)
    once = once_key("puppet", group, puppet, binding_id)
    return Template(
        template.pubkey,
        created_at,
        template.kind,
        (*template.tags, ("for", mark(group, counterpart(person))), ("o", once)),
        "",
    )  # fmt: skip


def removal_template(bridge: str, group: str, puppet: str, created_at: int) -> Template:
    """The 9001 that ends a puppet's membership."""
    return remove_user(bridge, group, puppet, created_at)


def message_template(
    puppet: str,
    group: str,
    message: DirectMessage,
    now_s: int,
    answered: Event | None = None,
    *,
    file: ReceivedFile | None = None,
    expires_s: int | None = None,
) -> Template:
    """The kind 9 of a direct message; the once-key makes every repetition the same event.

    answered: what it answers, as it stands in the group. file: that came with it. expires_s: the
    unix second from which nobody keeps it.
    """
    # NIP-C7: ["q", <event-id>, <relay-url>, <pubkey>]
    quote: list[Tag] = [("q", answered.id, "", answered.pubkey)] if answered else []
    subject: list[Tag] = [("subject", text)] if (text := _subject(message.subject)) else []
    files: list[Tag] = [file.tag()] if file else []
    # Attack: another assistant, whose every answer would be work here, and ours work there.
    labels = nip32.AI if message.by_agent else ()
    return Template(
        puppet,
        # A sender's clock cannot put a message ahead of those that come after it.
        min(message.created_at, now_s),
        Kind.CHAT,
        (*_carried(group, message.id, expires_s), *quote, *subject, *files, *labels),
        message.content,
    )


def reaction_template(
    puppet: str,
    rumor: Template,
    about: Event,
    group: str,
    now_s: int,
    *,
    expires_s: int | None = None,
) -> Template:
    """The kind 7 of a reaction that came as a rumor. about: what it is about, in the group."""
    target: tuple[Tag, ...] = (("e", about.id), ("p", about.pubkey), ("k", str(about.kind)))
    return Template(
        puppet,
        min(rumor.created_at, now_s),
        Kind.REACTION,
        (*_carried(group, rumor.id, expires_s), *target),
        rumor.content[:MAX_REACTION_CHARS],
    )


def deletion_template(
    puppet: str,
    rumor: Template,
    deleted: Sequence[Event],
    unseen: Sequence[str],
    group: str,
    now_s: int,
) -> Template:
    """The kind 5 of a deletion that came as a rumor. deleted: what the same puppet wrote in the
    group. unseen: ids of rumors that have not come, and shall become nothing when they do."""
    named: tuple[Tag, ...] = tuple(("e", each) for each in (*(e.id for e in deleted), *unseen))
    # NIP-09: "SHOULD include a `k` tag for the kind of each event being requested for deletion"
    kinds = {event.kind for event in deleted} | ({int(Kind.DIRECT_MESSAGE)} if unseen else set())
    return Template(
        puppet,
        min(rumor.created_at, now_s),
        Kind.DELETION,
        (*_carried(group, rumor.id), *named, *(("k", str(kind)) for kind in sorted(kinds))),
        "",
    )


def _carried(group: str, rumor_id: str, expires_s: int | None = None) -> tuple[Tag, ...]:
    kept: tuple[Tag, ...] = () if expires_s is None else (expiration_tag(expires_s),)
    return (
        ("h", group),
        ("o", once_key(rumor_id)),
        # NIP-48: ["proxy", <id>, <protocol>]
        ("proxy", rumor_id, NETWORK),
        # NIP-70: what came encrypted is not to be passed on by anybody else.
        ("-",),
        *kept,
    )


def _subject(given: str | None) -> str:
    return "".join(char for char in given or "" if char.isprintable()).strip()[:MAX_SUBJECT_CHARS]
