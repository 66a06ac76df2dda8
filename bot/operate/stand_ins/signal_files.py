"""Pure: files as signal-cli-rest-api takes and gives them: their names, and their types.

Source: signal-cli-rest-api, client/attachment.go; the mimetype library that it uses, for the types
that tests and people send.
"""

from __future__ import annotations

import base64
import binascii
import json

from bot.operate.stand_ins.signal_printed import ServiceError

UNKNOWN = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
_AT_START = (
    (b"\x89PNG\r\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"), (b"PK\x03\x04", "application/zip"),
    (b"OggS", "application/ogg"), (b"\xff\xf1", "audio/aac"), (b"ID3", "audio/mpeg"),
)  # fmt: skip
_IN_TEXT = (("<html", "text/html; charset=utf-8"), ("<svg", "image/svg+xml"))


def data_uri(value: str, folder: str) -> str:
    """A file that came with a request, as signal-cli takes it. Raises ServiceError.

    folder: the name of the one that the service would put it into; of the file, if it has none.
    """
    head, found, data = value.rpartition("base64,")
    if "data:" not in value or not found:
        head, data = "", value
    if not data:
        raise ServiceError("The base64 data does not exist.")
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error:
        raise ServiceError("illegal base64 data at input byte 0") from None
    parts = head.rstrip(";").split(";")
    names = [part.removeprefix("filename=") for part in parts if part.startswith("filename=")]
    ending = ".txt" if sniffed(content).startswith("text/plain") else ".bin"
    name = names[-1] if names else folder + ending
    # Attack: a name that leads out of its folder. The service only opens what it is told.
    if "/" in name:
        raise ServiceError(f"open /tmp/{folder}/{name}: no such file or directory")
    return f"data:application/octet-stream;filename={name};base64,{data}"


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
