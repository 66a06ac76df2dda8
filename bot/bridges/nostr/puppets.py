"""Pure: people of the Nostr network as they stand in our groups, and what their puppets write."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bot.bridges.puppets import MAX_REACTION_CHARS, carried, clean_name
from nips import nip32
from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.nip17 import DirectMessage
from nips.nip19 import encode_npub
from nips.own.once import once_key
from nips.own.received import ReceivedFile

NETWORK = "nostr"
MAX_SUBJECT_CHARS = 120


def counterpart(public_key: str) -> str:
    """The stable id of a Nostr user (hex) in a binding."""
    return f"{NETWORK}:{public_key}"


def shown_name(public_key: str, profile: str | None) -> str:
    """What a person is called in our groups: from the content of their kind 0, else their npub.

    The network's name stays last: a profile cannot make its owner look like a local member.
    """
    name = ""
    try:
        match json.loads(profile or ""):
            case {"display_name": str(found)} | {"name": str(found)} if found.strip():
                name = clean_name(found)
    except ValueError:
        pass
    return f"{name or encode_npub(public_key)[:14] + '…'} (Nostr)"


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
    return carried(group, once_key(rumor_id), rumor_id, NETWORK, expires_s)


def _subject(given: str | None) -> str:
    return "".join(char for char in given or "" if char.isprintable()).strip()[:MAX_SUBJECT_CHARS]
