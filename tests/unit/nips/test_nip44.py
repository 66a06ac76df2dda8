"""NIP-44 by its published vectors, against nostr-sdk both ways, and under attack."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import nostr_sdk
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nips import nip44
from nips.key import SecretKey
from nips.refusal import Malformed

VECTOR_FILE = Path(__file__).parents[2] / "vectors" / "nip44.vectors.json"
VALID: dict[str, Any] = json.loads(VECTOR_FILE.read_text())["v2"]["valid"]
INVALID: dict[str, Any] = json.loads(VECTOR_FILE.read_text())["v2"]["invalid"]
KEY = bytes.fromhex("c41c775356fd92eadc63ff5a0dc1da211b268cbea22316767095b2871ea1412d")
NONCE = bytes(31) + b"\x01"
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def secret(hex_digits: str) -> SecretKey:
    return SecretKey(bytes.fromhex(hex_digits))


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_the_vectors_are_the_ones_the_nip_names() -> None:
    assert sha256(VECTOR_FILE.read_bytes()).hexdigest() == (
        "269ed0f69e4c192512cc779e78c555090cebc7c785b609e338a62afc3ce25040"
    )


@pytest.mark.parametrize("case", VALID["get_conversation_key"])
def test_conversation_key(case: dict[str, str]) -> None:
    key = nip44.conversation_key(secret(case["sec1"]), case["pub2"])
    assert key.hex() == case["conversation_key"]


@pytest.mark.parametrize("case", INVALID["get_conversation_key"])
def test_no_conversation_key(case: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        nip44.conversation_key(secret(case["sec1"]), case["pub2"])


def test_message_keys() -> None:
    cases = VALID["get_message_keys"]
    for case in cases["keys"]:
        keys = nip44.message_keys(
            bytes.fromhex(cases["conversation_key"]), bytes.fromhex(case["nonce"])
        )
        expected = case["chacha_key"], case["chacha_nonce"], case["hmac_key"]
        assert tuple(key.hex() for key in keys) == expected


@pytest.mark.parametrize(("n_bytes", "expected"), VALID["calc_padded_len"])
def test_padded_length(n_bytes: int, expected: int) -> None:
    assert nip44.padded_length(n_bytes) == expected


@pytest.mark.parametrize("case", VALID["encrypt_decrypt"])
def test_encrypt_decrypt(case: dict[str, str]) -> None:
    first, second = secret(case["sec1"]), secret(case["sec2"])
    key = nip44.conversation_key(first, second.public)
    assert key.hex() == case["conversation_key"]
    assert key == nip44.conversation_key(second, first.public)
    nonce = bytes.fromhex(case["nonce"])
    assert nip44.encrypt(case["plaintext"], key, nonce) == case["payload"]
    assert nip44.decrypt(case["payload"], key) == case["plaintext"]


@pytest.mark.parametrize("case", VALID["encrypt_decrypt_long_msg"])
def test_encrypt_decrypt_long(case: dict[str, Any]) -> None:
    key, nonce = bytes.fromhex(case["conversation_key"]), bytes.fromhex(case["nonce"])
    plaintext = case["pattern"] * case["repeat"]
    assert digest(plaintext) == case["plaintext_sha256"]
    payload = nip44.encrypt(plaintext, key, nonce)
    assert digest(payload) == case["payload_sha256"]
    assert nip44.decrypt(payload, key) == plaintext


@pytest.mark.parametrize("n_bytes", INVALID["encrypt_msg_lengths"])
def test_lengths_that_the_classic_form_refuses(n_bytes: int) -> None:
    with pytest.raises(Malformed, match="65535"):
        nip44.encrypt("a" * n_bytes, KEY, NONCE)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("case", INVALID["decrypt"], ids=lambda case: case["note"])
def test_payloads_that_do_not_open(case: dict[str, str], extended: bool) -> None:
    with pytest.raises(Malformed) as caught:
        nip44.decrypt(case["payload"], bytes.fromhex(case["conversation_key"]), extended=extended)
    words = {"version": "version", "base64": "base64", "MAC": "MAC", "padding": "padding"}
    word = next((word for hint, word in words.items() if hint in case["note"]), "characters")
    assert word in str(caught.value)


# NIP-44 "Extended length prefix test vectors"
@pytest.mark.parametrize(
    ("n_bytes", "expected"),
    [
        (65_535, "6d8c2810d1e870fbaa1f0a0937126cca837a15f9260e27060c331d70a3c0bc84"),
        (65_536, "b7b4edb36ba92e267d322d56d9aebc22e7fa96ff52e3c12adc07f07a43cbc616"),
        (65_537, "eeb7c7c5373894ea2c1547cfd3ccb15d5a0b2d619da852e5c79df792dcc9e435"),
    ],
)
def test_extended_lengths(n_bytes: int, expected: str) -> None:
    payload = nip44.encrypt("a" * n_bytes, KEY, NONCE, extended=True)
    assert digest(payload) == expected
    assert nip44.decrypt(payload, KEY, extended=True) == "a" * n_bytes


def test_the_extended_form_ends_at_512_kib() -> None:
    payload = nip44.encrypt("a" * nip44.MAX_EXTENDED_BYTES, KEY, NONCE, extended=True)
    assert len(payload) == nip44.MAX_EXTENDED_CHARS
    assert nip44.decrypt(payload, KEY, extended=True) == "a" * nip44.MAX_EXTENDED_BYTES
    with pytest.raises(Malformed):
        nip44.encrypt("a" * (nip44.MAX_EXTENDED_BYTES + 1), KEY, NONCE, extended=True)


def test_the_classic_reader_refuses_an_extended_payload() -> None:
    payload = nip44.encrypt("a" * 65_536, KEY, NONCE, extended=True)
    with pytest.raises(Malformed):
        nip44.decrypt(payload, KEY)


@given(plaintext=UNICODE, nonce=st.binary(min_size=32, max_size=32))
@example(plaintext="\x00", nonce=bytes(32))
def test_round_trip(plaintext: str, nonce: bytes) -> None:
    payload = nip44.encrypt(plaintext, KEY, nonce)
    assert nip44.decrypt(payload, KEY) == plaintext
    # Below 65,536 bytes both forms are the same bytes.
    assert nip44.encrypt(plaintext, KEY, nonce, extended=True) == payload
    assert nip44.decrypt(payload, KEY, extended=True) == plaintext


@given(at=st.integers(0, 98), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(at: int, bit: int) -> None:
    raw = bytearray(b64decode(nip44.encrypt("pay bob 1", KEY, NONCE)))
    assert len(raw) == 99
    raw[at] ^= 1 << bit
    with pytest.raises(Malformed):
        nip44.decrypt(b64encode(raw).decode(), KEY)


@given(
    payload=st.text() | st.binary(min_size=99).map(lambda raw: b64encode(b"\x02" + raw).decode())
)
def test_garbage_is_malformed(payload: str) -> None:
    for extended in (False, True):
        with pytest.raises(Malformed):
            nip44.decrypt(payload, KEY, extended=extended)


def forged(padded: bytes) -> str:
    """A payload with a right MAC around any padded bytes: what a hostile peer can make."""
    chacha_key, chacha_nonce, hmac_key = nip44.message_keys(KEY, NONCE)
    ciphertext = nip44._chacha20(chacha_key, chacha_nonce, padded)
    mac = hmac.digest(hmac_key, NONCE + ciphertext, "sha256")
    return b64encode(b"\x02" + NONCE + ciphertext + mac).decode()


@pytest.mark.parametrize(
    ("name", "padded"),
    [
        ("length zero", bytes(34)),
        ("length beyond the text", b"\xff\xff" + b"a" * 32),
        ("too little padding", b"\x00\x21" + b"a" * 33),
        ("too much padding", b"\x00\x01a" + bytes(63)),
        ("extended length that fits the short form", bytes(5) + b"\x05hello" + bytes(27)),
        ("extended length beyond the text", bytes(2) + b"\x00\x01\x00\x00" + b"a" * 32),
        ("extended length beyond the cap", bytes(2) + b"\xff\xff\xff\xff" + b"a" * 32),
        ("not UTF-8", b"\x00\x01\xff" + bytes(31)),
    ],
)
def test_a_right_mac_does_not_excuse_wrong_padding(name: str, padded: bytes) -> None:
    for extended in (False, True):
        with pytest.raises(Malformed, match=r"padding|UTF-8"):
            nip44.decrypt(forged(padded), KEY, extended=extended)


def test_the_forger_of_these_tests_makes_what_opens() -> None:
    assert nip44.decrypt(forged(b"\x00\x05hello" + bytes(27)), KEY) == "hello"


def test_a_payload_is_written_in_one_way_only() -> None:
    """A lenient base64 reader passes over what does not belong: one message, many payloads."""
    payload = nip44.encrypt("hello" * 9, KEY, NONCE)
    assert nip44.decrypt(payload, KEY)
    assert payload.endswith("=")
    for other in (
        payload + "\n",
        payload[:50] + " " + payload[50:],
        payload[:50] + "\r\n" + payload[50:],
        payload + "AAAA",
        payload + "=",
        payload[:50] + "-" + payload[50:],
        payload[:50] + "é" + payload[50:],
    ):
        with pytest.raises(Malformed, match="base64"):
            nip44.decrypt(other, KEY)


def test_a_right_mac_does_not_excuse_a_short_payload() -> None:
    payload = forged(b"\x00\x05hello" + bytes(26))
    assert len(payload) == 132
    with pytest.raises(Malformed, match="too short"):
        nip44.decrypt(payload, KEY)


def test_an_oversized_payload_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Malformed, match="characters"):
        nip44.decrypt("!" * (nip44.MAX_CLASSIC_CHARS + 1), KEY)
    with pytest.raises(Malformed, match="characters"):
        nip44.decrypt("!" * (nip44.MAX_EXTENDED_CHARS + 1), KEY, extended=True)


def test_short_keys_and_nonces_and_lone_surrogates() -> None:
    for key, nonce in ((KEY[:31], NONCE), (KEY, NONCE[:31]), (KEY, NONCE + b"\0")):
        with pytest.raises(Malformed):
            nip44.encrypt("a", key, nonce)
    with pytest.raises(Malformed, match="surrogate"):
        nip44.encrypt("\ud800", KEY, NONCE)


@settings(max_examples=50)
@given(plaintext=UNICODE)
def test_nostr_sdk_opens_ours_and_we_open_its(plaintext: str) -> None:
    alice, bob = SecretKey(b"\x0a" * 32), SecretKey(b"\x0b" * 32)
    their_alice = nostr_sdk.SecretKey.parse(alice.raw.hex())
    their_bob = nostr_sdk.SecretKey.parse(bob.raw.hex())
    ours = nip44.encrypt(plaintext, nip44.conversation_key(alice, bob.public), bytes(32))
    assert (
        nostr_sdk.nip44_decrypt(their_bob, nostr_sdk.PublicKey.parse(alice.public), ours)
        == plaintext
    )
    theirs = nostr_sdk.nip44_encrypt(
        their_alice,
        nostr_sdk.PublicKey.parse(bob.public),
        plaintext,
        nostr_sdk.Nip44Version.V2,
    )
    assert nip44.decrypt(theirs, nip44.conversation_key(bob, alice.public)) == plaintext
