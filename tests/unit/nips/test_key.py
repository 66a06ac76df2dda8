"""Keys and BIP-340 signatures, by the BIP's own vectors."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from nips.key import SecretKey, is_hex, is_public_key, verify
from nips.refusal import Malformed

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
VECTORS = list(
    csv.DictReader((Path(__file__).parents[2] / "vectors" / "bip340.csv").read_text().splitlines())
)


def test_all_vectors_are_here() -> None:
    assert [row["index"] for row in VECTORS] == [str(n) for n in range(15)]


@pytest.mark.parametrize("row", VECTORS, ids=lambda row: row["index"])
def test_bip340(row: dict[str, str]) -> None:
    public, message = row["public key"].lower(), bytes.fromhex(row["message"])
    signature = row["signature"].lower()
    if row["secret key"]:
        key = SecretKey(bytes.fromhex(row["secret key"]))
        assert key.public == public
        assert key.sign(message, bytes.fromhex(row["aux_rand"])) == signature
    assert verify(public, message, signature) is (row["verification result"] == "TRUE")


@pytest.mark.parametrize(
    "raw", [b"", bytes(32), bytes(31), b"\x01" * 33, ORDER.to_bytes(32, "big"), b"\xff" * 32]
)
def test_what_is_no_secret_key(raw: bytes) -> None:
    with pytest.raises(Malformed):
        SecretKey(raw)


def test_the_repr_does_not_show_the_secret() -> None:
    key = SecretKey(b"\x5a" * 32)
    assert "5a5a5a" not in repr(key)
    assert "ZZZZ" not in repr(key)
    assert key.public in repr(key)


def test_only_32_bytes_are_signed_with_32_random_ones() -> None:
    # libsecp256k1 takes pointers: what is shorter would be read past its end.
    key = SecretKey(b"\x07" * 32)
    for message, aux in ((bytes(31), bytes(32)), (bytes(32), b""), (bytes(33), bytes(32))):
        with pytest.raises(ValueError, match="32 bytes"):
            key.sign(message, aux)


def test_keys_are_compared_by_their_number() -> None:
    assert SecretKey(b"\x07" * 32) == SecretKey(b"\x07" * 32)
    assert len({SecretKey(b"\x07" * 32), SecretKey(b"\x07" * 32)}) == 1
    assert SecretKey(b"\x07" * 32) != SecretKey(b"\x08" * 32)


def test_generate_draws_again_where_the_number_is_no_key() -> None:
    draws = iter([bytes(32), b"\xff" * 32, b"\x07" * 32])
    assert SecretKey.generate(lambda n: next(draws)).raw == b"\x07" * 32


def test_malformed_signatures_do_not_verify() -> None:
    key = SecretKey(b"\x07" * 32)
    signature = key.sign(bytes(32), bytes(32))
    assert verify(key.public, bytes(32), signature)
    assert not verify(key.public, bytes(32), signature[:-2])
    assert not verify(key.public, bytes(32), "zz" * 64)
    assert not verify("ff" * 32, bytes(32), signature)
    assert not verify("", bytes(32), signature)


def test_is_hex_takes_lower_case_only() -> None:
    assert is_hex("0f", 1)
    assert not is_hex("0F", 1)
    assert not is_hex("0f0", 1)
    assert not is_hex("٠٠", 1)  # digits, but not ASCII's
    assert not is_hex(b"0f", 1)


def test_is_public_key_asks_the_curve() -> None:
    assert is_public_key(SecretKey(b"\x07" * 32).public)
    # BIP-340 vector 5: "public key not on the curve"
    assert not is_public_key("eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34")
    assert not is_public_key("ff" * 32)
    assert not is_public_key(None)
