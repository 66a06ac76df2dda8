"""Pure: what leaves a group for Signal, and the state of its delivery.

Source: PROTOCOL.md "Delivery". A kind 9 is as many messages as its styled text needs; a kind 7 or 5
is what they are there. Each message is a part, counted from 1 through all conversations.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from bot.bridges.signal.outward.markup import styled
from bot.bridges.signal.outward.styled_text import Run, Style, parts, plain, written
from bot.bridges.signal.people import NETWORK
from nips.event import Event, Tag
from nips.key import is_hex
from nips.nip25 import is_sign
from nips.nip94 import MEDIA_TYPE, UNKNOWN_TYPE
from nips.own.delivery import Delivery, RelayState, Sent, Status

MAX_UNITS = 4_000  # of a message's styled text, signs and all
MAX_QUOTED_CHARS = 200
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # while the service is away
GIVE_UP_S = 3 * 86_400
TOO_LATE = "given up after three days"
GONE = "retracted, or expired, before it was sent"
UNBOUND = "its group is bound to that conversation no more"
# NIP-25: "+" is a like, "-" a dislike.
_SIGNS = {"+": "👍", "-": "👎"}


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A file that an agent handed over and this machine keeps under its hash (hex)."""

    sha256: str
    name: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One message: its styled text, and the files that go with it."""

    text: str
    files: tuple[HandedOver, ...] = ()


def letters(message: Event, router: str, speaker: str = "") -> tuple[Letter, ...]:
    """The messages that a kind 9 is; none where it says nothing. router: its key in hex.

    speaker: what a person is called who speaks through our account.
    """
    if not says_something(message, router):
        return ()
    files = handed_over(message, router)
    runs = styled(_words(message, router))
    if speaker:
        runs = [Run(f"{speaker}:", Style.BOLD), Run(" "), *runs]
    found = [Letter(written(part)) for part in parts(runs, MAX_UNITS)]
    if not files:
        return tuple(found)
    last = found.pop() if found else Letter("")
    return (*found, replace(last, files=files))


def says_something(message: Event, router: str) -> bool:
    """Say whether a kind 9 has words, or files that an agent hands over."""
    return bool(message.content.strip("\0 \t\r\n") or handed_over(message, router))


def handed_over(message: Event, router: str) -> tuple[HandedOver, ...]:
    """The files that an announcement of the router's names; of nobody else's."""
    if message.pubkey != router:
        return ()
    found = (_file(tag) for tag in message.tags if tag[0] == "imeta")
    return tuple(file for file in found if file is not None)


def _file(tag: Tag) -> HandedOver | None:
    entries = dict(entry.partition(" ")[::2] for entry in tag[1:])
    # One with a path was sent to us: what came from people does not go out in our name.
    if "path" in entries or not is_hex(entries.get("x"), 32) or not entries.get("name"):
        return None
    media_type = entries.get("m", "")
    return HandedOver(
        entries["x"],
        entries["name"],
        media_type if MEDIA_TYPE.fullmatch(media_type) else UNKNOWN_TYPE,
    )


def emoji(sign: str) -> str | None:
    """A reaction's sign as Signal has it; None for one that is no emoji, such as `:shortcode:`."""
    found = _SIGNS.get(sign or "+", sign)
    return found if is_sign(found) and not any(char.isascii() for char in found[:1]) else None


def quoted_text(message: Event, router: str) -> str:
    """What is shown of a message that is answered. router: its key in hex."""
    # Attack: half a megabyte of signs, read for two hundred characters.
    return plain(styled(_words(message, router)[: 10 * MAX_QUOTED_CHARS]))[:MAX_QUOTED_CHARS]


def _words(message: Event, router: str) -> str:
    """Its words for people outside: where on this machine a file is kept, an announcement says
    below its first line."""
    return message.content.partition("\n")[0] if handed_over(message, router) else message.content


def pending(event_id: str, to: Collection[str], now_s: int) -> Delivery:
    """The delivery of what is to be sent. to: the ids of its conversations on Signal."""
    return Delivery(event_id, relays=(_state(Status.PENDING, "", now_s),), to=tuple(to))


def conversation_of(delivery: Delivery, part: int) -> str:
    """Where a part goes: each message to every conversation before the next one."""
    return delivery.to[(part - 1) % len(delivery.to)]


def begun(delivery: Delivery, part: int) -> Delivery:
    """The same, as it must stand before a part is handed over."""
    return replace(delivery, sending=(*(n for n in delivery.sending if n != part), part))


def not_begun(delivery: Delivery, part: int, why: str) -> Delivery:
    """The same, when nothing of the part was done after all. It is pending since it was."""
    return replace(
        delivery,
        sending=tuple(n for n in delivery.sending if n != part),
        relays=(_state(Status.PENDING, why, delivery.relays[0].at),),
    )


def answered(delivery: Delivery, part: int, timestamp_ms: int, known_as: str | None) -> Delivery:
    """The same, when a part has gone. timestamp_ms: 0 for what has no time of its own there.
    known_as: the name by which it can be found again."""
    return replace(
        delivery,
        sent=(*delivery.sent, Sent(part, timestamp_ms)),
        sending=tuple(n for n in delivery.sending if n != part),
        known_as=(*delivery.known_as, *([known_as] if known_as else [])),
    )


def settled(delivery: Delivery, status: Status, reason: str, now_s: int) -> Delivery:
    """The same, at its end."""
    return replace(delivery, relays=(_state(status, reason, now_s),))


def _state(status: Status, reason: str, now_s: int) -> RelayState:
    return RelayState(NETWORK, status, reason, now_s)
