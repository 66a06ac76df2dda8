"""NIP-17 file messages: what clients write, and what is no file."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Tag, Template
from nips.kinds import Kind
from nips.nip17_files import EncryptedFile, media_type_of
from nips.nip94 import UNKNOWN_TYPE
from nips.refusal import Malformed

KEY, NONCE = bytes(range(32)), bytes(range(12))
# The NIST vector for AES-256-GCM with a 96 bit nonce: test case 15 of the specification of GCM.
GCM_KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
GCM_NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
GCM_PLAIN = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
GCM_CIPHERTEXT = bytes.fromhex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
    "b094dac5d93471bdec1a502270e3cc6c"
)


def rumor(*more: Tag, content: str = "https://files.example/a", **named: str | None) -> Template:
    tags: dict[str, str | None] = {
        "file-type": "image/jpeg",
        "encryption-algorithm": "aes-gcm",
        "decryption-key": KEY.hex(),
        "decryption-nonce": NONCE.hex(),
    }
    tags |= {name.replace("_", "-"): value for name, value in named.items()}
    given_tags = tuple((name, value) for name, value in tags.items() if value is not None)
    return Template("0a" * 32, 7, Kind.FILE_MESSAGE, (*given_tags, *more), content)


def test_everything_that_is_said_of_a_file() -> None:
    found = EncryptedFile.from_rumor(
        rumor(
            ("x", "AB" * 32),
            ("ox", "cd" * 32),
            ("size", "120000"),
            ("dim", "800x600"),
            ("name", "photo.jpg"),
            ("fallback", "https://other.example/a"),
            ("blurhash", "LKO2?U%2Tw=w]~RBVZRi};RPxuwH"),
            ("thumb", "https://files.example/t"),
        )
    )
    assert found == EncryptedFile(
        ("https://files.example/a", "https://other.example/a"),
        KEY,
        NONCE,
        "image/jpeg",
        "ab" * 32,
        "cd" * 32,
        120_000,
        "800x600",
        "photo.jpg",
    )


def test_what_is_wrong_with_a_claim_leaves_the_claim_out() -> None:
    found = EncryptedFile.from_rumor(rumor(("size", "many"), ("dim", "0x7"), file_type="An image!"))
    assert found == EncryptedFile(("https://files.example/a",), KEY, NONCE, UNKNOWN_TYPE)
    assert media_type_of(rumor(file_type="Text/Plain; charset=utf-8")) == "text/plain"
    assert media_type_of(rumor(file_type="x/y], and more [")) == UNKNOWN_TYPE


@given(st.sampled_from([16, 32]), st.sampled_from([12, 16]), st.data())
def test_keys_in_hex_and_base64(n_key: int, n_nonce: int, data: st.DataObject) -> None:
    key = data.draw(st.binary(min_size=n_key, max_size=n_key))
    nonce = data.draw(st.binary(min_size=n_nonce, max_size=n_nonce))
    for write in (
        bytes.hex,
        lambda octets: octets.hex().upper(),
        lambda octets: base64.b64encode(octets).decode(),
        lambda octets: base64.b64encode(octets).decode().rstrip("="),
        lambda octets: base64.urlsafe_b64encode(octets).decode(),
    ):
        made = rumor(decryption_key=write(key), decryption_nonce=write(nonce))
        found = EncryptedFile.from_rumor(made)
        assert (found.key, found.nonce) == (key, nonce)


@pytest.mark.parametrize(
    "changes",
    [
        {"encryption_algorithm": None},
        {"encryption_algorithm": "aes-cbc"},
        {"decryption_key": None},
        {"decryption_key": "…"},
        {"decryption_key": "00" * 24},
        {"decryption_key": "00" * 31},
        {"decryption_nonce": None},
        {"decryption_nonce": ""},
        {"decryption_nonce": "00" * 4},
        {"x": "it"},
        {"ox": "00" * 31},
        {"content": ""},
        {"content": "https://files.example/" + "a" * 2_000},
    ],
    ids=str,
)
def test_what_is_no_file(changes: dict[str, str | None]) -> None:
    with pytest.raises(Malformed):
        EncryptedFile.from_rumor(rumor(**changes))  # type: ignore[arg-type]
    with pytest.raises(Malformed):
        EncryptedFile.from_rumor(Template("0a" * 32, 7, 14, rumor().tags, "https://x"))


def test_the_key_is_in_no_repr() -> None:
    assert repr(KEY) not in repr(EncryptedFile.from_rumor(rumor()))


def of(key: bytes, nonce: bytes, **hashes: str) -> EncryptedFile:
    return EncryptedFile(("https://files.example/a",), key, nonce, **hashes)  # type: ignore[arg-type]


def test_a_vector() -> None:
    x, ox = sha256(GCM_CIPHERTEXT).hexdigest(), sha256(GCM_PLAIN).hexdigest()
    file = of(GCM_KEY, GCM_NONCE, sha256=x, plain_sha256=ox)
    assert file.open(GCM_CIPHERTEXT) == GCM_PLAIN


@given(st.binary(max_size=200), st.sampled_from([16, 32]), st.sampled_from([12, 16]))
def test_round_trip(plain: bytes, n_key: int, n_nonce: int) -> None:
    key, nonce = KEY[:n_key], KEY[:n_nonce]
    ciphertext = AESGCM(key).encrypt(nonce, plain, None)
    assert of(key, nonce).open(ciphertext) == plain
    # Early clients gave the hash of the file itself.
    assert of(key, nonce, sha256=sha256(plain).hexdigest()).open(ciphertext) == plain


@given(st.integers(0, len(GCM_CIPHERTEXT) - 1), st.integers(1, 255))
def test_no_changed_byte_is_taken(at: int, bits: int) -> None:
    changed = bytearray(GCM_CIPHERTEXT)
    changed[at] ^= bits
    with pytest.raises(Malformed, match="decrypted"):
        of(GCM_KEY, GCM_NONCE).open(bytes(changed))


def test_another_file_is_not_taken() -> None:
    for wrong in ({"sha256": "00" * 32}, {"plain_sha256": "00" * 32}):
        with pytest.raises(Malformed, match="another file"):
            of(GCM_KEY, GCM_NONCE, **wrong).open(GCM_CIPHERTEXT)
    for nothing in (b"", bytes(15), bytes(16)):
        with pytest.raises(Malformed, match="decrypted"):
            of(GCM_KEY, GCM_NONCE).open(nothing)
