"""Pure: what a container writes: unframed, its end kept, made fit for a log.

Source: Docker Engine API "Attach to a container", stream format: a header of eight bytes
`[stream, 0, 0, 0, size big-endian]`, then `size` bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TAIL_BYTES = 8192
_HEADER_BYTES = 8

# Attack: output that recolours, retitles or reorders the operator's terminal, or forges lines.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Unframer:
    """Takes the attach stream apart, whatever the sizes in which it arrives."""

    def __init__(self) -> None:
        self._header = b""
        self._remaining = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the payload in `data`, both streams in the order in which they came."""
        at = 0
        while at < len(data):
            if self._remaining:
                part = data[at : at + self._remaining]
                self._remaining -= len(part)
                at += len(part)
                yield part
                continue
            wanted = _HEADER_BYTES - len(self._header)
            self._header += data[at : at + wanted]
            at += wanted
            if len(self._header) == _HEADER_BYTES:
                self._remaining = int.from_bytes(self._header[4:], "big")
                self._header = b""


class Tail:
    """The last `size_bytes` of a stream of any length, and how long it was."""

    def __init__(self, size_bytes: int = TAIL_BYTES) -> None:
        self._size_bytes = size_bytes
        self._kept = bytearray()
        self.total_bytes = 0

    def add(self, data: bytes) -> None:
        """Take the next part."""
        self.total_bytes += len(data)
        self._kept += data[-self._size_bytes :]
        if len(self._kept) > 2 * self._size_bytes:
            del self._kept[: -self._size_bytes]

    @property
    def text(self) -> str:
        """The end of the stream, readable, without anything a terminal would obey."""
        return sanitised(bytes(self._kept[-self._size_bytes :]))


def sanitised(data: bytes) -> str:
    """Decode UTF-8 and make it `harmless`."""
    return harmless(data.decode("utf-8", "replace"))


def harmless(text: str) -> str:
    """Drop escape sequences, controls and text direction marks; lines and tabs stay."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text))
