"""bot/operate/stand_ins/signal_files.py; tests/signal asks the service the same."""

from __future__ import annotations

import pytest

from bot.operate.stand_ins.signal_files import data_uri, sniffed
from bot.operate.stand_ins.signal_printed import ServiceError

HEAD = "data:application/octet-stream;filename="


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("data:image/png;filename=a.png;base64,aGk=", "a.png"),
        ("data:image/png;base64,aGk=", "folder.txt"),  # by what it holds
        ("aGk=", "folder.txt"),
        ("AAE=", "folder.bin"),
    ],
)
def test_a_file_gets_a_name(value: str, name: str) -> None:
    assert data_uri(value, "folder") == f"{HEAD}{name};base64,{value.rpartition(',')[2]}"


@pytest.mark.parametrize(
    "value", ["", "data:text/plain;base64,", "%%", "data:a/b;filename=../c;base64,aGk="]
)
def test_what_is_no_file(value: str) -> None:
    with pytest.raises(ServiceError):
        data_uri(value, "folder")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "text/plain"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVE\0", "application/octet-stream"),
        (b"<SVG xmlns='x'>", "image/svg+xml"),
        (b'{"a": 1}', "application/json"),
        (b"12", "text/plain; charset=utf-8"),
        (b"\xff\xfe\xfd", "application/octet-stream"),
    ],
)
def test_types_by_content(content: bytes, kind: str) -> None:
    assert sniffed(content) == kind
