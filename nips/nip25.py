"""Pure: reactions, kind 7: `+`, `-` or an emoji to an event. Source: NIP-25."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nips.event import Event, Tag, Tags, Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.reference import Pointer, author_of, coordinates, hint, pointer, trimmed
from nips.refusal import Malformed

MAX_SIGN_BYTES = 64


@dataclass(frozen=True, slots=True)
class Reaction:
    """To what, and how: "" is read as `+`. where: its coordinates, kind: its number; None where
    the reaction does not say."""

    to: Pointer
    sign: str
    where: str | None = None
    kind: int | None = None


def is_sign(text: str) -> bool:
    """Say whether a text can be a reaction: a sign or two, and no words."""
    return 0 < len(text.encode()) <= MAX_SIGN_BYTES and not any(c.isspace() for c in text)


def reaction(
    to: Event, sign: str, author: str, created_at: int, relay: str = "", more: Tags = ()
) -> Template:
    """The unsigned reaction of `author` (hex) to an event; `created_at` in unix seconds.

    relay: where `to` is found, if known. more: further tags. Raises Malformed for what is no sign.
    """
    if not is_sign(sign):
        raise Malformed("a reaction is one emoji, or + or -")
    relay = hint(relay)
    # NIP-25: "There MUST be always an `e` tag"; "The `e` and `a` tags SHOULD include relay and
    # pubkey hints"
    tags: list[Tag] = [trimmed("e", to.id, relay, to.pubkey)]
    if (where := coordinates(to)) is not None:
        tags.append(trimmed("a", where, relay, to.pubkey))
    tags += [trimmed("p", to.pubkey, relay), ("k", str(to.kind))]
    return Template(author, created_at, Kind.REACTION, (*tags, *more), sign)


def parse(event: Event | Template) -> Reaction:
    """Read a reaction of anybody's. Raises Malformed for another kind, or where it names no
    event."""
    if event.kind != Kind.REACTION:
        raise Malformed(f"a reaction has kind {int(Kind.REACTION)}")
    # NIP-25: "the target event `id` should be last of the `e` tags", so the author of the `p` tags
    named = [found for tag in event.tags if tag[0] == "e" and (found := pointer(tag, 3))]
    if not named:
        raise Malformed("a reaction names its event in an e tag")
    people = [key for key in event.values("p") if is_hex(key, 32)]
    places = [where for where in event.values("a") if author_of(where) is not None]
    kind = event.tag("k") or ""
    last = named[-1]
    return Reaction(
        Pointer(last.id, last.relay, people[-1] if people else last.author),
        event.content or "+",
        places[-1] if places else None,
        int(kind) if re.fullmatch(r"[0-9]{1,5}", kind) else None,
    )
