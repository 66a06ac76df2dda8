"""Pure: secp256k1 keys as values, BIP-340 signatures over 32 bytes. Source: NIP-01, BIP-340."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from coincurve import PublicKey, PublicKeyXOnly
from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from nips.refusal import Malformed

_is_lower_hex = re.compile("[0-9a-f]*").fullmatch
_PARSED_KEYS = 4_096  # of recent authors: half a megabyte


def is_hex(value: object, n_bytes: int) -> bool:
    """Say whether `value` is `n_bytes` in lower-case hex, the only form NIP-01 allows."""
    return isinstance(value, str) and len(value) == 2 * n_bytes and _is_lower_hex(value) is not None


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A secret scalar of 32 bytes; its repr shows the public key only.

    Raises Malformed when the bytes are not a key of the curve.
    """

    raw: bytes = field(repr=False)
    public: str = field(init=False)
    # libsecp256k1's key pair: to make it anew is most of the work of a signature.
    _pair: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.raw) != 32:  # the library would read past the end of a shorter one
            raise Malformed("not a secp256k1 secret key of 32 bytes")
        pair = ffi.new("secp256k1_keypair *")
        if not lib.secp256k1_keypair_create(GLOBAL_CONTEXT.ctx, pair, self.raw):
            raise Malformed("not a secp256k1 secret key of 32 bytes")
        point, x_only = ffi.new("secp256k1_xonly_pubkey *"), ffi.new("unsigned char[32]")
        lib.secp256k1_keypair_xonly_pub(GLOBAL_CONTEXT.ctx, point, ffi.NULL, pair)
        lib.secp256k1_xonly_pubkey_serialize(GLOBAL_CONTEXT.ctx, x_only, point)
        object.__setattr__(self, "public", bytes(ffi.buffer(x_only, 32)).hex())
        object.__setattr__(self, "_pair", pair)

    @classmethod
    def generate(cls, random_bytes: Callable[[int], bytes]) -> SecretKey:
        """Make a key from a source of randomness such as `secrets.token_bytes`."""
        while True:
            try:
                return cls(random_bytes(32))
            except Malformed:  # zero or at least the group's order: about once in 2**128
                continue

    def sign(self, message: bytes, aux: bytes) -> str:
        """BIP-340 signature in hex of a 32-byte message with 32 fresh random bytes `aux`.

        Raises ValueError where either has another length.
        """
        if len(message) != 32 or len(aux) != 32:
            raise ValueError("a message and its randomness have 32 bytes each")
        made = ffi.new("unsigned char[64]")
        done = lib.secp256k1_schnorrsig_sign32(GLOBAL_CONTEXT.ctx, made, message, self._pair, aux)
        signature = bytes(ffi.buffer(made, 64)).hex()
        # BIP-340 recommends it: a fault while signing can give the key away.
        if not done or not verify(self.public, message, signature):
            raise ValueError("the signature came out wrong")
        return signature


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
