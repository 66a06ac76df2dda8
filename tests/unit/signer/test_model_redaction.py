"""signer/model_redaction.py: against the dumb way, which has all of it at once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.model_redaction import Redaction

few = st.binary(max_size=40).map(lambda raw: bytes(b"ab"[byte & 1] for byte in raw))


@given(few.filter(bool), st.lists(few, max_size=8))
def test_no_cut_lets_the_secret_through(secret: bytes, pieces: list[bytes]) -> None:
    redaction = Redaction(secret)
    out = [redaction.feed(piece) for piece in pieces]
    found = b"".join([*out, redaction.finish()])
    whole = b"".join(pieces)
    assert found == whole.replace(secret, b"*" * len(secret))
    assert len(found) == len(whole)


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_what_is_no_beginning_of_it_passes_at_once(pieces: list[bytes]) -> None:
    redaction = Redaction(b"\xff\xfe-secret")
    for piece in pieces:
        if not {0xFF, ord("\\")} & set(piece):  # as it is, and as JSON escapes it
            assert redaction.feed(piece) == piece


def test_nothing_is_held_at_the_end_of_an_event() -> None:
    assert Redaction(b"sk-abc").feed(b"data: {}\n\n") == b"data: {}\n\n"


@pytest.mark.parametrize(
    "written",
    [
        json.dumps,
        lambda text: json.dumps(text).replace("/", "\\/"),
        lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
        lambda text: "".join(f"\\u{ord(c):04X}" for c in text),
    ],
)
@pytest.mark.parametrize("n_bytes", [1, 7, 1_000])
def test_nor_as_json_writes_it(written: object, n_bytes: int) -> None:
    """Attack: an error object that holds the key, whose quote and slash JSON escapes."""
    secret = 'sk/a"b\\c-7b0d'
    whole = f'{{"message":"bad key {written(secret)}"}}'.encode()  # type: ignore[operator]
    redaction = Redaction(secret.encode())
    pieces = [whole[n : n + n_bytes] for n in range(0, len(whole), n_bytes)]
    out = b"".join([*(redaction.feed(piece) for piece in pieces), redaction.finish()])
    assert len(out) == len(whole)
    assert b"7b0d" not in out
    assert b"0064" not in out
    assert b"***" in out


def test_without_a_secret_all_passes() -> None:
    assert Redaction(b"").feed(b"anything") == b"anything"
