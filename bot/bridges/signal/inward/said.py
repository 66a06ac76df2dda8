"""Pure: what was said on Signal as events of a puppet's: kind 9, 7 and 5.

All carry `h`, the once-key, NIP-48's `proxy` and NIP-70's `-`. A kind 9 has an `i` for each name by
which it is known on Signal: an edited message keeps those of what it replaces.
Source: PROTOCOL.md "Kind 9", "Kind 7", "Kind 5".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.bridges.puppets import MAX_REACTION_CHARS, carried
from bot.bridges.signal.people import NETWORK, known_as, once
from bot.bridges.signal.received.envelope import Identity, Said
from bot.bridges.signal.received.mentions import STAND_IN, Mention, resolved
from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.nip40 import expiration
from nips.nip94 import UNKNOWN_TYPE
from nips.own.received import ReceivedFile

MAX_TEXT_BYTES = 65_536
MAX_QUOTED_CHARS = 200
MAX_NAMES = 20  # `i` tags of one message: the first name, and the newest
VIEW_ONCE_KEPT_S = 3_600
LEAST_KEPT_S = 60  # of a message that came late, and has less left than half of it
FORMER = "former"  # the effect by which the event that is replaced goes


@dataclass(frozen=True, slots=True)
class Origin:
    """What came, as events name it: proxy is its id by NIP-48."""

    identity: Identity
    proxy: str

    @property
    def name(self) -> str:
        """By which its readers on Signal know it."""
        return known_as(self.identity.account, self.identity.aci, self.identity.timestamp)

    def tags(self, group: str, expires_s: int | None = None, effect: str = "") -> tuple[Tag, ...]:
        """What every event of it carries. effect: as `people.once` has it."""
        return carried(group, once(self.identity, effect), self.proxy, NETWORK, expires_s)

    def at_s(self, now_s: int) -> int:
        """The second at which it was said; a sender's clock that is ahead gains nothing."""
        return min(self.identity.timestamp // 1_000, now_s)


def words(
    said: Said,
    name_of: Callable[[Mention], str],
    *,
    quoted: bool = False,
    files: Sequence[str] = (),
) -> str:
    """The text of a message. quoted: with the words that it answers above it, since who reads it
    has no other way to know them. files: a line for each."""
    lines = [resolved(said.text, said.mentions, name_of), *said.notes, *files]
    text = "\n".join(line for line in lines if line)
    above = _quote(said) if quoted else ""
    return _capped(f"{above}\n\n{text}" if above and text else above or text)


def _quote(said: Said) -> str:
    if said.quote is None:
        return ""
    # Attack: a quote of several lines, the second of which reads as what is said here.
    line = " ".join(said.quote.text.replace(STAND_IN, "@…").split())
    if not line:
        return ""
    return f"> {line[:MAX_QUOTED_CHARS]}{'…' if len(line) > MAX_QUOTED_CHARS else ''}"


def _capped(text: str) -> str:
    raw = text.encode()
    if len(raw) <= MAX_TEXT_BYTES:
        return text
    whole = raw[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    return f"{whole}\n[cut here: the message is longer than {MAX_TEXT_BYTES >> 10} KiB]"


def seen_once(said: Said) -> list[str]:
    """The lines that stand for the files of a message that may be looked at once."""
    return [f"[view-once{_of_type(file.media_type)}: not kept]" for file in said.files]


def gone_at(said: Said, arrived_s: int) -> int | None:
    """The second from which nobody keeps it; None for what stays.

    Signal counts a timer from when a message is read. It counts from when it was said here, but
    what comes late can still be read: a service that was away loses nobody's words.
    """
    ends = []
    if said.expires_s is not None:
        at = min(said.identity.timestamp // 1_000, arrived_s) + said.expires_s
        least = min(said.expires_s, LEAST_KEPT_S)
        ends.append(at if 2 * (at - arrived_s) >= least else arrived_s + least)
    if said.view_once:
        ends.append(arrived_s + VIEW_ONCE_KEPT_S)
    return min(ends, default=None)


def message_template(
    puppet: str,
    group: str,
    origin: Origin,
    text: str,
    now_s: int,
    *,
    answered: Event | None = None,
    former: Event | None = None,
    also_known_as: Sequence[str] = (),
    files: Sequence[ReceivedFile] = (),
    calls: str | None = None,
    expires_s: int | None = None,
) -> Template:
    """The kind 9 of a message.

    answered: what it answers, as it stands in the group. former: the kind 9 that it replaces.
    also_known_as: the names of what it replaces. calls: the assistant's key, where it is mentioned.
    expires_s: the unix second from which nobody keeps it.
    """
    names = list(dict.fromkeys([origin.name, *also_known_as]))
    if len(names) > MAX_NAMES:  # Attack: a message that is edited without end
        names = [*names[: MAX_NAMES - 1], names[-1]]
    # NIP-C7: ["q", <event-id>, <relay-url>, <pubkey>]
    quote: list[Tag] = [("q", answered.id, "", answered.pubkey)] if answered else []
    edits: list[Tag] = [("edits", former.id)] if former else []
    called: list[Tag] = [("p", calls)] if calls else []
    return Template(
        puppet,
        origin.at_s(now_s),
        Kind.CHAT,
        (
            *origin.tags(group, expires_s),
            *(("i", name) for name in names),
            *quote,
            *edits,
            *called,
            *(file.tag() for file in files),
        ),
        text,
    )


def reaction_template(
    puppet: str, group: str, origin: Origin, about: Event, emoji: str, now_s: int
) -> Template:
    """The kind 7 of a reaction. about: what it is about in the group; it does not outlive that."""
    target: tuple[Tag, ...] = (("e", about.id), ("p", about.pubkey), ("k", str(about.kind)))
    return Template(
        puppet,
        origin.at_s(now_s),
        Kind.REACTION,
        (*origin.tags(group, expiration(about.tags)), *target),
        emoji[:MAX_REACTION_CHARS],
    )


def deletion_template(
    puppet: str,
    group: str,
    origin: Origin,
    deleted: Sequence[Event],
    now_s: int,
    *,
    names: Sequence[str] = (),
    effect: str = "",
) -> Template:
    """The kind 5 for what the same puppet wrote in the group.

    names: on Signal; what comes under one of them afterwards becomes nothing. effect: as
    `people.once` has it.
    """
    # NIP-09: "SHOULD include a `k` tag for the kind of each event being requested for deletion"
    kinds = sorted({event.kind for event in deleted} or {int(Kind.CHAT)})
    return Template(
        puppet,
        origin.at_s(now_s),
        Kind.DELETION,
        (
            *origin.tags(group, effect=effect),
            *(("e", event.id) for event in deleted),
            *(("i", name) for name in names),
            *(("k", str(kind)) for kind in kinds),
        ),
        "",
    )


def _of_type(media_type: str) -> str:
    return "" if media_type == UNKNOWN_TYPE else f" {media_type}"
