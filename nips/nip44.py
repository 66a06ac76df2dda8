"""Pure: encryption between two keys, version 2. Source: NIP-44.

Classic payloads hold at most 65,535 bytes of plaintext, which is what other implementations
read for certain. NIP-44 has since gained a form with a 32-bit length; `extended=True` writes and
reads it up to `MAX_EXTENDED_BYTES`, between our own ends and for whoever else speaks it.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from nips.ecdh import shared_x
from nips.key import SecretKey
from nips.refusal import Malformed

VERSION = 2
MAX_CLASSIC_BYTES = 65_535  # of plaintext
MAX_EXTENDED_BYTES = 524_288  # of plaintext; a frame of 1 MiB holds the event around it
_EXTENDED_FROM_BYTES = 65_536

_MIN_PAYLOAD_CHARS = 132
_MIN_RAW_BYTES = 99


def padded_length(n_bytes: int) -> int:
    """Length in bytes to which `n_bytes` >= 1 of plaintext are padded."""
    if n_bytes <= 32:
        return 32
    next_power = 1 << (n_bytes - 1).bit_length()
    chunk = 32 if next_power <= 256 else next_power // 8
    return chunk * ((n_bytes - 1) // chunk + 1)


def _max_payload_chars(max_plaintext_bytes: int, prefix_bytes: int) -> int:
    raw_bytes = 65 + prefix_bytes + padded_length(max_plaintext_bytes)
    return 4 * ((raw_bytes + 2) // 3)


MAX_CLASSIC_CHARS = _max_payload_chars(MAX_CLASSIC_BYTES, 2)
MAX_EXTENDED_CHARS = _max_payload_chars(MAX_EXTENDED_BYTES, 6)


def conversation_key(secret: SecretKey, public: str) -> bytes:
    """The 32-byte key shared by two people, the same from either side; worth caching.

    public: the peer's key in hex. Raises Malformed when it is not a point of the curve.
    """
    return conversation_key_in_place(secret.raw, public)


def conversation_key_in_place(secret: bytes | bytearray | memoryview, public: str) -> bytes:
    """`conversation_key` for a secret that lives in protected memory and is not to be copied."""
    # HKDF-extract is one HMAC: RFC 5869 "PRK = HMAC-Hash(salt, IKM)"
    return hmac.digest(b"nip44-v2", shared_x(secret, public), "sha256")


def encrypt(
    plaintext: str, conversation_key: bytes, nonce: bytes, *, extended: bool = False
) -> str:
    """Encrypt 1 byte or more of UTF-8 with 32 fresh random bytes `nonce`; returns base64.

    Raises Malformed when the text is empty or too long, or a key or nonce is not 32 bytes.
    """
    chacha_key, chacha_nonce, hmac_key = message_keys(conversation_key, nonce)
    ciphertext = _chacha20(chacha_key, chacha_nonce, _pad(plaintext, extended))
    mac = hmac.digest(hmac_key, nonce + ciphertext, "sha256")
    return b64encode(bytes([VERSION]) + nonce + ciphertext + mac).decode()


def decrypt(payload: str, conversation_key: bytes, *, extended: bool = False) -> str:
    """Decrypt a payload. Raises Malformed with the reason, and before the MAC has held
    nothing but the frame around it has been looked at."""
    nonce, ciphertext, mac = _decode(payload, extended)
    chacha_key, chacha_nonce, hmac_key = message_keys(conversation_key, nonce)
    # NIP-44: "Use constant-time comparison algorithm"
    if not hmac.compare_digest(hmac.digest(hmac_key, nonce + ciphertext, "sha256"), mac):
        raise Malformed("NIP-44: the MAC is wrong: another key, or the payload was changed")
    return _unpad(_chacha20(chacha_key, chacha_nonce, ciphertext))


def message_keys(conversation_key: bytes, nonce: bytes) -> tuple[bytes, bytes, bytes]:
    """ChaCha20 key (32 bytes), its nonce (12) and the HMAC key (32) of one message."""
    if len(conversation_key) != 32 or len(nonce) != 32:
        raise Malformed("NIP-44: the conversation key and the nonce must be 32 bytes")
    keys = HKDFExpand(algorithm=SHA256(), length=76, info=nonce).derive(conversation_key)
    return keys[:32], keys[32:44], keys[44:]


def _chacha20(key: bytes, nonce: bytes, data: bytes) -> bytes:
    # RFC 8439, "starting counter set to 0": cryptography takes counter and nonce as one.
    return Cipher(ChaCha20(key, bytes(4) + nonce), mode=None).encryptor().update(data)


def _pad(plaintext: str, extended: bool) -> bytes:
    try:
        text = plaintext.encode()
    except UnicodeEncodeError as error:
        raise Malformed("NIP-44: the text holds a lone surrogate, which has no UTF-8") from error
    max_bytes = MAX_EXTENDED_BYTES if extended else MAX_CLASSIC_BYTES
    if not 1 <= len(text) <= max_bytes:
        raise Malformed(f"NIP-44: a text must be 1 to {max_bytes} bytes, not {len(text)}")
    if len(text) < _EXTENDED_FROM_BYTES:
        prefix = len(text).to_bytes(2, "big")
    else:
        # NIP-44: "prefix is 6 bytes (2 zero bytes + `u32`)"
        prefix = bytes(2) + len(text).to_bytes(4, "big")
    return prefix + text + bytes(padded_length(len(text)) - len(text))


def _unpad(padded: bytes) -> str:
    # Which form may be read was decided by the payload's length, in `_decode`.
    n_bytes, prefix_bytes = int.from_bytes(padded[:2], "big"), 2
    if n_bytes == 0:
        n_bytes, prefix_bytes = int.from_bytes(padded[2:6], "big"), 6
        if n_bytes < _EXTENDED_FROM_BYTES:
            raise Malformed("NIP-44: the padding is wrong")
    # NIP-44: "Verify that calculated padding … matches the actual padding"; that the text has
    # the length it claims follows, for padding never makes it shorter.
    if len(padded) != prefix_bytes + padded_length(n_bytes):
        raise Malformed("NIP-44: the padding is wrong")
    text = padded[prefix_bytes : prefix_bytes + n_bytes]
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise Malformed("NIP-44: the plaintext is not UTF-8") from error


def _decode(payload: str, extended: bool) -> tuple[bytes, bytes, bytes]:
    # NIP-44: "`#` is an optional future-proof flag that means non-base64 encoding is used"
    if payload.startswith("#"):
        raise Malformed("NIP-44: the payload's encryption version is not supported")
    max_chars = MAX_EXTENDED_CHARS if extended else MAX_CLASSIC_CHARS
    # NIP-44: "rejecting oversized payloads early … (before base64 decoding)"
    if not _MIN_PAYLOAD_CHARS <= len(payload) <= max_chars:
        raise Malformed(
            f"NIP-44: a payload must be {_MIN_PAYLOAD_CHARS} to {max_chars} characters,"
            f" not {len(payload)}"
        )
    try:
        raw = a2b_base64(payload, strict_mode=True)
    except (Base64Error, ValueError) as error:
        raise Malformed("NIP-44: the payload is not base64") from error
    if raw and raw[0] != VERSION:
        raise Malformed(f"NIP-44: the payload's encryption version {raw[0]} is not supported")
    if len(raw) < _MIN_RAW_BYTES:
        raise Malformed("NIP-44: the payload is too short")
    return raw[1:33], raw[33:-32], raw[-32:]
