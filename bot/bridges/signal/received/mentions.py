"""Pure: people mentioned in a message: U+FFFC in its text, and beside it who is meant.

A place counts UTF-16 units, as Signal does: an emoji is two of them.
Source: signal-cli, org.asamk.signal.json.JsonMention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

STAND_IN = "\ufffc"


@dataclass(frozen=True, slots=True)
class Mention:
    """Who is meant from unit `start` on, for `length` units. aci, number: what is known of them."""

    aci: str | None
    number: str | None
    start: int
    length: int


def resolved(text: str, mentions: Sequence[Mention], name_of: Callable[[Mention], str]) -> str:
    """The text with `@Name` in the place of each mention.

    name_of: must not raise; what to call somebody. A mention that lies outside the text, over
    another one, or over anything that is no stand-in changes nothing.

    >>> resolved("\ufffc, hello", [Mention(None, "+4915112345", 0, 1)], lambda it: "Ada")
    '@Ada, hello'
    """
    units = text.encode("utf-16-le", "replace")
    parts, at = [], 0
    for mention in sorted(mentions, key=lambda it: it.start):
        first, end = 2 * mention.start, 2 * (mention.start + mention.length)
        # Attack: a mention laid over words: what people read is not what was written.
        if first < at or units[first:end].decode("utf-16-le", "replace") != STAND_IN:
            continue
        parts += [units[at:first].decode("utf-16-le"), f"@{name_of(mention)}"]
        at = end
    return "".join([*parts, units[at:].decode("utf-16-le")])
