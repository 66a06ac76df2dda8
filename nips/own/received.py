"""Pure: a file that somebody sent, as the message that brought it names it.

Source: PROTOCOL.md "A file that somebody sent"; NIP-92. One tag of a kind 9:

    ["imeta","path received/photo-0a1b2c3d4e5f.jpg","m image/jpeg","x <64 hex>","size 120000"]

and `dim 800x600` where it is known. The path is below the group's folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nips.event import Event, Tag, Template
from nips.key import is_hex
from nips.nip94 import DIMENSIONS, MEDIA_TYPE

FOLDER = "received"
MAX_FILES = 20  # of one message that are read
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}(?:\.[a-z0-9]{1,8})?")
_SIZE = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """name: in the folder `received` of the group's; sha256: of the file as it was stored, in hex.
    dimensions: `<width>x<height>`, as the sender says."""

    name: str
    media_type: str
    sha256: str
    n_bytes: int
    dimensions: str | None = None

    @property
    def path(self) -> str:
        """Below the group's folder."""
        return f"{FOLDER}/{self.name}"

    def tag(self) -> Tag:
        """The `imeta` of the message that brings it. NIP-92: "each entry is a space-delimited
        key/value pair". There is no `url`, which NIP-92 wants: whose server it came from, and
        the key, are no business of whoever reads the group."""
        entries = [f"path {self.path}", f"m {self.media_type}", f"x {self.sha256}"]
        entries.append(f"size {self.n_bytes}")
        if self.dimensions is not None:
            entries.append(f"dim {self.dimensions}")
        return ("imeta", *entries)


def received_files(event: Event | Template) -> tuple[ReceivedFile, ...]:
    """The files that a message brings; a tag that is no such is none."""
    found = (_parse(tag) for tag in event.tags if tag[0] == "imeta")
    return tuple(file for file in found if file is not None)[:MAX_FILES]


def _parse(tag: Tag) -> ReceivedFile | None:
    # Attack: a path such as `received/../CLAUDE.md`, or words of their own behind it, that an
    # agent is shown on a line of ours. Each entry has a form that leaves no room for either.
    entries: dict[str, str] = {}
    for entry in reversed(tag[1:]):  # of two with one name the first counts
        key, _, value = entry.partition(" ")
        entries[key] = value
    name = entries.get("path", "").removeprefix(f"{FOLDER}/")
    size, dimensions = entries.get("size", ""), entries.get("dim", "")
    if (
        not entries.get("path", "").startswith(f"{FOLDER}/")
        or not NAME.fullmatch(name)
        or not MEDIA_TYPE.fullmatch(entries.get("m", ""))
        or not is_hex(entries.get("x"), 32)
        or not _SIZE.fullmatch(size)
    ):
        return None
    return ReceivedFile(
        name,
        entries["m"],
        entries["x"],
        int(size),
        dimensions if DIMENSIONS.fullmatch(dimensions) else None,
    )
