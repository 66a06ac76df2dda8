"""Pure: a public event of the bot's, and how far it has got.

What belongs to a group is none, whatever its kind.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import Event
from nips.kinds import Kind
from nips.own.delivery import Delivery

REPOST, REPOST_OF_ANY, HIGHLIGHT = 6, 16, 9_802
KINDS = frozenset(
    {Kind.NOTE, REPOST, REPOST_OF_ANY, Kind.COMMENT, HIGHLIGHT, Kind.ARTICLE, Kind.DRAFT}
)


@dataclass(frozen=True, slots=True)
class Publication:
    """An event of the bot's that belongs to no group. delivery: None until a bridge has begun."""

    event: Event
    delivery: Delivery | None


def is_public(event: Event) -> bool:
    """Say whether an event of the bot's is for everybody, or the draft of one."""
    return event.kind in KINDS | {Kind.REACTION} and not any(tag[0] == "h" for tag in event.tags)
