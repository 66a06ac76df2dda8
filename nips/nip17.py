"""Pure: private direct messages and the relays where somebody reads them. Source: NIP-17."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nips.event import Event, Tag, Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.nip32 import is_by_agent
from nips.nip42 import normalise
from nips.refusal import Malformed

MAX_INBOX_RELAYS = 10  # NIP-17 advises 1 to 3


@dataclass(frozen=True, slots=True)
class DirectMessage:
    """A chat message, kind 14. Keys and ids in hex; `id` is the rumor's recomputed id.
    reply_to: the id of the message that it answers, or else cites. by_agent: whether its labels
    say that a program wrote it."""

    id: str
    author: str
    receivers: tuple[str, ...]
    content: str
    created_at: int
    reply_to: str | None = None
    subject: str | None = None
    by_agent: bool = False

    @classmethod
    def from_rumor(cls, rumor: Template, kind: Kind = Kind.DIRECT_MESSAGE) -> DirectMessage:
        """Read a rumor that `nips.nip59` opened. kind: 15 for a file message, which is one like
        any other but for its content, an address. Raises Malformed."""
        if rumor.kind != kind:
            raise Malformed(f"a chat message has kind {int(kind)}, not {rumor.kind}")
        receivers = tuple(dict.fromkeys(rumor.values("p")))
        # NIP-17: "`p` tags identify one or more receivers of the message"
        if not receivers or not all(is_hex(receiver, 32) for receiver in receivers):
            raise Malformed("a chat message needs p tags with its receivers' keys in hex")
        reply_to = rumor.tag("e")
        if reply_to is not None and not is_hex(reply_to, 32):
            raise Malformed("a chat message's e tag must hold an id in hex")
        if reply_to is None and is_hex(cited := rumor.tag("q"), 32):
            # NIP-17: "`q` tags MAY be used when citing events in the `.content`"
            reply_to = cited
        return cls(
            rumor.id,
            rumor.pubkey,
            receivers,
            rumor.content,
            rumor.created_at,
            reply_to,
            rumor.tag("subject"),
            is_by_agent(rumor.tags),
        )


def message_template(
    author: str,
    receivers: Iterable[str],
    content: str,
    created_at: int,
    reply_to: str | None = None,
) -> Template:
    """The rumor of a chat message; `created_at` is the true time, hidden by seal and wrap."""
    tags: list[Tag] = [("p", receiver) for receiver in receivers]
    if reply_to is not None:
        tags.append(("e", reply_to))
    return Template(author, created_at, Kind.DIRECT_MESSAGE, tuple(tags), content)


def inbox_relays(event: Event | Template) -> tuple[str, ...]:
    """Where the author of a kind 10050, which the caller has verified, reads messages.

    Addresses that are no ws or wss URL are left out, as are spellings of one already named, and
    what is beyond `MAX_INBOX_RELAYS`: a stranger's list must not make us connect to thousands.
    Raises Malformed for another kind.
    """
    if event.kind != Kind.INBOX_RELAYS:
        raise Malformed(f"an inbox list has kind {int(Kind.INBOX_RELAYS)}, not {event.kind}")
    found: dict[str, str] = {}
    for url in event.values("relay"):
        try:
            found.setdefault(normalise(url), url)
        except Malformed:
            continue
    return tuple(found.values())[:MAX_INBOX_RELAYS]


def inbox_list_template(pubkey: str, relays: Iterable[str], created_at: int) -> Template:
    """The kind 10050 that says where `pubkey` reads messages."""
    tags = tuple(("relay", relay) for relay in relays)
    return Template(pubkey, created_at, Kind.INBOX_RELAYS, tags, "")
