"""Output: unframed at any cut, bounded whatever its length, harmless to a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.output import TAIL_BYTES, Tail, Unframer, sanitised


def framed(payload: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@given(st.lists(st.binary(max_size=50), max_size=10), st.lists(st.integers(1, 9), min_size=1))
def test_any_cut_gives_the_same_bytes(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(framed(payload, n % 2 + 1) for n, payload in enumerate(payloads))
    unframer, seen, at, n = Unframer(), b"", 0, 0
    while at < len(stream):
        size = cuts[n % len(cuts)]
        seen += b"".join(unframer.feed(stream[at : at + size]))
        at, n = at + size, n + 1
    assert seen == b"".join(payloads)


@given(st.lists(st.binary(max_size=300), max_size=30), st.integers(1, 100))
def test_the_tail_is_the_end(parts: list[bytes], size_bytes: int) -> None:
    tail = Tail(size_bytes)
    for part in parts:
        tail.add(part)
        assert len(tail._kept) <= 2 * size_bytes + 1
    whole = b"".join(parts)
    assert tail.total_bytes == len(whole)
    assert tail.text == sanitised(whole[-size_bytes:])


def test_a_flood_is_not_kept() -> None:
    tail = Tail()
    for _ in range(1000):
        tail.add(b"x" * 65536)
    assert tail.total_bytes == 65_536_000
    assert tail.text == "x" * TAIL_BYTES


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\n\ttext", "plain\n\ttext"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]8;;http://x\x1b\\link", "link"),
        (b"over\rwritten", "overwritten"),
        (b"\x9b31mred", "\ufffd31mred"),
        ("\u202eevil".encode(), "evil"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"nul\x00 bell\x07 del\x7f", "nul bell del"),
    ],
)
def test_nothing_stays_that_a_terminal_obeys(data: bytes, text: str) -> None:
    assert sanitised(data) == text


@given(st.binary(max_size=500))
def test_only_printable_text_stays(data: bytes) -> None:
    for sign in sanitised(data):
        assert sign in "\n\t" or (ord(sign) >= 32 and not 127 <= ord(sign) < 160)
