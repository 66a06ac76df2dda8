"""Reconciliation held against plain set difference, and bytes worked out by hand."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips import nip77
from nips.negentropy import INFINITY, encode_varint
from nips.nip77 import MAX_RANGES, Records, answer, initiate, proceed
from nips.refusal import Malformed

Row = tuple[int, bytes]


def made(numbers: range, time: int | None = None) -> set[Row]:
    return {
        (1_700_000_000 + number // 3 if time is None else time, sha256(b"%d" % number).digest())
        for number in numbers
    }


def reconcile(mine: set[Row], theirs: set[Row], max_bytes: int) -> tuple[set[bytes], set[bytes]]:
    """Play both sides to the end; what the initiator has alone, and what it lacks."""
    own, other = Records(mine), Records(theirs)
    have: set[bytes] = set()
    need: set[bytes] = set()
    message: bytes | None = initiate(own, max_bytes)
    for _ in range(2_000):
        if message is None:
            return have, need
        reply = answer(other, message, max_bytes)
        assert len(reply) <= max_bytes
        progress = proceed(own, reply, max_bytes)
        have |= set(progress.have)
        need |= set(progress.need)
        message = progress.message
    raise AssertionError("the two sides never agree")


def differences(mine: set[Row], theirs: set[Row]) -> tuple[set[bytes], set[bytes]]:
    return {one for _, one in mine - theirs}, {one for _, one in theirs - mine}


# Few times and ids that begin alike: bounds then need long prefixes.
near_ids = st.builds(
    lambda head, tail: head.ljust(31, b"\x00") + bytes([tail]),
    st.sampled_from([b"", b"\x01", b"\x01\x02", b"\xff" * 31]),
    st.integers(0, 255),
)
# An id fixes its time, as an event's does.
rows = (near_ids | st.binary(min_size=32, max_size=32)).map(
    lambda one: ((0, 1, 5, 2**63 - 1)[sum(one) % 4], one)
)
sets = st.sets(rows, max_size=120)


@settings(max_examples=200)
@given(mine=sets, theirs=sets, shared=sets, max_bytes=st.sampled_from([1_300, 4_096, 131_072]))
def test_it_finds_what_a_set_difference_finds(
    mine: set[Row], theirs: set[Row], shared: set[Row], max_bytes: int
) -> None:
    mine, theirs = mine | shared, theirs | shared
    assert reconcile(mine, theirs, max_bytes) == differences(mine, theirs)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (made(range(0)), made(range(5_000))),
        (made(range(5_000)), made(range(0))),
        (made(range(5_000)), made(range(5_000))),
        (made(range(5_000)), made(range(2_500, 7_500))),
        (made(range(5_000)), made(range(5_000)) - made(range(777, 778))),
        (made(range(5_000), time=7), made(range(100, 5_100), time=7)),
    ],
)
@pytest.mark.parametrize("max_bytes", [4_096, nip77.MAX_MESSAGE_BYTES])
def test_large_sets(mine: set[Row], theirs: set[Row], max_bytes: int) -> None:
    assert reconcile(mine, theirs, max_bytes) == differences(mine, theirs)


def test_equal_sets_take_one_round() -> None:
    records = Records(made(range(50_000)))
    first = initiate(records)
    assert len(first) < 500
    assert answer(records, first) == b"\x61"


def test_the_bytes_of_an_empty_set() -> None:
    # infinity, no prefix, an id list of none
    assert initiate(Records([])) == bytes([0x61, 0, 0, 2, 0])


def test_the_bytes_of_two_records() -> None:
    ids = [b"\x01" * 32, b"\x02" * 32]
    assert initiate(Records([(9, ids[1]), (5, ids[0])])) == bytes([0x61, 0, 0, 2, 2]) + b"".join(
        ids
    )


def test_the_bytes_of_buckets() -> None:
    """32 records of one second: 16 fingerprints, each bound the prefix that tells two apart."""
    ids = [bytes([number]) + bytes(31) for number in range(32)]
    message = initiate(Records([(300, one) for one in ids]))
    assert message[:1] == b"\x61"
    # 1 + 300 = 301 = 2 * 128 + 45; the prefix is the next bucket's first byte
    assert message[1:7] == bytes([0x82, 45, 1, 2, 1]) + message[6:7]
    total = (0 + 1).to_bytes(32, "little")
    assert message[6:22] == sha256(total + b"\x02").digest()[:16]
    # the second bound is at the same time: 1 + 0
    assert message[22:26] == bytes([1, 1, 4, 1])
    assert message[-19:-16] == bytes([0, 0, 1])


def test_ids_are_added_as_little_endian_numbers() -> None:
    top = bytes(31) + b"\xff"
    both = Records([(1, top), (2, top[:-1] + b"\x02")])
    total = ((0xFF + 0x02) & 0xFF) << 248
    expected = sha256(total.to_bytes(32, "little") + b"\x02").digest()[:16]
    assert both.fingerprint(0, 2) == expected


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8100"),
        (301, "822d"),
        (2**64 - 1, "81" + "ff" * 8 + "7f"),
    ],
)
def test_varints(value: int, encoded: str) -> None:
    assert encode_varint(value).hex() == encoded


def test_another_version_is_answered_by_ours() -> None:
    """NIP-77: "reply with a single byte containing the highest protocol version"."""
    assert answer(Records([]), b"\x62\x00\x00\x02\x00") == b"\x61"


ID = b"\x07" * 32


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00",
        b"\x61\x00",
        b"\x61\x00\x00",
        b"\x61\x00\x00\x03",
        b"\x61\x00\x00\x01" + b"x" * 15,
        b"\x61\x00\x00\x02\x02" + ID,
        b"\x61\x00\x21" + ID + b"\x00\x00",
        b"\x61\x05\x01\x09\x00\x01\x01\x08\x00",
        b"\x61" + b"\xff" * 11 + b"\x00\x00",
        b"\x61\x05\x00\x00" + encode_varint(INFINITY) + b"\x00\x00",
        b"\x61\x00\x00\x02" + encode_varint(INFINITY),
        b"\x61" + b"\x01\x00\x00" * (MAX_RANGES + 1),
    ],
)
def test_what_is_no_message(message: bytes) -> None:
    with pytest.raises(Malformed):
        answer(Records(made(range(10))), message)
    with pytest.raises(Malformed):
        proceed(Records(made(range(10))), message)


@settings(max_examples=300)
@given(message=st.binary(max_size=200).map(lambda rest: b"\x61" + rest))
def test_arbitrary_bytes_are_at_worst_malformed(message: bytes) -> None:
    """A hostile peer gets an answer within the bound or Malformed, never a crash."""
    try:
        assert len(answer(Records(made(range(500))), message, 4_096)) <= 4_096
    except Malformed:
        return


def test_many_differing_ranges_are_answered_within_the_bound() -> None:
    """A peer that claims a difference everywhere must not make us write without end."""
    records = Records(made(range(20_000)))
    message = bytearray(b"\x61")
    last = 0
    for number in range(4_000):
        time = 1_700_000_000 + number
        message += encode_varint(1 + time - last) + b"\x00\x01" + bytes(16)
        last = time
    assert len(answer(records, bytes(message), 8_192)) <= 8_192
