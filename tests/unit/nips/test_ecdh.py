"""The shared point's x: the same from both sides, unhashed, in place."""

from __future__ import annotations

import mmap

import pytest
from coincurve import PublicKey
from hypothesis import given
from hypothesis import strategies as st

from nips.ecdh import shared_x
from nips.key import SecretKey
from nips.refusal import Malformed

scalars = st.binary(min_size=32, max_size=32).filter(lambda raw: 0 < raw[0] < 255)


@given(a=scalars, b=scalars)
def test_it_is_the_x_of_the_product_from_either_side(a: bytes, b: bytes) -> None:
    public_b = SecretKey(b).public
    product = PublicKey(b"\x02" + bytes.fromhex(public_b)).multiply(a)
    assert shared_x(a, public_b) == product.format()[1:]
    assert shared_x(b, SecretKey(a).public) == product.format()[1:]


def test_any_buffer_is_read_in_place(alice: SecretKey, bob: SecretKey) -> None:
    expected = shared_x(alice.raw, bob.public)
    with mmap.mmap(-1, 4096) as page:
        page[100:132] = alice.raw
        with memoryview(page) as view, view[100:132] as secret:
            assert shared_x(secret, bob.public) == expected
    assert shared_x(bytearray(alice.raw), bob.public) == expected


@pytest.mark.parametrize("raw", [bytes(32), b"\xff" * 32, b"\x01" * 31, b"\x01" * 33, b""])
def test_what_is_no_secret(raw: bytes, bob: SecretKey) -> None:
    with pytest.raises(Malformed):
        shared_x(raw, bob.public)


@pytest.mark.parametrize("public", ["", "0" * 64, "ff" * 32, "AB" * 32, "12" * 33])
def test_what_is_no_point(public: str, alice: SecretKey) -> None:
    with pytest.raises(Malformed):
        shared_x(alice.raw, public)
