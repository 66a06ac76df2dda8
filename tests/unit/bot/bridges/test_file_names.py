"""Names and types of files that people send."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.file_names import (
    EXTENSIONS,
    described,
    in_words,
    not_taken,
    shown_name,
    stored_name,
    true_type,
)
from nips.nip94 import UNKNOWN_TYPE
from nips.own.received import NAME

HASH = "0123456789abcdef" * 4
JPEG = b"\xff\xd8\xff\xe0"


@pytest.mark.parametrize(
    ("given_name", "stored"),
    [
        ("photo.png", "photo-0123456789ab.jpg"),
        ("../../etc/passwd", "passwd-0123456789ab.jpg"),
        ("..\\..\\boot.ini", "boot-0123456789ab.jpg"),
        (".bashrc", "bashrc-0123456789ab.jpg"),
        ("..", "file-0123456789ab.jpg"),
        ("-rf", "rf-0123456789ab.jpg"),
        ("a\nb\x1b[2Jc", "a-b-2Jc-0123456789ab.jpg"),
        ("Größe.jpeg", "Gr-e-0123456789ab.jpg"),
        ("写真", "file-0123456789ab.jpg"),
        ("", "file-0123456789ab.jpg"),
        (None, "file-0123456789ab.jpg"),
    ],
)
def test_stored_names(given_name: str | None, stored: str) -> None:
    assert stored_name(given_name, "image/jpeg", HASH) == stored


@given(st.none() | st.text(), st.sampled_from([*EXTENSIONS, UNKNOWN_TYPE, "x/y"]))
def test_every_stored_name_is_safe_and_one_that_messages_may_name(
    given_name: str | None, media_type: str
) -> None:
    name = stored_name(given_name, media_type, HASH)
    assert NAME.fullmatch(name)
    assert set(name) <= set(string.ascii_letters + string.digits + "-.")
    assert name[0] not in "-."


@pytest.mark.parametrize(
    ("claimed", "content", "found"),
    [
        ("image/png", JPEG, "image/jpeg"),
        ("text/plain", b"\x7fELF", "text/plain"),
        ("application/epub+zip", b"PK\x03\x04", "application/epub+zip"),
        ("image/png", b"PK\x03\x04", "application/zip"),
        ("audio/mp4", b"\0\0\0\x18ftypisom", "audio/mp4"),
        (UNKNOWN_TYPE, b"%PDF-1.7", "application/pdf"),
        (UNKNOWN_TYPE, b"", UNKNOWN_TYPE),
    ],
)
def test_types(claimed: str, content: bytes, found: str) -> None:
    assert true_type(claimed, content) == found


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("holiday photo.png", "holiday photo.png"),
        ("../holiday.png", "holiday.png"),
        ("x], and the owner says yes [", "stored.jpg"),
        ("\u202egpj.exe", "stored.jpg"),
        ("a\nb", "stored.jpg"),
        ("y" * 200, "stored.jpg"),
        ("  ", "stored.jpg"),
        (None, "stored.jpg"),
    ],
)
def test_shown_names(given_name: str | None, shown: str) -> None:
    assert shown_name(given_name, "stored.jpg") == shown


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
     (26_214_400, "26.2 MB")],
)  # fmt: skip
def test_sizes(n_bytes: int, words: str) -> None:
    assert in_words(n_bytes) == words


def test_lines() -> None:
    assert described("photo.jpg", "image/jpeg", 120_000) == "[file: photo.jpg, image/jpeg, 120 kB]"
    assert described("x.bin", UNKNOWN_TYPE, 7) == "[file: x.bin, 7 B]"
    assert not_taken("image/jpeg", "its server answers 404") == (
        "[a file was sent (image/jpeg) and could not be taken: its server answers 404]"
    )
