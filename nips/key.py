"""Pure: secp256k1 keys as values, BIP-340 signatures over 32 bytes. Source: NIP-01, BIP-340."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from coincurve import PrivateKey, PublicKey, PublicKeyXOnly

from nips.refusal import Malformed

_LOWER_HEX = re.compile("[0-9a-f]*")
_PARSED_KEYS = 4_096  # of recent authors: half a megabyte


def is_hex(value: object, n_bytes: int) -> bool:
    """Say whether `value` is `n_bytes` in lower-case hex, the only form NIP-01 allows."""
    return (
        isinstance(value, str)
        and len(value) == 2 * n_bytes
        and _LOWER_HEX.fullmatch(value) is not None
    )


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A secret scalar of 32 bytes; its repr shows the public key only.

    Raises Malformed when the bytes are not a key of the curve.
    """

    raw: bytes = field(repr=False)
    public: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.raw) != 32:  # the library would pad a shorter one
            raise Malformed("not a secp256k1 secret key of 32 bytes")
        try:
            x_only = PrivateKey(self.raw).public_key.format()[1:]
        except (ValueError, TypeError) as error:
            raise Malformed("not a secp256k1 secret key of 32 bytes") from error
        object.__setattr__(self, "public", x_only.hex())

    @classmethod
    def generate(cls, random_bytes: Callable[[int], bytes]) -> SecretKey:
        """Make a key from a source of randomness such as `secrets.token_bytes`."""
        while True:
            try:
                return cls(random_bytes(32))
            except Malformed:  # zero or at least the group's order: about once in 2**128
                continue

    def sign(self, message: bytes, aux: bytes) -> str:
        """BIP-340 signature in hex of a 32-byte message with 32 fresh random bytes `aux`."""
        return PrivateKey(self.raw).sign_schnorr(message, aux).hex()


def verify(public_key: str, message: bytes, signature: str) -> bool:
    """Say whether a BIP-340 signature holds; malformed hex or a point off the curve does not."""
    try:
        return bool(_parsed(public_key).verify(bytes.fromhex(signature), message))
    except ValueError:
        return False


@lru_cache(_PARSED_KEYS)
def _parsed(public_key: str) -> PublicKeyXOnly:
    return PublicKeyXOnly(bytes.fromhex(public_key))


def is_public_key(value: object) -> bool:
    """Say whether `value` is the hex of an x coordinate that lies on the curve."""
    if not is_hex(value, 32):
        return False
    try:
        PublicKey(b"\x02" + bytes.fromhex(str(value)))
    except ValueError:
        return False
    return True
