"""Pure: which event a person means: an nevent, a note or hex; an naddr; the slug of an article.

Source: NIP-21, NIP-19.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.kinds import Kind
from nips.nip19 import Naddr
from nips.nip21 import event_of
from nips.nip23 import SLUG
from nips.reference import hint
from nips.refusal import Malformed


@dataclass(frozen=True, slots=True)
class Meant:
    """names: the event's id, or coordinates, of which the first counts where something stands.
    relay: where it is said to be, or ""."""

    names: tuple[str, ...]
    relay: str = ""


def meant(typed: str, bot: str) -> Meant:
    """Read what was typed. bot: whose articles have the slugs, hex. Raises Malformed."""
    text = typed.strip()
    try:
        found = event_of(text)
    except Malformed as error:
        if SLUG.fullmatch(text):
            kinds = (Kind.ARTICLE, Kind.DRAFT)
            return Meant(tuple(f"{int(kind)}:{bot}:{text}" for kind in kinds))
        raise Malformed(f"{error}, or the slug of an article of the assistant's") from error
    if isinstance(found, Naddr):
        relay = next(filter(None, map(hint, found.relays)), "")
        return Meant((f"{found.kind}:{found.author}:{found.identifier}",), relay)
    return Meant((found.id,), found.relay)
