"""Pure: the type of a file by how it begins, as signal-cli-rest-api says it.

Source: the mimetype library that it uses, for the types that tests and people send.
"""

from __future__ import annotations

import json

UNKNOWN = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
_AT_START = (
    (b"\x89PNG\r\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"), (b"PK\x03\x04", "application/zip"),
    (b"OggS", "application/ogg"), (b"\xff\xf1", "audio/aac"), (b"ID3", "audio/mpeg"),
)  # fmt: skip
_IN_TEXT = (("<html", "text/html; charset=utf-8"), ("<svg", "image/svg+xml"))


def sniffed(content: bytes) -> str:
    """The type of a file."""
    for start, kind in _AT_START:
        if content.startswith(start):
            return kind
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:8] == b"ftyp":
        return "video/mp4"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return UNKNOWN
    return "text/plain" if not text else UNKNOWN if "\0" in text else _of_text(text)


def _of_text(text: str) -> str:
    for start, kind in _IN_TEXT:
        if text.lstrip().lower().startswith(start):
            return kind
    try:
        is_json = isinstance(json.loads(text), (dict, list))
    except ValueError:
        is_json = False
    return "application/json" if is_json else TEXT
