"""Pure: where the encrypted file of a kind 15 is, and what opens it. Source: NIP-17 "File Message".

The file lies with a server that sees no more than its ciphertext; the key is in the rumor alone.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nips.event import Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.nip94 import DIMENSIONS, MEDIA_TYPE, UNKNOWN_TYPE
from nips.refusal import Malformed

ALGORITHM = "aes-gcm"
TAG_BYTES = 16  # AES-GCM's, behind the ciphertext
KEY_SIZES = frozenset({16, 32})  # AES-128, AES-256
NONCE_SIZES = frozenset({12, 16})  # the standard's, and what Amethyst and others send
MAX_FALLBACKS = 3
MAX_URL_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class EncryptedFile:
    """urls: where its ciphertext may be had, the first is the sender's own choice. sha256: of the
    ciphertext, plain_sha256: of the file, both in hex. n_bytes: of the ciphertext, as claimed.
    media_type, dimensions (`<width>x<height>`) and name are claims as well."""

    urls: tuple[str, ...]
    key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    media_type: str = UNKNOWN_TYPE
    sha256: str | None = None
    plain_sha256: str | None = None
    n_bytes: int | None = None
    dimensions: str | None = None
    name: str | None = None

    @classmethod
    def from_rumor(cls, rumor: Template) -> EncryptedFile:
        """Read a rumor of kind 15 that `nips.nip59` opened. Raises Malformed, in words that hold
        nothing of the rumor's."""
        if rumor.kind != Kind.FILE_MESSAGE:
            raise Malformed(f"a file message has kind {int(Kind.FILE_MESSAGE)}, not {rumor.kind}")
        # NIP-17: "Supported algorithms: `aes-gcm`."
        if (rumor.tag("encryption-algorithm") or "").lower() != ALGORITHM:
            raise Malformed(f"it is not encrypted by {ALGORITHM}")
        media_type = media_type_of(rumor)
        n_bytes, dimensions = rumor.tag("size") or "", rumor.tag("dim") or ""
        is_number = n_bytes.isascii() and n_bytes.isdigit() and len(n_bytes) <= 18
        return cls(
            urls=_urls(rumor),
            key=_octets("decryption-key", rumor.tag("decryption-key"), KEY_SIZES),
            nonce=_octets("decryption-nonce", rumor.tag("decryption-nonce"), NONCE_SIZES),
            media_type=media_type,
            sha256=_hash("x", rumor.tag("x")),
            plain_sha256=_hash("ox", rumor.tag("ox")),
            n_bytes=int(n_bytes) if is_number else None,
            dimensions=dimensions if DIMENSIONS.fullmatch(dimensions) else None,
            name=rumor.tag("name") or rumor.tag("filename"),
        )

    def open(self, ciphertext: bytes | bytearray) -> bytes:
        """Check and decrypt what was fetched; the file itself. Raises Malformed."""
        try:
            plain = AESGCM(self.key).decrypt(self.nonce, ciphertext, None)
        except (InvalidTag, ValueError):
            plain = None
        known = [sha256(data).hexdigest() for data in (ciphertext, plain) if data is not None]
        # NIP-17: `x` is "of the encrypted file". It was "of the file" before, and clients that
        # took this for what was encrypted are still there: either is the one that was meant.
        if self.sha256 is not None and self.sha256 not in known:
            raise Malformed("what the server gave is another file than the one announced")
        if plain is None:
            raise Malformed("it cannot be decrypted with the key that came with it")
        if self.plain_sha256 not in (None, known[-1]):
            raise Malformed("what it decrypts to is another file than the one announced")
        return plain


def media_type_of(rumor: Template) -> str:
    """The type that its sender says the file has."""
    named = (rumor.tag("file-type") or "").partition(";")[0].strip().lower()
    return named if MEDIA_TYPE.fullmatch(named) else UNKNOWN_TYPE


def _urls(rumor: Template) -> tuple[str, ...]:
    given = [rumor.content, *rumor.values("fallback")[:MAX_FALLBACKS]]
    urls = dict.fromkeys(url.strip() for url in given)
    if not all(0 < len(url) <= MAX_URL_CHARS for url in urls):
        raise Malformed("it does not say where the file is")
    return tuple(urls)


def _octets(name: str, text: str | None, sizes: frozenset[int]) -> bytes:
    """Hex, as most clients send it, or base64 of either alphabet, padded or not."""
    text = text or ""
    with_padding = text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4)
    for read in (bytes.fromhex, lambda given: base64.b64decode(given, validate=True)):
        try:
            found = read(text if read is bytes.fromhex else with_padding)
        except (ValueError, binascii.Error):
            continue
        if len(found) in sizes:
            return found
    raise Malformed(f"its {name} is none")


def _hash(name: str, text: str | None) -> str | None:
    if text is None:
        return None
    if not is_hex(text := text.lower(), 32):
        raise Malformed(f"its {name} is no sha256 in hex")
    return text
