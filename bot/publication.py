"""Pure: which of the bot's events are for everybody, and how far one of them has got.

What belongs to a group is none, whatever its kind.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import Event
from nips.kinds import Kind
from nips.own.delivery import Delivery

REPOST, REPOST_OF_ANY, HIGHLIGHT = 6, 16, 9_802
# What people write in public. Profile and relay lists are `bridges/nostr/announce`'s.
SAID = frozenset({Kind.NOTE, REPOST, REPOST_OF_ANY, Kind.COMMENT, HIGHLIGHT, Kind.ARTICLE})
LISTED = SAID | {int(Kind.DRAFT)}
LEAVING = SAID | {int(Kind.REACTION), int(Kind.DELETION)}


@dataclass(frozen=True, slots=True)
class Publication:
    """An event of the bot's that belongs to no group. delivery: None until a bridge has begun."""

    event: Event
    delivery: Delivery | None


def is_shown(event: Event) -> bool:
    """Say whether an event of the bot's is something that it has said to everybody, or the draft
    of that."""
    return event.kind in LISTED | {Kind.REACTION} and not _is_of_a_group(event)


def leaves(event: Event) -> bool:
    """Say whether an event of the bot's goes to public relays."""
    # Attack: a word of a group, made to look public by its kind.
    if event.kind not in LEAVING or _is_of_a_group(event):
        return False
    return event.kind != Kind.DELETION or not _takes_back_drafts(event)


def _takes_back_drafts(event: Event) -> bool:
    """Say whether a retraction is of drafts alone, whose names it would tell everybody."""
    # Attack: a retraction says that it is of a draft, so that what it names goes here, out of its
    # owner's sight, and nowhere else. Of which kind an id is, only its `k` says.
    places = event.values("a")
    are_drafts = all(where.startswith(f"{int(Kind.DRAFT)}:") for where in places)
    return bool(places) and are_drafts and not event.values("e")


def _is_of_a_group(event: Event) -> bool:
    return any(tag[0] == "h" for tag in event.tags)
