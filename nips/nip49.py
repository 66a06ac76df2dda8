"""Pure: a secret key at rest, under a passphrase: ncryptsec. Source: NIP-49.

scrypt takes 128 · 8 · 2**log_n bytes of memory: 64 MiB at 16, 1 GiB at 20.
"""

from __future__ import annotations

import struct
from unicodedata import normalize

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from nips.key import SecretKey
from nips.nip19 import decode_bech32, encode_bech32
from nips.refusal import Malformed

VERSION = 2
MIN_LOG_N, MAX_LOG_N = 1, 22  # a text from elsewhere must not ask for more than 4 GiB
SALT_BYTES, NONCE_BYTES = 16, 24
UNTRACKED = 2  # NIP-49: "0x02 - if the client does not track this data"
_RAW_BYTES = 91


def encrypt(secret: SecretKey, passphrase: str, salt: bytes, nonce: bytes, log_n: int) -> str:
    """The `ncryptsec1…` of a key. salt: 16, nonce: 24 fresh random bytes.

    Raises Malformed when a length or `log_n` (1 to 22) is out of bounds.
    """
    if len(salt) != SALT_BYTES or len(nonce) != NONCE_BYTES:
        raise Malformed(f"NIP-49: salt is {SALT_BYTES} and nonce {NONCE_BYTES} bytes")
    associated = bytes([UNTRACKED])
    key = _key(passphrase, salt, log_n)
    ciphertext = _cipher(key, nonce).encrypt(_short_nonce(nonce), secret.raw, associated)
    return encode_bech32(
        "ncryptsec", bytes([VERSION, log_n]) + salt + nonce + associated + ciphertext
    )


def decrypt(text: str, passphrase: str) -> SecretKey:
    """The key in an `ncryptsec1…`. Raises Malformed: not one, or a wrong passphrase."""
    return decrypt_with(text, wrapping_key(text, passphrase))


def wrapping_key(text: str, passphrase: str) -> bytes:
    """What scrypt makes of the passphrase for this ncryptsec: 32 bytes. Raises Malformed."""
    raw = _parsed(text)
    return _key(passphrase, raw[2:18], raw[1])


def decrypt_with(text: str, wrapping: bytes) -> SecretKey:
    """The key in an `ncryptsec1…` under a `wrapping_key`. Raises Malformed as `decrypt` does."""
    raw = _parsed(text)
    nonce, associated, ciphertext = raw[18:42], raw[42:43], raw[43:]
    try:
        return SecretKey(
            _cipher(wrapping, nonce).decrypt(_short_nonce(nonce), ciphertext, associated)
        )
    except InvalidTag as error:
        raise Malformed("NIP-49: the passphrase is wrong, or the ncryptsec was changed") from error


def _parsed(text: str) -> bytes:
    prefix, raw = decode_bech32(text.strip())
    if prefix != "ncryptsec" or len(raw) != _RAW_BYTES:
        raise Malformed("NIP-49: not an ncryptsec")
    if raw[0] != VERSION:
        raise Malformed(f"NIP-49: the ncryptsec's version {raw[0]} is not supported")
    return raw


def _key(passphrase: str, salt: bytes, log_n: int) -> bytes:
    # Attack: an ncryptsec whose log_n asks for terabytes.
    if not MIN_LOG_N <= log_n <= MAX_LOG_N:
        raise Malformed(f"NIP-49: log_n must be {MIN_LOG_N} to {MAX_LOG_N}, not {log_n}")
    try:
        # NIP-49: "The password should be unicode normalized to NFKC format"
        password = normalize("NFKC", passphrase).encode()
    except UnicodeEncodeError as error:
        raise Malformed("NIP-49: the passphrase is not Unicode text") from error
    return Scrypt(salt=salt, length=32, n=2**log_n, r=8, p=1).derive(password)


# XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): HChaCha20 of key and the first 16 bytes of the
# nonce is the key of an ordinary ChaCha20-Poly1305 under the last 8.


def _cipher(key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hchacha20(key, nonce[:16]))


def _short_nonce(nonce: bytes) -> bytes:
    return bytes(4) + nonce[16:]


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """HChaCha20 of a 32-byte key and a 16-byte nonce: 32 bytes.

    It is ChaCha20's block without the last addition of its input, so the input, all of it known
    where words 0–3 and 12–15 are concerned, is subtracted from a block of the key stream.
    """
    block = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(64))
    words = struct.unpack("<16I", block)
    given = (*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<4I", nonce))
    out = (*words[:4], *words[12:])
    return struct.pack("<8I", *((a - b) & 0xFFFFFFFF for a, b in zip(out, given, strict=True)))
