"""NIP-02: whom somebody follows."""

from __future__ import annotations

import pytest

from nips.event import Template
from nips.key import SecretKey
from nips.nip02 import MAX_FOLLOWED, followed
from nips.refusal import Malformed

KEYS = [SecretKey(number.to_bytes(32, "big")).public for number in range(1, 5)]


def test_the_keys_of_a_list() -> None:
    tags = (("p", KEYS[0], "wss://relay.example", "ann"), ("p", KEYS[1]), ("p", "x"), ("p",))
    assert followed(Template(KEYS[2], 7, 3, (*tags, ("p", "0" * 64), ("t", "x")), "")) == {
        *KEYS[:2]
    }  # fmt: skip
    assert followed(Template(KEYS[2], 7, 3, (), "")) == frozenset()


def test_a_list_without_end_is_read_from_its_end() -> None:
    tags = (("p", KEYS[0]), *((("p", KEYS[1]),) * MAX_FOLLOWED))
    assert followed(Template(KEYS[2], 7, 3, tags, "")) == {KEYS[1]}


def test_another_kind() -> None:
    with pytest.raises(Malformed):
        followed(Template(KEYS[2], 7, 1, (("p", KEYS[0]),), ""))
