"""Pure: until when an event is kept. Source: NIP-40."""

from __future__ import annotations

from nips.event import Tag, Tags

MAX_DIGITS = 18


def expiration(*tags: Tags) -> int | None:
    """The earliest unix second named by an `expiration` tag of any of these events; None where
    there is none. One that is no number is no expiration."""
    named = [
        int(tag[1])
        for of_one in tags
        for tag in of_one
        if tag[:1] == ("expiration",) and len(tag) > 1 and _is_seconds(tag[1])
    ]
    return min(named, default=None)


def expiration_tag(at_s: int) -> Tag:
    """NIP-40: "UNIX timestamp in seconds"."""
    return ("expiration", str(at_s))


def _is_seconds(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
