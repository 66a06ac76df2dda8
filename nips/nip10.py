"""Pure: a public note that answers another one, kind 1 both. Source: NIP-10.

Who is answered is named, and whoever the answered note names: they are the thread's people.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import Event, Tag, Tags, Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.reference import Pointer, hint, pointer, trimmed
from nips.refusal import Malformed

# Attack: a note that names thousands of people, so that its answers call them all.
MAX_PEOPLE = 20
_MARKS = ("root", "reply")


@dataclass(frozen=True, slots=True)
class Thread:
    """What a note answers: the thread's first note, and the one just before; None: nothing. Where
    it answers the first note both are the same."""

    root: Pointer | None = None
    parent: Pointer | None = None


def reply(
    to: Event, text: str, author: str, created_at: int, relay: str = "", more: Tags = ()
) -> Template:
    """The unsigned answer of `author` (hex) to a note; `created_at` in unix seconds.

    relay: where `to` is found, if known. more: further tags. Raises Malformed where `to` is no
    note.
    """
    # NIP-10: "Kind 1 replies MUST NOT be used to reply to other kinds, use NIP-22 instead."
    if to.kind != Kind.NOTE:
        raise Malformed(f"a reply answers a note (kind 1), and this is kind {to.kind}: comment")
    root, relay = parse(to).root, hint(relay)
    tags: list[Tag] = []
    if root is None:
        # NIP-10: "A direct reply to the root of a thread should have a single marked "e" tag"
        tags.append(trimmed("e", to.id, relay, "root", to.pubkey))
    else:
        tags.append(trimmed("e", root.id, root.relay, "root", root.author))
        tags.append(trimmed("e", to.id, relay, "reply", to.pubkey))
    # NIP-10: "should contain all of E's "p" tags as well as the "pubkey" of the event"
    people = dict.fromkeys((to.pubkey, *(key for key in to.values("p") if is_hex(key, 32))))
    tags += [("p", key) for key in list(people)[:MAX_PEOPLE]]
    return Template(author, created_at, Kind.NOTE, (*tags, *more), text)


def parse(event: Event | Template) -> Thread:
    """What a note of anybody's answers, by its marks, or where it has none by their places."""
    marked: dict[str, Pointer] = {}
    placed: list[Pointer] = []
    for tag in event.tags:
        if tag[0] != "e":
            continue
        mark = tag[3] if len(tag) > 3 else ""
        if mark in _MARKS:
            if (found := pointer(tag, 4)) is not None:
                marked.setdefault(mark, found)
        # A word there is another mark (`mention`); NIP-01 has the author in that place.
        elif (not mark or is_hex(mark, 32)) and (found := pointer(tag, 3)) is not None:
            placed.append(found)
    if marked:
        root = marked.get("root") or marked.get("reply")
        return Thread(root, marked.get("reply") or root)
    # NIP-10, deprecated: "Two "e" tags: ["e", <root-id>], ["e", <reply-id>]"; between, mentions.
    return Thread(placed[0], placed[-1]) if placed else Thread()
