"""Pure: what messages of Signal consist of besides their words: who and what is meant, files.

Source: signal-cli, org.asamk.signal.json.JsonQuote, JsonMention, JsonReaction, JsonAttachment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.bridges.signal.addresses import MAX_FILE_ID_BYTES, is_aci, is_file_id, is_number
from bot.bridges.signal.fields import Fields
from bot.bridges.signal.received.mentions import Mention
from nips.nip94 import UNKNOWN_TYPE

MAX_QUOTE_CHARS = 2_000
MAX_NAME_CHARS = 200
MAX_MENTIONS, MAX_FILES = 256, 64
EARLIEST_MS, LATEST_MS = 10**12, 4_102_444_800_000  # 2001, 2100
LONG_TEXT = "text/x-signal-plain"  # the whole of a long text; it is in `message` already
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """Another message, as readers know it: by its author and time (ms)."""

    aci: str | None
    number: str | None
    timestamp: int


@dataclass(frozen=True, slots=True)
class Quoted:
    """What a message answers, and what was in it as the sender's device had it."""

    target: Target
    text: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that came along. id: None where the service did not keep it. Nothing of the rest is
    to be believed. dimensions: "<width>x<height>".
    """

    id: str | None
    media_type: str
    name: str | None
    n_bytes: int | None
    dimensions: str | None
    caption: str | None


def quoted(quote: Fields | None) -> Quoted | None:
    """What a dataMessage's `quote` says. Raises Malformed."""
    if quote is None:
        return None
    text = quote.text("text", MAX_QUOTE_CHARS) or ""
    return Quoted(target_of(quote, "author", "id"), text)


def target_of(part: Fields, author: str, at: str) -> Target:
    """Another message. author: the field that named its author once; today's are called after it.

    at: the field with its time. Raises Malformed.
    """
    aci = aci_of(part, f"{author}Uuid", author)
    number = number_of(part, f"{author}Number", author)
    if aci is None and number is None:
        raise part.missing(f"{author}Uuid")
    return Target(aci, number, target_time(part, at))


def mention_of(mention: Fields) -> Mention | None:
    """Who is mentioned where; None where that is not said."""
    aci, number = aci_of(mention, "uuid", "name"), number_of(mention, "number", "name")
    start = mention.whole("start", 0, 2**31 - 1)
    length = mention.whole("length", 0, 2**31 - 1)
    if start is None or length is None or (aci is None and number is None):
        return None
    return Mention(aci, number, start, length)


def files_of(data: Fields) -> list[File]:
    """The files of a dataMessage."""
    files = [_file(it) for it in data.parts("attachments", MAX_FILES)]
    return [it for it in files if it.media_type != LONG_TEXT]


def _file(file: Fields) -> File:
    id_ = file.text("id", MAX_FILE_ID_BYTES)
    width, height = file.whole("width", 0, 2**31 - 1), file.whole("height", 0, 2**31 - 1)
    return File(
        id=id_ if id_ is not None and is_file_id(id_) else None,
        media_type=_media_type(file.text("contentType", MAX_NAME_CHARS)),
        name=file.text("filename", MAX_NAME_CHARS),
        n_bytes=file.whole("size", 0, 2**63 - 1),
        dimensions=f"{width}x{height}" if width and height else None,
        caption=file.text("caption", MAX_QUOTE_CHARS),
    )


def _media_type(given: str | None) -> str:
    plain = (given or "").partition(";")[0].strip().lower()
    return plain if MEDIA_TYPE.fullmatch(plain) else UNKNOWN_TYPE


def aci_of(part: Fields, name: str, former: str) -> str | None:
    """Somebody's ACI. former: where it stood once, or a number in its place."""
    found = _first(part, name, former)
    return found if found is not None and is_aci(found) else None


def number_of(part: Fields, name: str, former: str) -> str | None:
    """Somebody's number, from the same kind of fields."""
    found = _first(part, name, former)
    return found if found is not None and is_number(found) else None


def _first(part: Fields, name: str, former: str) -> str | None:
    # Attack: an id that cannot be read, and beside it somebody else's: they would be one.
    found = part.text(name, MAX_NAME_CHARS)
    return part.text(former, MAX_NAME_CHARS) if found is None else found


def time_of(part: Fields, name: str) -> int | None:
    """A time in ms that a clock can have shown."""
    return part.whole(name, EARLIEST_MS, LATEST_MS)


def target_time(part: Fields, name: str) -> int:
    """The same, where it must be there."""
    at = time_of(part, name)
    if at is None:
        raise part.missing(name)
    return at
