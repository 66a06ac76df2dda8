"""Pure: comments on what is no note: articles, files, comments; kind 1111. Source: NIP-22.

Tags in capitals say what the whole thread is on, the same in small letters what is answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from nips.event import Event, Tag, Tags, Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.reference import author_of, coordinates, hint, page, pointer, trimmed
from nips.refusal import Malformed

MAX_VALUE_CHARS = 2_000  # of an address on the web, a name of an article
_NUMBER = re.compile(r"[0-9]{1,5}")
_WORD = re.compile(r"[!-~]{1,64}")  # NIP-73: `web`, `#`, `podcast:item:guid`


@dataclass(frozen=True, slots=True)
class Scope:
    """What is commented on. tag: `E` an id, `A` coordinates, `I` something outside of Nostr.

    kind: its number, or NIP-73's word. relay, of an `I` perhaps a page that shows it, and author
    (hex) are "" where they are not known.
    """

    tag: str
    value: str
    kind: str
    relay: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """What a comment is on, and what it answers: the same, or another comment."""

    root: Scope
    parent: Scope


def comment(
    on: Event, text: str, author: str, created_at: int, relay: str = "", more: Tags = ()
) -> Template:
    """The unsigned comment of `author` (hex) on an event; `created_at` in unix seconds.

    relay: where `on` is found, if known. more: further tags. Raises Malformed where `on` is a
    note, or a comment that does not say what it is on itself.
    """
    # NIP-22: "Comments MUST NOT be used to reply to kind 1 notes."
    if on.kind == Kind.NOTE:
        raise Malformed("a note (kind 1) is answered by a note, not by a comment: reply")
    relay = hint(relay)
    root = parse(on).root if on.kind == Kind.COMMENT else _scope_of(on, relay)
    where = coordinates(on)
    if where is None:
        parent: list[Tag] = [trimmed("e", on.id, relay, on.pubkey)]
    else:
        # NIP-22: "when the parent event is replaceable or addressable, also include an `e` tag"
        parent = [trimmed("a", where, relay), trimmed("e", on.id, relay)]
    parent += [("k", str(on.kind)), trimmed("p", on.pubkey, relay)]
    return Template(author, created_at, Kind.COMMENT, (*_root_tags(root), *parent, *more), text)


def parse(event: Event | Template) -> Comment:
    """Read a comment of anybody's. Raises Malformed for another kind, and where it does not say
    what it is on and what it answers."""
    if event.kind != Kind.COMMENT:
        raise Malformed(f"a comment has kind {int(Kind.COMMENT)}")
    return Comment(_read(event, "AEI", "K", "P"), _read(event, "aei", "k", "p"))


def _scope_of(event: Event, relay: str) -> Scope:
    where, kind = coordinates(event), str(event.kind)
    if where is None:
        return Scope("E", event.id, kind, relay, event.pubkey)
    return Scope("A", where, kind, relay, event.pubkey)


def _root_tags(root: Scope) -> list[Tag]:
    author = root.author if root.tag == "E" else ""
    tags = [trimmed(root.tag, root.value, root.relay, author), ("K", root.kind)]
    # NIP-22: "Comments MUST point to the authors when one is available"
    return [*tags, trimmed("P", root.author, root.relay)] if root.author else tags


def _read(event: Event | Template, names: str, kind_name: str, author_name: str) -> Scope:
    kind, author = event.tag(kind_name) or "", event.tag(author_name) or ""
    ordered = (tag for name in names for tag in event.tags if tag[0] == name)
    found = next((scope for tag in ordered if (scope := _scope(tag, kind))), None)
    # Attack: a sentence in the place of a kind, or of a page's address, which we sign with it.
    if found is None or not (_WORD if found.tag == "I" else _NUMBER).fullmatch(kind):
        raise Malformed(f"a comment says what it is on: one of {', '.join(names)}, and {kind_name}")
    # Coordinates name their author themselves, and something on the web has none.
    return replace(found, author=author) if found.tag == "E" and is_hex(author, 32) else found


def _scope(tag: Tag, kind: str) -> Scope | None:
    value, at = tag[1] if len(tag) > 1 else "", tag[2] if len(tag) > 2 else ""
    if not _is_value(value):
        return None
    match tag[0].upper():
        case "E":
            found = pointer(tag, 3)
            return Scope("E", found.id, kind, found.relay, found.author) if found else None
        case "A":
            author = author_of(value)
            return Scope("A", value, kind, hint(at), author) if author else None
        case _ if not any(c.isspace() for c in value):
            return Scope("I", value, kind, page(at))
        case _:
            return None


def _is_value(text: str) -> bool:
    return 1 <= len(text) <= MAX_VALUE_CHARS and text.isprintable()
