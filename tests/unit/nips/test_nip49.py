"""NIP-49 by its example, against nostr-sdk, and texts that must not be tried."""

from __future__ import annotations

import time

import nostr_sdk
import pytest

from nips import nip49
from nips.key import SecretKey
from nips.nip19 import decode_bech32, encode_bech32
from nips.refusal import Malformed

# NIP-49 "Decryption"
EXAMPLE = (
    "ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623n"
    "sl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p"
)
EXAMPLE_SECRET = "3501454135014541350145413501453fefb02227e449e57cf4d3a3ce05378683"
SALT, NONCE = bytes(range(16)), bytes(range(24))


def test_the_nip_s_example() -> None:
    assert nip49.decrypt(EXAMPLE, "nostr").raw.hex() == EXAMPLE_SECRET


def test_hchacha20() -> None:
    """draft-irtf-cfrg-xchacha section 2.2.1."""
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    assert nip49.hchacha20(bytes(range(32)), nonce).hex() == (
        "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    )


def test_round_trip_and_the_parts_of_the_text(alice: SecretKey) -> None:
    text = nip49.encrypt(alice, "correct horse", SALT, NONCE, 4)
    assert nip49.decrypt(f" {text}\n", "correct horse") == alice
    prefix, raw = decode_bech32(text)
    assert (prefix, len(raw), raw[0], raw[1]) == ("ncryptsec", 91, 2, 4)
    assert (raw[2:18], raw[18:42]) == (SALT, NONCE)


def test_passwords_are_normalised(alice: SecretKey) -> None:
    """NIP-49 "Password Unicode Normalization"."""
    text = nip49.encrypt(alice, "\u212b\u2126\u1e9b\u0323", SALT, NONCE, 4)
    assert nip49.decrypt(text, "\u00c5\u03a9\u1e69") == alice


def test_nostr_sdk_opens_ours(alice: SecretKey) -> None:
    text = nip49.encrypt(alice, "correct horse", SALT, NONCE, 8)
    theirs = nostr_sdk.EncryptedSecretKey.from_bech32(text)
    assert theirs.decrypt("correct horse").to_hex() == alice.raw.hex()


def test_we_open_nostr_sdk_s(alice: SecretKey) -> None:
    theirs = nostr_sdk.SecretKey.parse(alice.raw.hex()).encrypt("correct horse")
    assert nip49.decrypt(theirs.to_bech32(), "correct horse") == alice


@pytest.mark.parametrize("passphrase", ["", "Correct horse", "correct horse "])
def test_a_wrong_passphrase(alice: SecretKey, passphrase: str) -> None:
    text = nip49.encrypt(alice, "correct horse", SALT, NONCE, 4)
    with pytest.raises(Malformed, match="passphrase"):
        nip49.decrypt(text, passphrase)


@pytest.mark.parametrize("at", [2, 18, 42, 43, 90])
def test_a_changed_text(alice: SecretKey, at: int) -> None:
    raw = bytearray(decode_bech32(nip49.encrypt(alice, "x", SALT, NONCE, 4))[1])
    raw[at] ^= 1
    with pytest.raises(Malformed, match="changed"):
        nip49.decrypt(encode_bech32("ncryptsec", bytes(raw)), "x")


@pytest.mark.parametrize("log_n", [0, 23, 63, 255])
def test_a_text_that_asks_for_terabytes_is_not_tried(log_n: int) -> None:
    raw = bytearray(decode_bech32(EXAMPLE)[1])
    raw[1] = log_n
    begun_s = time.monotonic()
    with pytest.raises(Malformed, match="log_n"):
        nip49.decrypt(encode_bech32("ncryptsec", bytes(raw)), "nostr")
    assert time.monotonic() - begun_s < 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE[:-1],
        encode_bech32("ncryptsec", bytes(91)),
        encode_bech32("ncryptsec", b"\x01" + decode_bech32(EXAMPLE)[1][1:]),
        encode_bech32("ncryptsec", decode_bech32(EXAMPLE)[1][:-1]),
        encode_bech32("nsec", decode_bech32(EXAMPLE)[1]),
    ],
)
def test_what_is_no_ncryptsec(text: str) -> None:
    with pytest.raises(Malformed):
        nip49.decrypt(text, "nostr")


def test_what_cannot_be_encrypted(alice: SecretKey) -> None:
    for salt, nonce, log_n in (
        (SALT[1:], NONCE, 4),
        (SALT, NONCE[1:], 4),
        (SALT, NONCE, 0),
        (SALT, NONCE, 23),
    ):
        with pytest.raises(Malformed):
            nip49.encrypt(alice, "x", salt, nonce, log_n)
    with pytest.raises(Malformed, match="Unicode"):
        nip49.encrypt(alice, "\ud800", SALT, NONCE, 4)
