"""Pure: how one event names another: by id or coordinates, with a relay hint and its author.

Source: NIP-01 "Tags". What a stranger's tags say is copied into ours only where it has this form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nips.event import Event, Tag, Template
from nips.key import is_hex
from nips.kinds import Storage, storage

MAX_HINT_CHARS = 255  # as much as NIP-19 can say
_RELAY = re.compile(r"wss?://[!-~]+")
_PAGE = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True, slots=True)
class Pointer:
    """An event by its id, in hex; relay and author are "" where they are not known."""

    id: str
    relay: str = ""
    author: str = ""


def coordinates(event: Event | Template) -> str | None:
    """`kind:author:d` of an event that the next one replaces; None for every other."""
    match storage(event.kind):
        case Storage.ADDRESSABLE:
            return f"{event.kind}:{event.pubkey}:{event.tag('d') or ''}"
        case Storage.REPLACEABLE:
            return f"{event.kind}:{event.pubkey}:"
        case _:
            return None


def author_of(where: str) -> str | None:
    """The author that coordinates name, in hex; None where they are none."""
    kind, _, rest = where.partition(":")
    author, separator, _ = rest.partition(":")
    if not separator or not re.fullmatch(r"[0-9]{1,5}", kind) or not is_hex(author, 32):
        return None
    return author


def hint(text: str) -> str:
    """A relay's address as it may stand in a tag of ours; "" for anything else.

    Attack: words, or a megabyte of them, in the place where a stranger's event names its relay.
    """
    return text if len(text) <= MAX_HINT_CHARS and _RELAY.fullmatch(text) else ""


def page(text: str) -> str:
    """A page on the web that shows what an `I` tag names, or a relay's address; else ""."""
    return text if len(text) <= MAX_HINT_CHARS and _PAGE.fullmatch(text) else hint(text)


def pointer(tag: Sequence[str], author_at: int) -> Pointer | None:
    """Read an `e` or `E` tag. author_at: at which place its author stands. None: it names none."""
    if len(tag) < 2 or not is_hex(tag[1], 32):
        return None
    author = tag[author_at] if len(tag) > author_at else ""
    relay = hint(tag[2]) if len(tag) > 2 else ""
    return Pointer(tag[1], relay, author if is_hex(author, 32) else "")


def trimmed(*parts: str) -> Tag:
    """A tag without the empty values at its end, its name and first value always among it."""
    kept = list(parts)
    while len(kept) > 2 and not kept[-1]:
        kept.pop()
    return tuple(kept)
